"""What a report remembers for the next one, and what has changed in between."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ..errors import ViewError
from ..model import fields
from ..model.fields import Fields
from .values import BAD, Part, Report, Standing

# So many sentences are read.
MOST = 100

_Id = tuple[str, str]


@dataclass(frozen=True)
class Known:
    """One node."""

    public_key: str | None
    addresses: tuple[str, ...]
    why: str | None
    problem: str | None


@dataclass(frozen=True)
class Memory:
    """
    ``nodes``: (network, node) -> what was known of it. ``bad``: (network, a, b) -> the state of a pair that needed a
    look. ``made``: Unix seconds.
    """

    made: float
    nodes: Mapping[_Id, Known]
    bad: Mapping[tuple[str, str, str], str]

    def to_dict(self) -> dict[str, Any]:
        return {
            "made": self.made,
            "nodes": [[*ident, asdict(each)] for ident, each in self.nodes.items()],
            "bad": [[*pair, state] for pair, state in self.bad.items()],
        }

    @classmethod
    def from_dict(cls, data: object) -> Memory:
        """Raises ViewError or ValueError for what is no memory."""
        given = Fields(data, "report: ", ViewError)
        nodes = given.get("nodes", fields.list_of(fields.list_of(lambda item: item, 3)))
        bad = given.get("bad", fields.list_of(fields.list_of(fields.text, 4)))
        return cls(
            float(given.get("made", _seconds)),
            {(fields.text(network), fields.text(node)): _known(each) for network, node, each in nodes},
            {(network, one, other): state for network, one, other, state in bad},
        )


def _seconds(value: object) -> float:
    if not isinstance(value, int | float) or not 0 <= value < 2**40:
        raise ValueError("must be a time in Unix seconds")
    return value


def _known(data: object) -> Known:
    given = Fields(data, "report: ", ViewError)
    return Known(
        given.get("public_key", fields.text, None),
        tuple(given.get("addresses", fields.list_of(fields.text))),
        given.get("why", fields.text, None),
        given.get("problem", fields.text, None),
    )


def memory(report: Report) -> Memory:
    """Of this report."""
    return Memory(
        report.made,
        {
            (part.graph.network, name): _of(standing)
            for part in report.parts
            for name, standing in sorted(part.standings.items())
        },
        {
            (part.graph.network, pair.ends[0].node, pair.ends[1].node): pair.state.name
            for part in report.parts
            for pair in part.pairs
            if pair.state in BAD
        },
    )


def _of(standing: Standing) -> Known:
    return Known(standing.public_key, standing.addresses, standing.why, standing.problem)


def changes(before: Memory, report: Report) -> list[str]:
    """Sentences."""
    found = [*itertools.islice(_changes(before, memory(report), report.parts), MOST + 1)]
    return found if len(found) <= MOST else [*found[:MOST], "and more: see the tables below"]


def _changes(before: Memory, now: Memory, parts: tuple[Part, ...]) -> Iterator[str]:
    several = len(parts) > 1
    here = {part.graph.network for part in parts}
    for network, node in sorted(before.nodes.keys() | now.nodes.keys()):
        name = f"{node} in network {network}" if several else node
        old, new = before.nodes.get((network, node)), now.nodes.get((network, node))
        if network not in here:
            continue
        if old is None or new is None:
            yield f"{name} is new" if new else f"{name} is gone"
        else:
            yield from (f"{name} {what}" for what in _of_node(old, new))
    for network, one, other in sorted(before.bad.keys() | now.bad.keys()):
        was, state = (each.bad.get((network, one, other)) for each in (before, now))
        is_here = all((network, name) in now.nodes for name in (one, other))
        if was != state and is_here:
            yield f"{one} and {other}: {f'{state} now' if state else f'no longer {was}'}"


def _of_node(old: Known, new: Known) -> Iterator[str]:
    if old.public_key != new.public_key:
        yield "has another public key" if old.public_key and new.public_key else "has registered"
    if old.addresses != new.addresses:
        yield f"has the addresses {', '.join(new.addresses) or 'none'}, before {', '.join(old.addresses) or 'none'}"
    if old.why != new.why:
        yield f"is not in sync: {new.why}" if new.why else "is in sync again"
    if old.problem != new.problem:
        yield f"says nothing of itself: {new.problem}" if new.problem else "answers again"
