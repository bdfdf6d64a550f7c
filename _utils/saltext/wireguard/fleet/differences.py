"""Which nodes a change of the registry or of the accepted keys is about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from ..registry.rows import NodeId, Snapshot
from ..registry.salt_keys import AcceptedKey

Value = TypeVar("Value")

# The parts of a snapshot that are about single nodes, and those that no view of a member is made from.
_OF_NODES = {"rows", "standings", "waiting", "boots", "former"}
_NOT_IN_VIEWS = {"generation", "noted", "untouched", "unrecorded", "sources"}


@dataclass(frozen=True)
class Differences:
    """``rows``: those that changed, came or went. ``nodes``: all that the change is about, in whichever network."""

    rows: frozenset[NodeId]
    nodes: frozenset[str]


def differences(
    before: Snapshot, after: Snapshot, old: Mapping[str, AcceptedKey], new: Mapping[str, AcceptedKey]
) -> Differences | None:
    """None where more may differ than single nodes."""
    for name in {field.name for field in fields(Snapshot)} - _OF_NODES - _NOT_IN_VIEWS:
        if getattr(before, name) != getattr(after, name):
            return None
    rows = _differing(before.rows, after.rows)
    nodes = {node for _, node in rows} | _differing(old, new)
    nodes |= {node for _, node in _differing(before.standings, after.standings)}
    nodes |= {node for _, node in _differing(before.waiting, after.waiting)}
    nodes |= {node for node, _ in _differing(before.boots, after.boots)}
    for name in _differing(before.former, after.former):
        holdings = {*before.former.get(name, ())} ^ {*after.former.get(name, ())}
        nodes |= {each.node for each in holdings}
    return Differences(frozenset(rows), frozenset(nodes))


def _differing(before: Mapping[Any, Any], after: Mapping[Any, Any]) -> set[Any]:
    """The keys of what is not the same in both. What did not change is mostly the same object."""
    if before is after:
        return set()
    changed = {key for key, value in after.items() if before.get(key) is not value and before.get(key) != value}
    return changed | (before.keys() - after.keys())


def put(values: dict[str, Value], node: str, value: Value | None) -> None:
    """Have a value of a node among others; None for none."""
    if value is None:
        values.pop(node, None)
    else:
        values[node] = value
