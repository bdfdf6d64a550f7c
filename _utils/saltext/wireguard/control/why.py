"""Why one node cannot reach another: what the master knows, and then what the nodes find that are asked to look."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_network
from typing import Any

from ..errors import ConfigError
from ..fleet.network import NetworkState
from ..master.master import Moment
from ..master.status import left_out, statuses
from ..model.device import SESSION_SECONDS
from ..model.examination import Examination
from ..model.live import LiveInterface
from ..model.peer import Peer
from ..observe.why import Diagnosis, Side, diagnose, diagnose_by_hub, evidence
from ..wording import quoted
from . import tables
from .asking import ask_nodes
from .exit_codes import FAILED, exiting
from .operator import Operator

Targets = dict[str, dict[str, list[str]]]


def why(operator: Operator, one: str, other: str, network: str | None, timeout: float) -> dict[str, Any]:
    """``salt-run wireguard.why``."""
    tables.refuse_unknown(operator, network)
    if one == other:
        raise ConfigError("name two nodes")
    moment = operator.master.moment()
    name = _network(moment, one, other, network)
    found = _known(moment, name, one, other)
    if found:
        return _answer(name, found, [])
    return _answer(name, *_Inquiry(operator, moment, name, timeout).between(one, other))


def _answer(network: str, found: Diagnosis, seen: list[str]) -> dict[str, Any]:
    data = {"network": network, "cause": found.cause, "because": found.because, "remedy": found.remedy, "seen": seen}
    return exiting(0 if found.cause == "none" else FAILED, data)


# -- what the master knows


def _network(moment: Moment, one: str, other: str, network: str | None) -> str:
    """The network that both are in, or else one that either is in. Raises ConfigError."""
    states = moment.unguarded.networks
    names = [name for name in states if network in (None, name)]
    known = {name: [node for node in (one, other) if _is_known(moment, name, node)] for name in names}
    for node in (one, other):
        if not any(node in each for each in known.values()):
            where = f"network {network}" if network else "any network"
            raise ConfigError(f"{quoted(node)} is no node or external peer of {where}; see `salt-run wireguard.nodes`")
    return max(names, key=lambda name: len(known[name]))


def _is_known(moment: Moment, network: str, node: str) -> bool:
    state = moment.unguarded.networks[network]
    return node in state.members or node in state.peers or (network, node) in moment.snapshot.rows


def _known(moment: Moment, network: str, one: str, other: str) -> Diagnosis | None:
    """What needs no look at the nodes."""
    state = moment.unguarded.networks[network]
    out = {node: reason for name, node, reason in left_out(moment) if name == network}
    status = {each.member.node: each for each in statuses(moment) if each.network == network}
    for node in (one, other):
        if node not in state.members and node not in state.peers:
            reason = out.get(node, "the mesh file does not have it")
            return Diagnosis("no member", f"{node} is not in {network}: {reason}", "`salt-run wireguard.nodes`")
        if node in status and status[node].member.row is None:
            return Diagnosis("not registered", f"{node} has never registered", f"`salt {node} state.apply wireguard`")
    if one in state.registered and _next_hop(state, one, other) is None:
        return Diagnosis(
            "not linked",
            f"no link of the mesh file joins {one} and {other}, and no hub does",
            f"add a link between them to network {network} of the mesh file (docs/guides/links.md)",
        )
    return None


def _addresses(state: NetworkState, node: str) -> tuple[str, ...]:
    owner = state.members.get(node) or state.peers[node]
    return tuple(str(address) for address in owner.addresses)


def _next_hop(state: NetworkState, node: str, target: str) -> Peer | None:
    """The peer by way of which a node reaches another: that one itself, a hub, or none."""
    peers = state.view(node).peers
    direct = next((peer for peer in peers if peer.name == target), None)
    if direct:
        return direct
    wanted = [ip_address(address) for address in _addresses(state, target)]
    networks = [
        (network.prefixlen, peer)
        for peer in peers
        for network in map(ip_network, peer.allowed_ips)
        if any(address in network for address in wanted)
    ]
    return max(networks, key=lambda each: each[0])[1] if networks else None


# -- what the nodes find


class _Inquiry:
    """One inquiry in one network. Nodes are asked once, all at the same time, as both ends have to look together."""

    def __init__(self, operator: Operator, moment: Moment, network: str, timeout: float) -> None:
        self._operator = operator
        self._moment = moment
        self._network = network
        self._timeout = timeout
        self._state = moment.unguarded.networks[network]
        self._found: dict[str, Examination] = {}
        self._silent: dict[str, str] = {}

    def between(self, one: str, other: str) -> tuple[Diagnosis, list[str]]:
        """The diagnosis and the evidence."""
        asked = one if one in self._state.registered else other
        hop = _next_hop(self._state, asked, other if asked == one else one)
        hub = hop.name if hop and hop.name not in (one, other) else None
        pairs = [(one, other), (one, hub), (other, hub)] if hub else [(one, other)]
        self._examine(one, other, hub)
        sides = [self._sides(*pair, via=hub if pair == (one, other) else None) for pair in pairs]
        if hub:
            found = diagnose_by_hub(sides[0], sides[1:], hub)
        else:
            found = diagnose(*sides[0])
            if found.cause == "blocked":
                sides = [self._seen_by_others(sides[0])]
                found = diagnose(*sides[0])
        return found, evidence(side for pair in sides for side in pair)

    def _examine(self, one: str, other: str, hub: str | None) -> None:
        targets: Targets = {}

        def ping(node: str, peer: str, *names: str) -> None:
            if node in self._state.registered:
                addresses = [address for name in names for address in _addresses(self._state, name)]
                targets.setdefault(node, {})[peer] = addresses

        if hub:
            ping(one, hub, hub, other)
            ping(other, hub, hub, one)
            ping(hub, one, one)
            ping(hub, other, other)
        else:
            ping(one, other, other)
            ping(other, one, one)
        arguments = [self._network, targets]
        found, self._silent = ask_nodes(
            self._operator,
            self._moment,
            targets,
            "wireguard.examine",
            arguments,
            Examination.from_dict,
            self._timeout,
        )
        self._found = found.get(self._network, {})

    def _sides(self, one: str, other: str, via: str | None) -> tuple[Side, Side]:
        return self._side(one, other, via or other), self._side(other, one, via or one)

    def _side(self, node: str, target: str, peer: str) -> Side:
        wanted = next((each for each in self._peers(node) if each.name == peer), None)
        return Side(
            node,
            peer,
            _addresses(self._state, target),
            self._found.get(node),
            self._silent.get(node, "is no minion, so nobody can ask it"),
            wanted.endpoint if wanted else None,
        )

    def _peers(self, node: str) -> tuple[Peer, ...]:
        return self._state.view(node).peers if node in self._state.registered else ()

    def _seen_by_others(self, sides: tuple[Side, Side]) -> tuple[Side, Side]:
        """With the endpoints at which others have a session with these two."""
        others = {peer.name for side in sides for peer in self._peers(side.node)}
        nodes = (others & self._state.registered) - {side.node for side in sides}
        found, _ = ask_nodes(
            self._operator, self._moment, nodes, "wireguard.status", [], LiveInterface.from_dict, self._timeout
        )
        interfaces = [*found.get(self._network, {}).values()]
        one, other = (replace(side, seen_at=self._seen_at(side.node, interfaces)) for side in sides)
        return one, other

    def _seen_at(self, node: str, interfaces: list[LiveInterface]) -> frozenset[str]:
        row = self._moment.snapshot.rows.get((self._network, node))
        keys = row.keys if row else ()
        seen = [each.peers[key] for each in interfaces for key in keys if key in each.peers]
        return frozenset(
            each.endpoint for each in seen if each.endpoint and each.age is not None and each.age < SESSION_SECONDS
        )
