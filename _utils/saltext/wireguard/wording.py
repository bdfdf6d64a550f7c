"""How messages name what may be many, long, hostile or secret."""

from __future__ import annotations

import re
import reprlib
import shlex
from collections.abc import Collection, Iterable

_MOST = 5

# A key of WireGuard, also one that lacks a character: it is quoted most of all where it was mistyped or misplaced.
_MAYBE_A_KEY = re.compile(r"[A-Za-z0-9+/]{40,}=*")
_HIDDEN = "(hidden)"

# Of what is nested or long, only the beginning: a repr goes as deep as what it is of.
_REPR = reprlib.Repr()
_REPR.maxlevel, _REPR.maxstring, _REPR.maxother = 3, 10_000, 10_000


def quoted(value: object) -> str:
    """Quote what may be hostile, long or a key for an error message."""
    text = without_keys(value if isinstance(value, str) else _REPR.repr(value))
    cut = text if len(text) <= 60 else text[:60]
    return (repr(cut) if isinstance(value, str) else cut) + ("..." if cut != text else "")


def without_keys(text: str, known: Collection[str] = ()) -> str:
    """The text with nothing in it that looks like a key, private, preshared or public, but for the ``known`` ones."""
    return _MAYBE_A_KEY.sub(lambda found: found[0] if found[0] in known or not _is_mixed(found[0]) else _HIDDEN, text)


def _is_mixed(text: str) -> bool:
    """Random base64 has letters of either case; long names and numbers have not."""
    return text.upper() != text != text.lower()


def one_line(value: object, most: int = 300) -> str:
    """
    What others said, as one line that may stand in a log, a table or an error: printable, and not longer than ``most``.
    Empty for what is no text: it may be nested too deeply to be printed, and it was to be a text.
    """
    text = value[: 4 * most] if isinstance(value, str) else ""
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return line if len(line) <= most else f"{line[: most - 3]}..."


def shell(start: str, *words: str) -> str:
    """
    A command to be copied into a shell, often a root's. What comes after its start may be chosen by somebody else, and
    is not more than a word.
    """
    return f"`{' '.join([start, *(shlex.quote(word if word.isprintable() else repr(word)) for word in words)])}`"


def some(names: Iterable[str]) -> str:
    """The first names in order, and how many more there are."""
    listed = sorted(names)
    more = f" and {len(listed) - _MOST} more" if len(listed) > _MOST else ""
    return ", ".join(listed[:_MOST]) + more
