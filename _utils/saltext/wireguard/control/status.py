"""What the nodes should have, what they proved to have, and what they see of each other now: side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..master.master import Moment
from ..master.status import Status
from ..master.warnings import drained
from ..model.live import LiveInterface, State
from ..observe.pairs import End, Pair, pairs
from .asking import ask_nodes, members
from .operator import Operator

# Why nothing is known of what a node sees that answered.
NO_INTERFACE = "has no interface of this network"


@dataclass(frozen=True)
class LiveFleet:
    """
    The fleet at a ``moment``. ``interfaces``: network -> node -> what it says of that network. A node that says nothing
    is missing there, and ``silent`` says why: node -> text.
    """

    moment: Moment
    statuses: list[Status]
    pairs: list[Pair]
    interfaces: Mapping[str, Mapping[str, LiveInterface]]
    silent: Mapping[str, str]


def status(operator: Operator, network: str | None, node: str | None, timeout: float) -> dict[str, Any]:
    """``salt-run wireguard.status``."""
    return answer(look(operator, network, node, timeout))


def answer(fleet: LiveFleet) -> dict[str, Any]:
    """What an operator sees of it."""
    counts = Counter((pair.network, end.node, pair.state) for pair in fleet.pairs for end in pair.ends)
    return {
        "answer": "; ".join([_sentence(fleet), *drained(fleet.moment.snapshot, fleet.moment.now)]),
        "nodes": [_node(each, fleet, counts) for each in fleet.statuses],
        "pairs": [_pair(each) for each in sorted(fleet.pairs, key=_worst_first)],
    }


def look(operator: Operator, network: str | None, node: str | None, timeout: float) -> LiveFleet:
    """
    Ask the nodes what they see, and put it together.

    :param network: only this one
    :param node: only what concerns this one: it and its peers are asked
    :raises ConfigError: if there is none such
    """
    moment = operator.master.moment()
    chosen = members(operator, moment, network, node)
    names = sorted({each.network for each in chosen})
    expected = [pair for name in names for pair in _pairs(moment, name, {}, node)]
    concerned = {end.node for pair in expected for end in pair.ends} | {each.member.node for each in chosen}
    convert = LiveInterface.from_dict
    interfaces, silent = ask_nodes(operator, moment, concerned, "wireguard.status", [], convert, timeout)
    found = [pair for name in names for pair in _pairs(moment, name, interfaces.get(name, {}), node)]
    return LiveFleet(moment, chosen, found, interfaces, silent)


def _pairs(moment: Moment, network: str, interfaces: Mapping[str, LiveInterface], node: str | None) -> Iterable[Pair]:
    found = pairs(network, moment.unguarded.networks[network], interfaces)
    return (pair for pair in found if node is None or node in {end.node for end in pair.ends})


# -- rows


def _sentence(fleet: LiveFleet) -> str:
    in_sync = sum(1 for each in fleet.statuses if each.reason is None)
    counts = Counter(pair.state for pair in fleet.pairs)
    disagreeing = sum(1 for pair in fleet.pairs if pair.disagrees)
    found = ", ".join(f"{counts[state]} {state.name}" for state in State if counts[state]) or "none"
    sentence = f"{in_sync} of {len(fleet.statuses)} nodes in sync; pairs: {found}"
    return sentence + (f"; the ends of {disagreeing} disagree" if disagreeing else "")


def _worst_first(pair: Pair) -> tuple[bool, int, str, str, str]:
    return not pair.disagrees, -pair.state, pair.network, pair.ends[0].node, pair.ends[1].node


def _node(status: Status, fleet: LiveFleet, counts: Mapping[tuple[str, str, State], int]) -> dict[str, Any]:
    node = status.member.node
    interface = fleet.interfaces.get(status.network, {}).get(node)
    problem = fleet.silent.get(node) or (NO_INTERFACE if interface is None else interface.error)
    return {
        "network": status.network,
        "node": node,
        "in_sync": status.reason is None,
        "why": status.reason,
        "interface_up": interface.up if interface and problem is None else None,
        "mtu": interface.mtu if interface and problem is None else None,
        **{state.name: counts[status.network, node, state] for state in State},
        "problem": problem,
    }


def _pair(pair: Pair) -> dict[str, Any]:
    one, other = pair.ends
    return {
        "network": pair.network,
        "a": one.node,
        "b": other.node,
        "state": pair.state.name,
        "disagree": pair.disagrees,
        "handshake_age": pair.age,
        "kept_alive": pair.kept_alive,
        "a_sees": _end(one, pair),
        "b_sees": _end(other, pair),
    }


def _end(end: End, pair: Pair) -> dict[str, Any]:
    return {
        "state": end.state(pair.kept_alive).name,
        "lacks_peer": end.lacks,
        "handshake_age": end.seen.age if end.seen else None,
        "endpoint": end.seen.endpoint if end.seen else None,
        "roamed": end.has_roamed,
        "received": end.seen.received if end.seen else None,
        "sent": end.seen.sent if end.seen else None,
    }
