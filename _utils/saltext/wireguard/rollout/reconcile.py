"""
The course of one reconcile: which nodes to ask, which to wait for, when it is over.

It has no clock and sends nothing: ``control.reconciler`` passes in answers and times, and sends what is due.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

# How many nodes work on their pillar at the same time: each costs the master a compile.
WINDOW = 100

# A node is asked again if its view changed while it was answering, as in a burst of joins, but at most so often.
MAX_ASKS = 4

# The nodes that come last wait so many seconds for the others. Some of these may be off.
LAST_WAITS = 2.0


@dataclass
class Reconcile:
    """
    ``patience``: seconds that a node has to answer. All times are seconds of one monotonic clock.

    All nodes are asked at once, as far as the window allows; ``staged.Staged`` proceeds in stages.
    """

    patience: float
    asked: dict[str, str] = field(default_factory=dict)  # node -> what it was asked to become
    failed: dict[str, str] = field(default_factory=dict)  # node -> its error
    light: Collection[str] = ()  # nodes that are asked without a pillar, as many as there are
    _deadlines: dict[str, float] = field(default_factory=dict)
    _asks: dict[str, int] = field(default_factory=dict)

    def next(self, wanted: Mapping[str, str], now: float, last: frozenset[str] = frozenset()) -> list[str]:
        """
        The nodes to ask now. ``wanted``: node -> digest, for all nodes that are out of date now. ``last``: the nodes to
        ask after all others.

        A node that was waited for and is no longer out of date is confirmed.
        """
        for node in [node for node in self._deadlines if node in self.asked and node not in wanted]:
            del self._deadlines[node]
        waiting = set(self.waiting(now))
        due = [node for node in sorted(wanted) if node not in waiting and self._is_due(node, wanted[node])]
        admitted = self._admit(due, wanted, waiting.intersection(self.asked), last, now)
        for node in admitted:
            self.asked[node] = wanted[node]
            self.failed.pop(node, None)
            self._asks[node] = self._asks.get(node, 0) + 1
            self._deadlines[node] = now + self.patience
        return admitted

    def _is_due(self, node: str, digest: str) -> bool:
        return node not in self.asked or (self.asked[node] != digest and self._asks.get(node, 0) < MAX_ASKS)

    def _admit(
        self, due: list[str], wanted: Mapping[str, str], busy: set[str], last: frozenset[str], now: float
    ) -> list[str]:
        """
        The due nodes to ask now, while ``busy`` ones have not answered yet.

        Nodes that come last wait until no other is due, and the others have answered or had some time to do so.
        """
        others = [node for node in due if node not in last]
        recently = now + self.patience - LAST_WAITS
        wait = others or any(self._deadlines[node] > recently for node in busy.difference(last))
        ready = others if wait else due
        heavy = [node for node in ready if node not in self.light][: max(WINDOW - len(busy.difference(self.light)), 0)]
        return [node for node in ready if node in self.light or node in heavy]

    def expect(self, nodes: Iterable[str], until: float) -> None:
        """Wait for nodes that were asked by other means, and do not ask them meanwhile."""
        for node in nodes:
            self._deadlines[node] = until

    def answered(self, node: str, error: str | None = None) -> None:
        """Note a node's answer; with ``error``, it failed."""
        self._deadlines.pop(node, None)
        if error:
            self.failed[node] = error

    def reconsider(self, node: str) -> None:
        """Ask the node again if it is still out of date: its answer may not have been about everything."""
        self.asked[node] = ""

    def waiting(self, now: float) -> list[str]:
        """The nodes that were asked and may still answer."""
        return [node for node, deadline in self._deadlines.items() if deadline > now]

    def silent(self, out_of_date: Iterable[str]) -> list[str]:
        """The nodes that were asked, and neither applied the change nor answered with an error."""
        return sorted(node for node in out_of_date if node in self.asked and node not in self.failed)
