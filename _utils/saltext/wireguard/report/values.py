"""What a report is made of: what is configured, what was proved, what the nodes see now, and what happened."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from ..fleet.usage import PoolUsage
from ..model.live import State
from ..observe.pairs import Pair
from ..observe.paths import Path
from ..registry.history import Entry
from ..review.graph import Box, Graph

# States in which a pair needs a look.
BAD = (State.down, State.stale)


@dataclass(frozen=True)
class Standing:
    """
    What is known of a member. ``why``: why it is not in sync, None if it is. ``problem``: why it says nothing about
    itself. ``seen``: the time of its last statement in Unix seconds, 0 for never. ``mtu``: that of its device.
    """

    addresses: tuple[str, ...]
    endpoint: str | None = None
    public_key: str | None = None
    why: str | None = None
    problem: str | None = None
    seen: float = 0.0
    mtu: int | None = None

    @property
    def needs_a_look(self) -> bool:
        """Whether something is not as it should be."""
        return self.why is not None or self.problem is not None


@dataclass(frozen=True)
class Part:
    """
    One network. ``standings``: node or external peer -> what is known of it. ``paths``: None unless nodes were to ping
    each other.
    """

    graph: Graph
    standings: Mapping[str, Standing]
    pairs: tuple[Pair, ...]
    paths: tuple[Path, ...] | None = None

    @cached_property
    def boxes(self) -> list[Box]:
        """Site by site, so that those of one site are neighbours in the matrix."""
        return [box for boxes in self.graph.sites.values() for box in boxes]

    @cached_property
    def numbers(self) -> dict[str, int]:
        """Name -> its number in the page."""
        return {box.name: number for number, box in enumerate(self.boxes)}

    @cached_property
    def counts(self) -> Counter[tuple[str, State]]:
        """(node, state) -> so many of its pairs are in it."""
        return Counter((end.node, pair.state) for pair in self.pairs for end in pair.ends)

    @cached_property
    def states(self) -> Counter[State]:
        """State -> so many pairs are in it."""
        return Counter(pair.state for pair in self.pairs)


@dataclass(frozen=True)
class Report:
    """``made``: Unix seconds. ``history``: the newest entries, the last one last."""

    made: float
    parts: tuple[Part, ...]
    pools: tuple[PoolUsage, ...] = ()
    warnings: tuple[str, ...] = ()
    history: tuple[Entry, ...] = ()
