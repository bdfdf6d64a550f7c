"""
YAML as a tree in which every key and value knows its file and line.

It is built from the parser's events with an explicit stack, so that no input, however deep or odd, raises anything.
Scalars keep their text as written and the type that YAML gives it. What a mesh file must not have (aliases, tags, merge
keys, several documents, duplicate keys) is reported here. The meaning of keys and values is left to ``parse``.
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any

import yaml

from ..errors import Problem
from ..wording import quoted
from .mesh import Place

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_MAX_DEPTH = 20
_KINDS = {
    "str": "text",
    "int": "a number",
    "float": "a number",
    "bool": "true or false",
    "null": "nothing",
    "timestamp": "a date",
}
_ADVICE = {
    "an alias": "; put a glob that starts with '*' in quotes",
    "unexpected ':'": "; put an address that ends in ':' in quotes",
    "mapping values": "; check the indentation here and in the line above, and put text that ends in ':' in quotes",
    "any token": "; indent with spaces, not tabs, and put text that starts with a special character in quotes",
}


@dataclass(frozen=True, slots=True)
class Scalar:
    """A plain or quoted word: ``kind`` is the YAML type's short name ("str", "int", "bool", "null", ...)."""

    place: Place
    text: str
    kind: str

    @property
    def what(self) -> str:
        return _KINDS.get(self.kind, "something special")

    @property
    def given(self) -> str:
        return quoted(self.text)


@dataclass(frozen=True, slots=True)
class Items:
    """A YAML sequence."""

    place: Place
    items: tuple[Value, ...]
    what = given = "a list"


@dataclass(frozen=True, slots=True)
class Table:
    """A YAML mapping, in the order of the file; each key occurs once."""

    place: Place
    entries: tuple[tuple[Scalar, Value], ...]
    what = given = "a mapping"


Value = Scalar | Items | Table


class Invalid(Exception):
    """Raised, and always caught again, when the value at ``place`` is wrong."""

    def __init__(self, place: Place, message: str) -> None:
        super().__init__(message)
        self.place = place


class Report:
    """All problems found so far, and the place of everything that must be unique."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self._first: dict[Hashable, Place] = {}

    def add(self, place: Place, message: str) -> None:
        self.problems.append(place.problem(message))

    def claim(self, thing: Hashable, place: Place) -> Place | None:
        """Return the place that claimed ``thing`` before, or None if this is the first one."""
        first = self._first.setdefault(thing, place)
        return None if first is place else first


def load(file: str, text: str, report: Report) -> Value | None:
    """Return the only document in ``text``, None if it is empty or not YAML, which is reported."""
    unprintable = _UNPRINTABLE.search(text)
    if unprintable:
        line = text.count("\n", 0, unprintable.start()) + 1
        report.add(Place(file, line), f"the file contains {unprintable[0]!r}, which no text file should; remove it")
        return None
    try:
        return _Builder(file, report).build(_LOADER(text))
    except Invalid as problem:
        report.add(problem.place, str(problem))
    except yaml.MarkedYAMLError as problem:
        report.add(*_syntax_error(file, text, problem))
    except (yaml.YAMLError, ValueError, OverflowError) as problem:
        report.add(Place(file, 0), f"not valid YAML: {problem}")
    return None


def _syntax_error(file: str, text: str, problem: yaml.MarkedYAMLError) -> tuple[Place, str]:
    last = len(text.splitlines()) or 1
    mark = problem.problem_mark or problem.context_mark
    line = min(mark.line + 1, last) if mark else 0
    reason = problem.problem or "unknown reason"
    if problem.context:
        start = f" that began in line {problem.context_mark.line + 1}" if problem.context_mark else ""
        reason = f"{problem.context}{start}, {reason}"
    advice = next((advice for part, advice in _ADVICE.items() if part in reason), "")
    return Place(file, line), f"not valid YAML: {reason}{advice}"


@dataclass
class _Open:
    """A sequence or mapping whose end has not come yet; a mapping's keys and values alternate in ``children``."""

    place: Place
    is_table: bool
    children: list[Value] = field(default_factory=list)


class _Builder:
    """Turns one file's parser events into a Value."""

    def __init__(self, file: str, report: Report) -> None:
        self._file = file
        self._report = report

    def build(self, loader: Any) -> Value | None:
        root = _Open(Place(self._file, 0), False)
        stack = [root]
        while loader.check_event():
            event = loader.get_event()
            if isinstance(event, yaml.ScalarEvent):
                stack[-1].children.append(self._scalar(loader, event))
            elif isinstance(event, yaml.CollectionStartEvent):
                stack.append(self._open(event, len(stack)))
            elif isinstance(event, yaml.CollectionEndEvent):
                closed = stack.pop()
                stack[-1].children.append(self._close(closed))
            else:
                self._check_other(event, root)
        empty = not root.children or (isinstance(root.children[0], Scalar) and root.children[0].kind == "null")
        return None if empty else root.children[0]

    def _place(self, event: Any) -> Place:
        return Place(self._file, event.start_mark.line + 1)

    def _scalar(self, loader: Any, event: Any) -> Scalar:
        self._refuse_tag(event, untagged=event.implicit[0] or event.implicit[1])
        tag = loader.resolve(yaml.ScalarNode, event.value, event.implicit)
        return Scalar(self._place(event), event.value, tag.rpartition(":")[2])

    def _open(self, event: Any, depth: int) -> _Open:
        self._refuse_tag(event, untagged=event.implicit)
        if depth > _MAX_DEPTH:
            raise Invalid(self._place(event), "lists and mappings are nested too deeply for a mesh file")
        return _Open(self._place(event), isinstance(event, yaml.MappingStartEvent))

    def _refuse_tag(self, event: Any, untagged: bool) -> None:
        if not untagged or event.tag is not None:
            self._report.add(
                self._place(event), f"YAML tags are not used in a mesh file; remove {quoted(event.tag or '!')}"
            )

    def _close(self, closed: _Open) -> Value:
        if not closed.is_table:
            return Items(closed.place, tuple(closed.children))
        pairs = zip(closed.children[::2], closed.children[1::2], strict=True)
        return Table(closed.place, tuple(self._unique(pairs)))

    def _unique(self, pairs: Any) -> list[tuple[Scalar, Value]]:
        entries: dict[str, tuple[Scalar, Value]] = {}
        for key, value in pairs:
            if not isinstance(key, Scalar):
                self._report.add(key.place, f"a key must be a word, not {key.what}")
            elif key.kind == "merge":
                self._report.add(key.place, "merge keys ('<<') are not used; give shared settings in a glob entry")
            elif key.text in entries:
                first = entries[key.text][0].place
                self._report.add(key.place, f"duplicate key {quoted(key.text)}, first given at {first}; keep one")
            else:
                entries[key.text] = (key, value)
        return list(entries.values())

    def _check_other(self, event: Any, root: _Open) -> None:
        if isinstance(event, yaml.AliasEvent):
            name = quoted(f"*{event.anchor}")
            raise Invalid(
                self._place(event),
                f"YAML aliases are not used in a mesh file; put {name} in quotes if it is a glob, "
                "and give shared settings in a glob entry",
            )
        if isinstance(event, yaml.DocumentStartEvent) and root.children:
            raise Invalid(self._place(event), "a second YAML document; remove the '---' or make it a file of its own")
