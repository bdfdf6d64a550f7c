"""Reads a tree of YAML by tables of keys. A reader converts one value for the mesh, or raises Invalid."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..model.addresses import Subnet
from ..model.endpoint import Endpoint
from ..wording import quoted
from .mesh import Place
from .patterns import Nodegroups
from .yamltree import Invalid, Items, Report, Scalar, Table, Value

_PLAIN = re.compile(r"[0-9a-z./]{1,60}")


SMALLEST_MESH = "the smallest mesh is `networks: {backbone: {subnets: [10.42.0.0/16], nodes: {'*': {}}}}`"
WHAT_IS_REQUIRED = {
    "subnets": "write where its addresses come from, such as `subnets: [10.42.0.0/16]`",
    "nodes": "write which nodes belong to it; `nodes: {'*': {}}` means every accepted minion",
}


@dataclass
class Scope:
    """
    What the readers of one network share.

    ``subnets``: empty until they are read, and also if one of them is wrong, so that nothing is checked against them.
    ``taken``: all subnets of all networks so far. ``endpoints``: place, owner, endpoint and the site that it is for.
    ``ends``: place and text of each end of a link. ``nodegroups``: those of the master; None where they are not known.
    """

    report: Report
    network: str = ""
    taken: list[tuple[Place, Subnet]] = field(default_factory=list)
    subnets: tuple[Subnet, ...] = ()
    has_no_nodes: bool = False
    endpoints: list[tuple[Place, str, Endpoint, str | None]] = field(default_factory=list)
    ends: list[tuple[Place, str]] = field(default_factory=list)
    nodegroups: Nodegroups | None = None


Reader = Callable[[Scope, Value], Any]
EntryReader = Callable[[Scope, Scalar, Value], Any]
Schema = Mapping[str, Any]

REQUIRED = "required"


@dataclass(frozen=True)
class Key:
    """
    One key of the file: how its value is read, and its type in words and as JSON Schema.

    ``default`` counts without the key: a value in backticks, or words. Tests compare ``type`` and ``default`` with
    docs/mesh-file.md, and ``schema`` and ``default`` with what the reader accepts.
    """

    read: Reader
    type: str
    schema: Schema
    default: str = "none"


def read_table(
    scope: Scope, keys: Mapping[str, Key], value: Value, what: str
) -> tuple[dict[str, Any], dict[str, Place]]:
    """Return the values of the ``keys`` that are present and valid, and the places of those that are present."""
    given = {}
    for key, item in entries_of(value, what):
        if key.text in keys:
            given[key.text] = item
        else:
            scope.report.add(key.place, _unknown_key(key.text, list(keys)))
    values = {}
    for name in keys:
        if name in given:
            try:
                values[name] = keys[name].read(scope, given[name])
            except Invalid as problem:
                scope.report.add(problem.place, str(problem))
    return values, {name: item.place for name, item in given.items()}


def _unknown_key(key: str, valid: Sequence[str]) -> str:
    near = difflib.get_close_matches(key[:60].lower(), valid, n=1)
    return f"unknown key {quoted(key)}; " + (
        f"did you mean {near[0]!r}?" if near else f"valid keys: {', '.join(valid)}"
    )


def entries_of(value: Value, what: str) -> tuple[tuple[Scalar, Value], ...]:
    if not isinstance(value, Table):
        raise Invalid(value.place, f"{what} must be a mapping (`key: value`), not {value.what}")
    return value.entries


def read_entries(scope: Scope, read: EntryReader, value: Value, what: str) -> tuple[Any, ...]:
    """Return what ``read`` makes of each valid entry of a mapping."""
    return tuple(_readable(scope, ((read, (scope, *entry)) for entry in entries_of(value, what))))


def _readable(scope: Scope, calls: Iterable[tuple[Callable[..., Any], tuple[Any, ...]]]) -> Iterator[Any]:
    for read, arguments in calls:
        try:
            yield read(*arguments)
        except Invalid as problem:
            scope.report.add(problem.place, str(problem))


def read_list(scope: Scope, read: Reader, value: Value, key: str, example: str) -> tuple[Any, ...]:
    """Return what ``read`` makes of each valid item of a list."""
    if isinstance(value, Scalar) and value.text:
        item = value.text if _PLAIN.fullmatch(value.text) else quoted(value.text)
        raise Invalid(value.place, f"{key} must be a list: write `{key}: [{item}]`")
    if not isinstance(value, Items) or not value.items:
        raise Invalid(value.place, f"{key} must be a list that is not empty, such as `{key}: [{example}]`")
    return tuple(_readable(scope, ((read, (scope, item)) for item in value.items)))


def claim(scope: Scope, thing: tuple[object, ...], place: Place, taken: str, advice: str) -> None:
    """Raise Invalid if ``thing``, which must be unique, was claimed before; the message says where."""
    earlier = scope.report.claim(thing, place)
    if earlier:
        raise Invalid(place, f"{taken} at {earlier}; {advice}")


def require(scope: Scope, keys: Mapping[str, Key], places: Mapping[str, Place], place: Place, what: str) -> None:
    for name, key in keys.items():
        if key.default == REQUIRED and name not in places:
            scope.report.add(place, f"{what} has no {name!r}; {WHAT_IS_REQUIRED[name]}")
