"""How messages name times, and things that may be many, long, hostile or secret."""

from __future__ import annotations

import re
import reprlib
import shlex
from collections.abc import Collection, Iterable
from datetime import datetime

_MOST = 5

# A WireGuard key, even one that lacks a character: messages quote keys mostly where they were mistyped or misplaced.
_MAYBE_A_KEY = re.compile(r"[A-Za-z0-9+/]{40,}=*")
_HIDDEN = "(hidden)"

# Only the beginning of nested or long values: a full repr is as deep as its value.
_REPR = reprlib.Repr()
_REPR.maxlevel, _REPR.maxstring, _REPR.maxother = 3, 10_000, 10_000


def quoted(value: object) -> str:
    """Quote a value that may be hostile, long or a key."""
    text = without_keys(value if isinstance(value, str) else _REPR.repr(value))
    cut = text if len(text) <= 60 else text[:60]
    return (repr(cut) if isinstance(value, str) else cut) + ("..." if cut != text else "")


def without_keys(text: str, known: Collection[str] = ()) -> str:
    """The text without anything that looks like a private, preshared or public key, except the ``known`` ones."""
    return _MAYBE_A_KEY.sub(lambda found: found[0] if found[0] in known or not _is_mixed(found[0]) else _HIDDEN, text)


def _is_mixed(text: str) -> bool:
    """Random base64 has letters of both cases; long names and numbers do not."""
    return text.upper() != text != text.lower()


def one_line(value: object, most: int = 300) -> str:
    """
    A text from others as one printable line for a log, a table or an error, of at most ``most`` characters. Empty for
    anything but text, which may be nested too deeply to be printed.
    """
    text = value[: 4 * most] if isinstance(value, str) else ""
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return line if len(line) <= most else f"{line[: most - 3]}..."


def shell(start: str, *words: str) -> str:
    """
    A command for people to copy into a shell, often as root. Others may have chosen the ``words``: each is quoted, so
    that it stays one word.
    """
    return f"`{' '.join([start, *(shlex.quote(word if word.isprintable() else repr(word)) for word in words)])}`"


def when(seconds: float) -> str:
    """A time in Unix seconds as people and programs read it, with its zone."""
    return datetime.fromtimestamp(seconds).astimezone().isoformat(" ", "seconds")


def ago(seconds: int) -> str:
    """How long something is past, as people say it."""
    minutes, hours = seconds // 60, seconds // 3600
    text = f"{seconds} s" if minutes < 3 else f"{minutes} min" if hours < 3 else f"{hours} h"
    return f"{text if hours < 72 else f'{hours // 24} days'} ago"


def some(names: Iterable[str]) -> str:
    """The first names in order, and the number of the others."""
    listed = sorted(names)
    more = f" and {len(listed) - _MOST} more" if len(listed) > _MOST else ""
    return ", ".join(listed[:_MOST]) + more
