"""Readers of plain values: texts, numbers, switches, times."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timezone

from ..wording import quoted
from .duration import parse_duration
from .reading import Scope, read_list
from .yamltree import Invalid, Scalar, Value

_DECIMAL = re.compile(r"0|[1-9][0-9]{0,9}")


NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")


TIME = re.compile(
    r"(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:[Tt ](?P<minute>[0-9]{2}:[0-9]{2})(?:(?P<second>:[0-9]{2})(?:\.[0-9]{1,9})?)?"
    r" ?(?:[Zz]|(?P<zone>[+-](?:[01][0-9]|2[0-3])(?::?[0-5][0-9])?))?)?"
)
_TIMES = "a date or a time, such as 2027-01-01 or 2027-01-01T18:00:00Z"


def read_text(value: Value, what: str) -> str:
    if not isinstance(value, Scalar):
        raise Invalid(value.place, f"{what} must be text, not {value.what}")
    if value.kind != "str":
        raise Invalid(
            value.place, f"{what} must be text, but YAML reads {quoted(value.text)} as {value.what}; quote it"
        )
    return value.text


def read_number(value: Value, key: str, low: int, high: int) -> int:
    if isinstance(value, Scalar) and _DECIMAL.fullmatch(value.text) and low <= int(value.text) <= high:
        if value.kind == "int":
            return int(value.text)
        raise Invalid(value.place, f"{key} must be a number, not text; remove the quotes: `{key}: {value.text}`")
    raise Invalid(value.place, f"{key} must be a whole number from {low} to {high}, not {value.given}")


def read_choice(value: Value, key: str, words: Sequence[str]) -> str:
    if isinstance(value, Scalar) and value.text in words:
        return value.text
    raise Invalid(value.place, f"{key} must be {' or '.join(words)}, not {value.given}")


def read_duration(value: Value, key: str, least: str) -> int:
    if not isinstance(value, Scalar):
        raise Invalid(value.place, f"{key} must be a duration, such as 30d, not {value.what}")
    try:
        seconds = parse_duration(value.text)
    except ValueError as problem:
        raise Invalid(value.place, str(problem)) from None
    if seconds < parse_duration(least):
        raise Invalid(value.place, f"{key} must be at least {least}, not {quoted(value.text)}")
    return seconds


def read_expires(scope: Scope, value: Value) -> int:
    """The Unix time of a time, or of the beginning of a date; in UTC unless a time has another zone."""
    match = TIME.fullmatch(value.text) if isinstance(value, Scalar) else None
    if not match:
        raise Invalid(value.place, f"expires must be {_TIMES}, not {value.given}")
    zone = (match["zone"] or "+00").replace(":", "").ljust(5, "0")
    clock = (match["minute"] or "00:00") + (match["second"] or ":00")
    try:
        time = datetime.fromisoformat(f"{match['date']}T{clock}{zone[:3]}:{zone[3:]}").astimezone(timezone.utc)
    except (ValueError, OverflowError):
        raise Invalid(value.place, f"there is no time {quoted(match[0])}; expires must be {_TIMES}") from None
    return int(time.timestamp())


def is_false(value: Value) -> bool:
    return isinstance(value, Scalar) and value.kind == "bool" and value.text.lower() in ("false", "no", "off")


def read_groups(scope: Scope, value: Value) -> frozenset[str]:
    return frozenset(read_list(scope, _group, value, "groups", "web"))


def _group(scope: Scope, value: Value) -> str:
    return read_name(value, "a group's name")


def read_ip_versions(scope: Scope, value: Value) -> frozenset[int]:
    return frozenset(read_list(scope, _ip_version, value, "ip_versions", "4"))


def _ip_version(scope: Scope, value: Value) -> int:
    version = read_number(value, "an IP version", 4, 6)
    if version == 5:
        raise Invalid(value.place, "an IP version must be 4 or 6, not 5")
    return version


def read_site(scope: Scope, value: Value) -> str:
    return read_name(value, "a site's name")


def read_boolean(value: Value, key: str) -> bool:
    if isinstance(value, Scalar) and value.kind == "bool":
        return value.text.lower() in ("true", "yes", "on")
    raise Invalid(value.place, f"{key} must be true or false, not {value.given}")


def read_name(key: Value, what: str) -> str:
    name = read_text(key, what)
    if not NAME.fullmatch(name):
        raise Invalid(
            key.place,
            f"{quoted(name)} is not {what}; write 1 to 64 of the characters A-Z a-z 0-9 _ . -,"
            " and not . or - at the beginning",
        )
    return name
