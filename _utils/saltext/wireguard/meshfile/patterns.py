"""
Which minion ids a key under ``nodes`` means: one id, or many by a glob or by one of Salt's compound words.

Only words that rest on the id: what else Salt can target by, such as a grain, a minion may say of itself, and so could
let itself in.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Mapping, Sequence
from enum import IntEnum

from ..model.names import WHAT_IDS_ARE, is_id
from ..wording import quoted

Matches = Callable[[str], object]

# Nodegroup -> the words of its compound expression, as the master's configuration has them.
Nodegroups = Mapping[str, tuple[str, ...]]

WILDCARD = re.compile(r"\*|\?|\[(?:!|(?!!))(?:\][^\]]*|[^\]]+)\]")
_WORD = re.compile(r"([A-Z])@(.*)", re.DOTALL)
_REASONS = {
    "I": "a pillar may rest on grains, which a minion says of itself",
    "J": "a pillar may rest on grains, which a minion says of itself",
    "S": "a minion says itself which addresses it has",
    "R": "a range server is asked about names, at a time of its own",
}
_OPERATORS = {"and", "or", "not", "(", ")"}
_OF_REGEX = set("([{\\?}])")
_GRAINS = "a minion says its own grains, and so could let itself in"
_INSTEAD = "write ids, globs, lists (L@), regular expressions (E@) or nodegroups (N@)"


class Kind(IntEnum):
    """What a key is, the most specific first."""

    ID = 0
    LIST = 1
    GLOB = 2
    REGEX = 3
    NODEGROUP = 4


def kind_of(key: str) -> Kind:
    """That of a key that ``check`` has nothing against."""
    word = _WORD.fullmatch(key)
    if word:
        return {"L": Kind.LIST, "E": Kind.REGEX, "N": Kind.NODEGROUP}[word[1]]
    return Kind.GLOB if any(character in key for character in "*?[") else Kind.ID


def ids_of(key: str) -> tuple[str, ...]:
    """The ids that it names one by one."""
    kind = kind_of(key)
    return (key,) if kind is Kind.ID else tuple(key[2:].split(",")) if kind is Kind.LIST else ()


def specificity(key: str) -> tuple[int, int, int]:
    """
    Sorts the more specific key first: ids, then lists (those of fewer ids), then globs (those with more literal
    characters, then with fewer wildcards), then regular expressions, then nodegroups.
    """
    kind = kind_of(key)
    if kind is Kind.GLOB:
        literals, wildcards = WILDCARD.subn("", key)
        return kind, -len(literals), wildcards
    return kind, len(ids_of(key)), 0


def matcher(key: str, nodegroups: Nodegroups | None) -> Matches:
    """Tells the ids that it means. A word counts as one itself: like a glob, it stands for its nodes in checks."""
    matches = _matcher(key, nodegroups)
    return matches if kind_of(key) is Kind.GLOB else lambda node: node == key or matches(node)


def check(key: str, nodegroups: Nodegroups | None) -> None:
    """Raise ValueError for a key that means nothing, or rests on more than ids."""
    word = _WORD.fullmatch(key)
    if word is None:
        _check_glob(key)
    elif word[1] == "L":
        for name in word[2].split(","):
            if not is_id(name):
                raise ValueError(f"{quoted(name)} in a list is no id that a node can have: it must be {WHAT_IDS_ARE}")
    elif word[1] == "E":
        _regex(word[2])
    elif word[1] == "N" and nodegroups is not None:
        _nodegroup(word[2], nodegroups, ())
    elif word[1] != "N":
        raise ValueError(f"{quoted(key)} is not possible: {_REASONS.get(word[1], _GRAINS)}; {_INSTEAD}")


def _check_glob(key: str) -> None:
    if "[" in WILDCARD.sub("", key):
        raise ValueError(f"{quoted(key)} is not a glob: its '[' is never closed")
    try:
        re.compile(fnmatch.translate(key))
    except re.error as reason:
        raise ValueError(f"{quoted(key)} is not a glob: {reason}") from None
    if kind_of(key) is Kind.ID and not is_id(key):
        raise ValueError(f"{quoted(key)} is no id that a node can have: it must be {WHAT_IDS_ARE}")


def _matcher(key: str, nodegroups: Nodegroups | None) -> Matches:
    kind = kind_of(key)
    if kind is Kind.GLOB:
        return re.compile(fnmatch.translate(key)).match
    if kind is Kind.REGEX:
        return _regex(key[2:])
    if kind is Kind.NODEGROUP:
        return _nodegroup(key[2:], nodegroups, ()) if nodegroups is not None else lambda _: False
    return frozenset(ids_of(key)).__contains__


def _regex(text: str) -> Matches:
    """The whole id has to match. Ids that no node can have may be made up to take long."""
    try:
        compiled = re.compile(text)
    except re.error as reason:
        raise ValueError(f"{quoted(text)} is not a regular expression: {reason}") from None
    return lambda node: is_id(node) and compiled.fullmatch(node)


# -- nodegroups


def _nodegroup(name: str, nodegroups: Nodegroups, inside: Sequence[str]) -> Matches:
    """``inside``: the nodegroups that this one stands in."""
    if name not in nodegroups:
        known = ", ".join(sorted(nodegroups)) or "none"
        raise ValueError(f"the master's configuration has no nodegroup {quoted(name)}; it has: {known}")
    if name in inside:
        raise ValueError(f"nodegroup {name} contains itself")
    try:
        return _Expression(_as_salt_reads(nodegroups[name]), nodegroups, (*inside, name)).read()
    except ValueError as reason:
        raise ValueError(f"nodegroup {name}: {reason}") from None


def _as_salt_reads(words: Sequence[str]) -> list[str]:
    """Words without operators, kinds and asterisks are a list of ids, or else a regular expression."""
    if any(word in _OPERATORS or "*" in word or _WORD.fullmatch(word) for word in words):
        return [*words]
    return [f"{'E' if set(''.join(words)) & _OF_REGEX else 'L'}@{','.join(words)}"]


class _Expression:
    """A compound expression of Salt: words with ``and``, ``or``, ``not`` and parentheses; ``and`` may be left out."""

    def __init__(self, words: Sequence[str], nodegroups: Nodegroups, inside: Sequence[str]) -> None:
        self._words = [*words]
        self._nodegroups = nodegroups
        self._inside = inside

    def read(self) -> Matches:
        """Raises ValueError."""
        found = self._any()
        if self._words:
            raise ValueError(f"{quoted(self._words[0])} is not expected there")
        return found

    def _any(self) -> Matches:
        parts = [self._all()]
        while self._next() == "or":
            self._words.pop(0)
            parts.append(self._all())
        return lambda node: any(matches(node) for matches in parts)

    def _all(self) -> Matches:
        parts = [self._one()]
        while self._next() not in ("or", ")", None):
            if self._next() == "and":
                self._words.pop(0)
            parts.append(self._one())
        return lambda node: all(matches(node) for matches in parts)

    def _one(self) -> Matches:
        word = self._words.pop(0) if self._words else None
        if word == "not":
            inner = self._one()
            return lambda node: not inner(node)
        if word == "(":
            inner = self._any()
            if not self._words or self._words.pop(0) != ")":
                raise ValueError("a '(' is never closed")
            return inner
        if word is None or word in ("and", "or", ")"):
            raise ValueError(f"something is missing {f'before {quoted(word)}' if word else 'at the end'}")
        if word.startswith("N@"):
            return _nodegroup(word[2:], self._nodegroups, self._inside)
        check(word, self._nodegroups)
        return _matcher(word, self._nodegroups)

    def _next(self) -> str | None:
        return self._words[0] if self._words else None
