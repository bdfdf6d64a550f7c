"""Jobs that change peers without a pillar: one for all nodes that need the same."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..fleet.fleet import Fleet
from ..fleet.steps import Step, Steps
from ..registry.rows import Applied
from .master import Moment

# More jobs than that at once cost more than the pillars of the few nodes that each would be for.
MOST_JOBS = 20

# How many earlier fleets are remembered, by which a node that reports late is known.
_REMEMBERED = 4


@dataclass
class Earlier:
    """The fleets that nodes were asked to come to. What a node has is known by its digest alone."""

    _fleets: list[Fleet] = field(default_factory=list)

    def add(self, fleet: Fleet) -> None:
        if not any(each is fleet for each in self._fleets):
            self._fleets = [*self._fleets, fleet][-_REMEMBERED:]

    def steps(self, moment: Moment, nodes: Iterable[str]) -> dict[str, tuple[Step, ...]]:
        """
        What leads each of these nodes from what it has to what it should have. Nodes that have something else, or need
        more than peers, are left out.
        """
        after = moment.fleet()
        known = [
            (before, {name: Steps(state, after.networks[name]) for name, state in before.networks.items()})
            for before in self._fleets
            if before is not after and before.networks.keys() == after.networks.keys()
        ]
        found = ((node, _steps_of(node, after, known, moment)) for node in nodes)
        by_step: dict[tuple[Step, ...], list[str]] = {}
        for node, steps in found:
            if steps:
                by_step.setdefault(steps, []).append(node)
        largest = sorted(by_step, key=lambda steps: -len(by_step[steps]))[:MOST_JOBS]
        return {node: steps for steps in largest for node in by_step[steps]}


_earlier: dict[str, Earlier] = {}


def earlier(place: str) -> Earlier:
    """Those that this process knows of the registry at this place."""
    return _earlier.setdefault(place, Earlier())


def _steps_of(
    node: str, after: Fleet, known: Sequence[tuple[Fleet, Mapping[str, Steps]]], moment: Moment
) -> tuple[Step, ...]:
    found = []
    for name, state in after.networks.items():
        report = moment.applied.get((name, node))
        if node not in state.members:
            if report is not None:
                return ()
            continue
        if report is None or report.digest == state.digest(node):
            if report is None:
                return ()
            continue
        step = _step(name, node, report, known)
        if step is None:
            return ()
        found.append(step)
    return tuple(found)


def _step(name: str, node: str, report: Applied, known: Sequence[tuple[Fleet, Mapping[str, Steps]]]) -> Step | None:
    for before, steps in reversed(known):
        if node in before.networks[name].members and before.digest(name, node) == report.digest:
            return steps[name].of(node)
    return None


def delta_arguments(
    moment: Moment, drop: Mapping[str, Collection[str]], peers: Mapping[str, Collection[Any]] | None = None
) -> list[Any]:
    """
    The arguments of the job ``wireguard.delta``, as Salt publishes them.

    :param moment: taken after the change, so that nothing older takes it back
    :param drop: network -> public keys of the peers to drop
    :param peers: network -> the peers to set
    """
    networks = moment.unguarded.networks
    withdrawn = {
        name: [key for key in keys if key in networks[name].withdrawn]
        for name, keys in drop.items()
        if name in networks
    }
    words: dict[str, Any] = {"__kwarg__": True, "generation": moment.unguarded.generation, "withdrawn": withdrawn}
    if peers:
        words["peers"] = {name: {peer.name: peer.to_dict() for peer in each} for name, each in peers.items()}
    return [{name: [*keys] for name, keys in drop.items()}, words]


def step_arguments(moment: Moment, steps: Collection[Step]) -> list[Any]:
    """The same for steps."""
    drop = {step.network: step.drop for step in steps if step.drop}
    return delta_arguments(moment, drop, {step.network: step.peers for step in steps if step.peers})
