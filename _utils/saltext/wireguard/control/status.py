"""What the nodes should have, what they proved to have, and what they see of each other now: side by side."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import ConfigError
from ..master.master import Moment
from ..master.status import Status, statuses
from ..model.sight import Sight
from ..observe.pairs import End, Pair, State, pairs
from ..wording import one_line, some
from . import tables
from .node_query import NodeQuery
from .operator import FAILED, Operator, exiting
from .progress import Progress

# Why nothing is known of what a node sees.
NO_ANSWER = "no answer"
NOT_ASKED = "cannot be asked: no salt-master runs here"
NO_MINION = "cannot be asked: it has no minion"
NO_INTERFACE = "has no interface of this network"

# How often `wait` looks again.
AGAIN_SECONDS = 2.0


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


def wait(operator: Operator, network: str | None, node: str | None, until: str, timeout: float) -> dict[str, Any]:
    """``salt-run wireguard.wait``."""
    if until not in _MISSING:
        raise ConfigError(f"until must be {' or '.join(_MISSING)}, not {one_line(str(until), 50)!r}")
    tables.refuse_unknown(operator, network)
    started = time.monotonic()
    progress = Progress(operator.progress)
    while True:
        missing = _MISSING[until](operator, network, node)
        seconds = time.monotonic() - started
        if not missing or seconds + AGAIN_SECONDS > timeout:
            break
        progress.wait_for(missing)
        time.sleep(AGAIN_SECONDS)
    answer = {"answer": f"not {until} yet: {some(missing)}" if missing else until, "seconds": round(seconds, 1)}
    return exiting(FAILED if missing else 0, answer | {"missing": missing})


def look(operator: Operator, network: str | None, node: str | None, timeout: float) -> Picture:
    """
    Ask the nodes what they see, and put it together.

    :param network: only this one
    :param node: only what concerns this one: it and its peers are asked
    :raises ConfigError: if there is none such
    """
    tables.refuse_unknown(operator, network)
    moment = operator.master.moment()
    chosen = _chosen(moment, network, node)
    names = {each.network for each in chosen}
    expected = [pair for name in sorted(names) for pair in _pairs(moment, name, {}, node)]
    concerned = {end.node for pair in expected for end in pair.ends} | {each.member.node for each in chosen}
    answers, silent = _ask(operator, moment, concerned, timeout)
    sights = {name: {who: said[name] for who, said in answers.items() if name in said} for name in names}
    found = [pair for name in sorted(names) for pair in _pairs(moment, name, sights[name], node)]
    return Picture(chosen, found, sights, silent)


def _chosen(moment: Moment, network: str | None, node: str | None) -> list[Status]:
    known = [each for each in statuses(moment) if network in (None, each.network)]
    found = [each for each in known if node in (None, each.member.node)]
    if node is not None and not found:
        where = f"network {network}" if network else "any network"
        raise ConfigError(f"{one_line(node)!r} is no member of {where}; see `salt-run wireguard.nodes`")
    return sorted(found, key=lambda each: (each.network, each.member.node))


def _pairs(moment: Moment, network: str, sights: Mapping[str, Sight], node: str | None) -> Iterable[Pair]:
    state = moment.unguarded.networks[network]
    return (
        pair for pair in pairs(network, state, sights) if node is None or node in (pair.ends[0].node, pair.ends[1].node)
    )


def _ask(
    operator: Operator, moment: Moment, nodes: Collection[str], timeout: float
) -> tuple[dict[str, dict[str, Sight]], dict[str, str]]:
    """(node -> network -> what it says, node -> why it says nothing)."""
    asked = {node for node in nodes if node in moment.keys}
    silent = {node: NO_MINION for node in nodes if node not in asked}
    if not operator.has_master():
        return {}, silent | dict.fromkeys(asked, NOT_ASKED)
    with operator.bus() as bus:
        query = NodeQuery(bus, timeout, Progress(operator.progress))
        answers = query.ask("wireguard.status", asked, [], Sight.from_dict) if asked else {}
    silent |= {node: answer for node, answer in answers.items() if isinstance(answer, str)}
    silent |= dict.fromkeys(asked - answers.keys(), NO_ANSWER)
    return {node: answer for node, answer in answers.items() if not isinstance(answer, str)}, silent


# -- what `wait` waits for: the names of what is missing


def _out_of_sync(operator: Operator, network: str | None, node: str | None) -> list[str]:
    return sorted({each.member.node for each in _chosen(operator.master.moment(), network, node) if each.reason})


_MISSING = {"in_sync": _out_of_sync}


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
    sight = picture.sights[status.network].get(node)
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
