"""
Who is whose peer in a network, at which endpoint, with which allowed IPs and which keepalive.

Two participants are peers if a link of the mesh file joins them; without links, everybody is everybody's peer. Which
endpoint one uses for another depends on where both are. The first of these counts:

1. the other's ``endpoints`` for this one's site;
2. on the same site, the best address that the other offers itself, which is an inside one;
3. the other's ``endpoint``, which may be false: it cannot be reached;
4. the best address that the other offers itself, a public one from another site, or if its ``endpoint`` is a port
   alone, at which that address is reached.

Of several endpoints or offered addresses, the first of an IP version that this participant has counts.

A hub passes packets on between those that it is linked with. WireGuard sends packets for one destination to one peer,
so each participant uses one hub at a time, its first. Through that, it reaches the network's subnets, and the routes of
those that it has no link with. Two that are linked and cannot reach each other use their common hub too. Of several
hubs, or nodes with the same network behind them, a drained one comes last.

Of routes that overlap, the longest prefix wins, in the kernel as in WireGuard.

A participant does not get the routes to networks that it is in itself, nor around these: they would send traffic for
its own LAN into the tunnel. But a gateway to a part of a network does get the route to the whole.

An exit node carries all remaining traffic of those that have it as ``via``. The two are always peers, even if neither
can reach the other: without its exit, a node must not reach anything. So are those that may become its exit.

Participants that see the others alike share one list of peers, so a fleet of thousands needs a list for each kind of
participant, and not for each participant.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_network
from itertools import combinations_with_replacement
from typing import TypeVar

from ..meshfile.mesh import EVERYBODY, Link, Network, NodeSettings, ends_of
from ..model.addresses import DEFAULTS, Address, Subnet, parse_address
from ..model.endpoint import kind_of
from ..model.peer import Peer
from ..model.peer_set import PeerSet
from .participant import Kind, Participant, endpoint_for, offered_endpoint, reached_from


@dataclass(frozen=True)
class Relayed:
    """So many ``pairs`` of these ``nodes`` are linked, but reach each other only through ``hub``."""

    hub: str
    pairs: int
    nodes: tuple[str, ...]


@dataclass(frozen=True)
class _Seen:
    """The peers of one kind of participant, in order of name, and their digests."""

    peers: Mapping[str, Peer]
    digests: PeerSet


class Topology:
    """
    :param subnets: those of the network, which are behind a hub
    :param links: None joins everybody with everybody
    :param keepalive: seconds, for peers that must keep a connection open, such as those behind NAT
    :param groups: all groups; an end of a link with the name of one means the group, not a participant of that name
    :param dynamic_routing: whether a routing daemon may send everything to the only peer of each
    """

    def __init__(
        self,
        participants: Iterable[Participant],
        subnets: Sequence[Subnet],
        links: Sequence[Link] | None,
        keepalive: int,
        groups: Collection[str] = (),
        dynamic_routing: bool = False,
    ) -> None:
        self._participants = {each.name: each for each in sorted(participants, key=lambda each: each.name)}
        self._subnets = subnets
        self._keepalive = keepalive
        self._groups = groups
        self._dynamic_routing = dynamic_routing
        self._opposite = _opposite(((EVERYBODY, EVERYBODY),) if links is None else links)
        self._ends = {name: self._ends_of(each) for name, each in self._participants.items()}
        self._hubs = sorted((each for each in self._participants.values() if each.settings.hub), key=_preference)
        self._exits = frozenset(name for each in self._participants.values() for name in _exits(each.settings))
        self._routes = [(each, route) for each in self._participants.values() for route in each.settings.routes]
        self._wider = _wider({route for _, route in self._routes})
        self._known_kinds: dict[tuple[object, ...], Kind] = {}
        self._kinds = {name: self._kind(each) for name, each in self._participants.items()}
        self._seen: dict[Kind, _Seen] = {}
        self._linked_names: dict[frozenset[str], frozenset[str]] = {}
        self._made: dict[tuple[object, ...], Peer] = {}  # by name of the participant, and more

    def changed(self, changes: Mapping[str, Participant | None]) -> Topology | None:
        """
        The same with these participants in place of those of their names, or, with None, without them. What does not
        concern them is not computed again. None where one of them decides how others see each other.
        """
        before = [self._participants[name] for name in changes if name in self._participants]
        after = [each for each in changes.values() if each]
        is_exit = not self._exits.isdisjoint(changes)  # even one that never was a participant: others wait for it
        if self._dynamic_routing or is_exit or any(_carries(each.settings) for each in (*before, *after)):
            return None
        new = copy.copy(self)
        new._participants = _replaced(self._participants, changes)
        ends = {name: self._ends_of(each) if each else None for name, each in changes.items()}
        new._ends = _replaced(self._ends, ends)
        new._made = {key: peer for key, peer in self._made.items() if key[0] not in changes}
        kinds = {name: new._kind(each) if each else None for name, each in changes.items()}
        new._kinds = _replaced(self._kinds, kinds)
        new._linked_names = {}
        new._seen = {kind: new._seen_after(kind, seen, changes) for kind, seen in self._seen.items()}
        return new

    def _seen_after(self, kind: Kind, seen: _Seen, changes: Mapping[str, Participant | None]) -> _Seen:
        old = [seen.peers[name] for name in changes if name in seen.peers]
        peers = {
            name: self._peer(kind, each, frozenset()) if each and self._meets(kind, self._kinds[name]) else None
            for name, each in changes.items()
        }
        new = [peer.digest for peer in peers.values() if peer]
        return _Seen(_replaced(seen.peers, peers), seen.digests.changed([peer.digest for peer in old], new))

    @classmethod
    def of(cls, network: Network, participants: Iterable[Participant]) -> Topology:
        """That of a network in the mesh file."""
        given = (network.subnets, network.links, network.keepalive, network.groups, network.dynamic_routing)
        return cls(participants, *given)

    def peers(self, name: str) -> tuple[Peer, ...]:
        """The peers of a participant, in order of name."""
        return tuple(peer for peer in self._seen_by(self._kinds[name]).peers.values() if peer.name != name)

    def kind(self, name: str) -> Kind:
        """Participants of one kind see all others alike."""
        return self._kinds[name]

    def seen_by(self, kind: Kind) -> Mapping[str, Peer]:
        """The peers of a participant of this kind, by name; it may be among them itself."""
        return self._seen_by(kind).peers

    def hashes(self, name: str) -> bytes:
        """What identifies the set of these peers, see ``PeerSet``."""
        seen = self._seen_by(self._kinds[name])
        own = seen.peers.get(name)
        return seen.digests.hashes_without(own.digest) if own else seen.digests.hashes

    def linked(self, name: str) -> frozenset[str]:
        """The names of those that a participant is linked with. Participants with the same links share one object."""
        ends = self._ends[name]
        if ends not in self._linked_names:
            self._linked_names[ends] = frozenset(other for other in self._participants if self._linked(ends, other))
        return self._linked_names[ends]

    def views(self) -> Iterator[tuple[Peer, ...]]:
        """The peers of each kind of participant, including others of the same kind."""
        for kind, names in self._alike().items():
            yield self.peers(names[0]) if len(names) == 1 else (*self._seen_by(kind).peers.values(),)

    def never_connect(self) -> Iterator[tuple[frozenset[str], frozenset[str]]]:
        """
        Pairs of sets of peers: no member of one can connect to a member of the other, and vice versa. If a set is
        paired with itself, that is true for any two members.
        """
        out_of_reach: dict[tuple[Kind, Kind], set[str]] = {}  # (who would connect, to whom) -> names of these
        for kind in set(self._kinds.values()):
            for peer in self._seen_by(kind).peers.values():
                if peer.endpoint is None:
                    out_of_reach.setdefault((kind, self._kinds[peer.name]), set()).add(peer.name)
        pairs = {
            frozenset({frozenset(out_of_reach[to, by]), frozenset(names)})
            for (by, to), names in out_of_reach.items()
            if (to, by) in out_of_reach
        }
        for one, *other in map(list, pairs):
            yield one, (other or [one])[0]

    def relayed(self) -> Iterator[Relayed]:
        """The pairs that need a hub, because neither has an endpoint for the other."""
        nodes: dict[str, set[str]] = {}
        pairs: dict[str, int] = {}
        for (one, names), (other, others) in combinations_with_replacement(self._alike().items(), 2):
            number = len(names) * (len(names) - 1) // 2 if one == other else len(names) * len(others)
            if one.hub and number and not self._are_peers(one, other) and self._joined(one, other):
                nodes.setdefault(one.hub, set()).update(names, others)
                pairs[one.hub] = pairs.get(one.hub, 0) + number
        return (Relayed(hub, pairs[hub], tuple(sorted(nodes[hub]))) for hub in sorted(nodes))

    def _alike(self) -> dict[Kind, list[str]]:
        names: dict[Kind, list[str]] = {}
        for name, kind in self._kinds.items():
            names.setdefault(kind, []).append(name)
        return names

    def _ends_of(self, participant: Participant) -> frozenset[str]:
        ends = ends_of(participant.name, participant.settings.groups, self._groups)
        return frozenset(ends & self._opposite.keys())

    def _kind(self, participant: Participant) -> Kind:
        ends, settings = self._ends[participant.name], participant.settings
        hub = None if settings.hub else next((hub.name for hub in self._hubs if self._linked(ends, hub.name)), None)
        given = (
            ends,
            settings.site,
            hub,
            frozenset(kind_of(parse_address(text)) for text in participant.offered),
            self._no_routes(participant),
            settings.ip_versions,
            settings.via,
            _exits(settings),
            participant.name if participant.name in self._exits else None,
            settings.endpoint is False,
            reached_from(each for each in settings.endpoint or () if each.host),
            frozenset(settings.endpoints),
            reached_from(offered_endpoint(text) for text in participant.offered),
            reached_from(each for each in map(offered_endpoint, participant.offered) if each.is_global),
        )
        known = self._known_kinds.get(given)
        if known is None:
            known = self._known_kinds[given] = Kind(*given)
        return known

    def _no_routes(self, participant: Participant) -> frozenset[Subnet]:
        """The routes that a participant must not get."""
        site, own = participant.settings.site, participant.settings.routes
        at_site = {route for owner, route in self._routes if site is not None and owner.settings.site == site}
        offered = [parse_address(text) for text in participant.offered]
        inside = {route for route in self._wider if any(address in route for address in offered)} | at_site
        around = {wider for route in inside for wider in self._wider[route]}
        parts = {wider for route in own for wider in self._wider[route]}
        return frozenset({*at_site, *own, *(inside | around).difference(parts)})

    def _linked(self, ends: frozenset[str], name: str) -> bool:
        return any(not self._opposite[end].isdisjoint(self._ends[name]) for end in ends)

    def _joined(self, one: Kind, other: Kind) -> bool:
        return any(not self._opposite[end].isdisjoint(other.ends) for end in one.ends)

    def _are_peers(self, one: Kind, other: Kind) -> bool:
        """Whether two that are linked are peers: one can reach the other, or no common hub can help them."""
        if other.exit in one.exits or one.exit in other.exits:
            return True
        return one.can_reach(other) or other.can_reach(one) or one.hub is None or one.hub != other.hub

    def _meets(self, kind: Kind, other: Kind) -> bool:
        """Whether a participant of one kind is a peer of one of the other."""
        return self._joined(kind, other) and self._are_peers(kind, other)

    def _seen_by(self, kind: Kind) -> _Seen:
        if kind not in self._seen:
            met = {other for other in {*self._kinds.values()} if self._meets(kind, other)}
            participants = [each for name, each in self._participants.items() if self._kinds[name] in met]
            behind = self._networks_behind(kind, participants)
            peers = {each.name: self._peer(kind, each, behind.get(each.name, frozenset())) for each in participants}
            self._seen[kind] = _Seen(peers, PeerSet.of(peer.digest for peer in peers.values()))
        return self._seen[kind]

    def _networks_behind(self, kind: Kind, met: Sequence[Participant]) -> dict[str, frozenset[str]]:
        """Name of a peer -> the networks behind it. Each network is behind one peer only."""
        names = {each.name for each in met}
        if self._dynamic_routing:
            return dict.fromkeys(names, frozenset(DEFAULTS.values()))
        owners: dict[Subnet, str] = {}
        for owner, route in sorted(self._routes, key=lambda pair: _preference(pair[0])):
            by_hub = kind.hub if kind.hub and self._linked(self._ends[kind.hub], owner.name) else None
            next_hop = owner.name if owner.name in names else by_hub
            if next_hop and route not in kind.no_routes:
                owners.setdefault(route, next_hop)
        if kind.hub:
            owners.update(dict.fromkeys(self._subnets, kind.hub))
        if kind.via and kind.via in names:
            owners |= {ip_network(DEFAULTS[subnet.version]): kind.via for subnet in self._subnets}
        behind: dict[str, set[str]] = {}
        for network, name in owners.items():
            if network.version in kind.ip_versions & self._kinds[name].ip_versions:
                behind.setdefault(name, set()).add(str(network))
        return {name: frozenset(networks) for name, networks in behind.items()}

    def _peer(self, viewer: Kind, participant: Participant, behind: frozenset[str]) -> Peer:
        """Viewers that see this participant alike share one object."""
        endpoint, others, is_offered = endpoint_for(viewer, participant, behind)
        keepalive = self._keepalive if endpoint and not self._kinds[participant.name].can_reach(viewer) else 0
        alike = (participant.name, viewer.ip_versions, behind, endpoint, others, keepalive, is_offered)
        if alike not in self._made:
            addresses = [each for each in participant.addresses if each.version in viewer.ip_versions]
            self._made[alike] = Peer(
                participant.name,
                participant.public_key,
                tuple(sorted({*_host_networks(addresses), *behind})),
                endpoint,
                keepalive,
                participant.next_key,
                participant.preshared,
                is_offered=is_offered and endpoint is not None,
                others=others,
            )
        return self._made[alike]


def _carries(settings: NodeSettings) -> bool:
    """Whether others reach something behind a participant, or it depends on others how it sends its packets."""
    return settings.hub or bool(settings.routes or _exits(settings))


def _exits(settings: NodeSettings) -> frozenset[str]:
    return frozenset(filter(None, (settings.via, *settings.exits)))


def _preference(participant: Participant) -> tuple[bool, int, str]:
    return participant.drained, participant.settings.priority, participant.name


def _wider(routes: Collection[Subnet]) -> dict[Subnet, set[Subnet]]:
    """Route -> the others that it is a part of."""
    lengths = {(route.version, route.prefixlen) for route in routes}
    return {
        route: {
            wider
            for version, length in lengths
            if version == route.version and length < route.prefixlen
            if (wider := route.supernet(new_prefix=length)) in routes
        }
        for route in routes
    }


Value = TypeVar("Value")


def _replaced(before: Mapping[str, Value], changes: Mapping[str, Value | None]) -> dict[str, Value]:
    """The same in order of name, with these values in place of others; None for none."""
    after = {**before}
    for name, value in changes.items():
        if value is None:
            after.pop(name, None)
        else:
            after[name] = value
    return after if changes.keys() <= before.keys() else {name: after[name] for name in sorted(after)}


def _opposite(links: Sequence[Link]) -> dict[str, set[str]]:
    """End of a link -> the opposite ends."""
    opposite: dict[str, set[str]] = {}
    for one, other in links:
        opposite.setdefault(one, set()).add(other)
        opposite.setdefault(other, set()).add(one)
    return opposite


def _host_networks(addresses: Iterable[Address]) -> set[str]:
    return {f"{address!s}/{address.max_prefixlen}" for address in addresses}
