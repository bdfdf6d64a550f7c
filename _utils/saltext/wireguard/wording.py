"""How messages name what may be many, long or hostile."""

from __future__ import annotations

from collections.abc import Iterable

_MOST = 5


def shown(text: str) -> str:
    """Quote a text that may be hostile or long for an error message."""
    return repr(text) if len(text) <= 60 else f"{text[:60]!r}..."


def some(names: Iterable[str]) -> str:
    """The first names in order, and how many more there are."""
    listed = sorted(names)
    more = f" and {len(listed) - _MOST} more" if len(listed) > _MOST else ""
    return ", ".join(listed[:_MOST]) + more
