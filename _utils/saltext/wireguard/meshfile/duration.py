"""Durations as people write them: a whole number and a unit, such as ``30d`` or ``8h``."""

from __future__ import annotations

import re

from ..wording import quoted

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_DURATION = re.compile(r"(0|[1-9][0-9]*)([smhdw]?)")
_LONGEST = 36_500  # days: far beyond any use, and still a date when added to today


def parse_duration(text: str) -> int:
    """Return how many seconds ``text`` says, at least 1; ValueError says why it says none."""
    match = _DURATION.fullmatch(text)
    if not match:
        raise ValueError(
            f"{quoted(text)} is not a duration: write a whole number and a unit (s, m, h, d or w), such as 30d"
        )
    digits, unit = match.groups()
    if digits == "0":
        raise ValueError(f"{quoted(text)} is not a duration: it must be at least 1s")
    too_long = ValueError(f"{quoted(text)} is not a duration: it must be at most {_LONGEST}d")
    if len(digits) > 10:  # also more than int() takes
        raise too_long
    if not unit:
        *choices, last = (digits + unit for unit in _UNITS)
        raise ValueError(f"{quoted(text)} is not a duration: it has no unit; write {', '.join(choices)} or {last}")
    seconds = int(digits) * _UNITS[unit]
    if seconds > _LONGEST * _UNITS["d"]:
        raise too_long
    return seconds
