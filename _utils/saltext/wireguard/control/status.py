"""What the nodes should have, what they proved to have, and what they see of each other now: side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..master.master import Moment
from ..master.status import Status
from ..model.sight import Sight
from ..observe.pairs import End, Pair, State, pairs
from .asking import ask_nodes, members
from .operator import Operator

# Why nothing is known of what a node sees that answered.
NO_INTERFACE = "has no interface of this network"


@dataclass(frozen=True)
class Picture:
    """
    A look at the fleet. ``sights``: network -> node -> what it says of that network; who said nothing about itself is
    missing, and ``silent`` says why: node -> text.
    """

    statuses: list[Status]
    pairs: list[Pair]
    sights: Mapping[str, Mapping[str, Sight]]
    silent: Mapping[str, str]


def status(operator: Operator, network: str | None, node: str | None, timeout: float) -> dict[str, Any]:
    """``salt-run wireguard.status``."""
    picture = look(operator, network, node, timeout)
    counts = Counter((pair.network, end.node, pair.state) for pair in picture.pairs for end in pair.ends)
    return {
        "answer": _sentence(picture),
        "nodes": [_node(each, picture, counts) for each in picture.statuses],
        "pairs": [_pair(each) for each in sorted(picture.pairs, key=_worst_first)],
    }


def look(operator: Operator, network: str | None, node: str | None, timeout: float) -> Picture:
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
    sights, silent = ask_nodes(operator, moment, concerned, "wireguard.status", [], Sight.from_dict, timeout)
    found = [pair for name in names for pair in _pairs(moment, name, sights.get(name, {}), node)]
    return Picture(chosen, found, sights, silent)


def _pairs(moment: Moment, network: str, sights: Mapping[str, Sight], node: str | None) -> Iterable[Pair]:
    state = moment.unguarded.networks[network]
    return (
        pair for pair in pairs(network, state, sights) if node is None or node in (pair.ends[0].node, pair.ends[1].node)
    )


# -- rows


def _sentence(picture: Picture) -> str:
    in_sync = sum(1 for each in picture.statuses if each.reason is None)
    counts = Counter(pair.state for pair in picture.pairs)
    disagreeing = sum(1 for pair in picture.pairs if pair.disagrees)
    found = ", ".join(f"{counts[state]} {state.name}" for state in State if counts[state]) or "none"
    sentence = f"{in_sync} of {len(picture.statuses)} nodes in sync; pairs: {found}"
    return sentence + (f"; the ends of {disagreeing} disagree" if disagreeing else "")


def _worst_first(pair: Pair) -> tuple[bool, int, str, str, str]:
    return not pair.disagrees, -pair.state, pair.network, pair.ends[0].node, pair.ends[1].node


def _node(status: Status, picture: Picture, counts: Mapping[tuple[str, str, State], int]) -> dict[str, Any]:
    node = status.member.node
    sight = picture.sights.get(status.network, {}).get(node)
    problem = picture.silent.get(node) or (NO_INTERFACE if sight is None else sight.error)
    return {
        "network": status.network,
        "node": node,
        "in_sync": status.reason is None,
        "why": status.reason,
        "interface_up": sight.up if sight and problem is None else None,
        "mtu": sight.mtu if sight and problem is None else None,
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
