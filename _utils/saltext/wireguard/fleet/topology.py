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

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from itertools import combinations_with_replacement

from ..meshfile.mesh import EVERYBODY, Link, Network, NodeSettings, ends_of
from ..model.addresses import DEFAULTS, Address, Subnet
from ..model.endpoint import Endpoint, best, kind_of, same_kind
from ..model.peer import DIGEST_SIZE, Peer

Others = tuple[str, ...]


@dataclass(frozen=True)
class Participant:
    """
    A registered node, or an external peer.

    ``settings``: those in the mesh file. ``addresses``: all that it has in the network. ``offered``: those that it
    offers as endpoints itself, best first. ``preshared``: whether it has preshared keys with nodes. ``drained``:
    whether the others are moved off it, wherever another one can do what it does.
    """

    name: str
    public_key: str
    addresses: tuple[Address, ...]
    settings: NodeSettings
    offered: tuple[str, ...] = ()
    next_key: str | None = None
    preshared: bool = False
    drained: bool = False


@dataclass(frozen=True)
class _Kind:
    """
    The properties of a participant that decide how it sees the others, and how they reach it.

    ``ends``: the ends of links that it matches. ``hub``: the name of its hub. ``has``: the kinds of its addresses.
    ``no_routes``: routes that it must not get. ``ip_versions``: those that it takes part with. ``via``: its exit node,
    of these ``exits``. ``exit``: its own name if it is an exit node. ``endpoint``, ``offered`` and ``public``: to reach
    its endpoint, an offered address, or a public one of these, a machine needs an address of one of these kinds.
    """

    ends: frozenset[str]
    site: str | None
    hub: str | None
    has: frozenset[str]
    no_routes: frozenset[Subnet]
    ip_versions: frozenset[int]
    via: str | None
    exits: frozenset[str]
    exit: str | None
    is_behind_nat: bool
    endpoint: frozenset[str]
    has_endpoint_for: frozenset[str]
    offered: frozenset[str]
    public: frozenset[str]

    def can_reach(self, other: _Kind) -> bool:
        is_inside = self.site == other.site
        if self.site is not None and self.site in other.has_endpoint_for:
            return True
        if self.site is not None and is_inside and other.offered:
            return self._can_use(other.offered)
        if other.is_behind_nat or other.endpoint:
            return self._can_use(other.endpoint)
        return self._can_use(other.offered if is_inside else other.public)

    def _can_use(self, needed: frozenset[str]) -> bool:
        """Nothing is known about the addresses of a participant that offers none."""
        return bool(needed) and (not self.has or not self.has.isdisjoint(needed))


@dataclass(frozen=True)
class Relayed:
    """So many ``pairs`` of these ``nodes`` are linked, but reach each other only through ``hub``."""

    hub: str
    pairs: int
    nodes: tuple[str, ...]


@dataclass(frozen=True)
class _Seen:
    """The peers of one kind of participant, in order of name, and their concatenated digests."""

    peers: tuple[Peer, ...]
    places: Mapping[str, int]
    digests: memoryview


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
        self._kinds = {name: self._kind(each) for name, each in self._participants.items()}
        self._seen: dict[_Kind, _Seen] = {}
        self._linked_names: dict[frozenset[str], frozenset[str]] = {}
        self._made: dict[tuple[object, ...], Peer] = {}

    @classmethod
    def of(cls, network: Network, participants: Iterable[Participant]) -> Topology:
        """That of a network in the mesh file."""
        given = (network.subnets, network.links, network.keepalive, network.groups, network.dynamic_routing)
        return cls(participants, *given)

    def peers(self, name: str) -> tuple[Peer, ...]:
        """The peers of a participant, in order of name."""
        seen = self._seen_by(self._kinds[name])
        place = seen.places.get(name)
        return seen.peers if place is None else seen.peers[:place] + seen.peers[place + 1 :]

    def digests(self, name: str) -> tuple[memoryview, memoryview]:
        """The concatenated digests of these peers in two parts, which avoids a copy for each participant."""
        seen = self._seen_by(self._kinds[name])
        place = seen.places.get(name, len(seen.peers))
        start = place * DIGEST_SIZE
        return seen.digests[:start], seen.digests[start + DIGEST_SIZE :]

    def linked(self, name: str) -> frozenset[str]:
        """The names of those that a participant is linked with. Participants with the same links share one object."""
        ends = self._ends[name]
        if ends not in self._linked_names:
            self._linked_names[ends] = frozenset(other for other in self._participants if self._linked(ends, other))
        return self._linked_names[ends]

    def views(self) -> Iterator[tuple[Peer, ...]]:
        """The peers of each kind of participant, including others of the same kind."""
        for kind, names in self._alike().items():
            yield self.peers(names[0]) if len(names) == 1 else self._seen_by(kind).peers

    def never_connect(self) -> Iterator[tuple[frozenset[str], frozenset[str]]]:
        """
        Pairs of sets of peers: no member of one can connect to a member of the other, and vice versa. If a set is
        paired with itself, that is true for any two members.
        """
        out_of_reach: dict[tuple[_Kind, _Kind], set[str]] = {}  # (who would connect, to whom) -> names of these
        for kind in set(self._kinds.values()):
            for peer in self._seen_by(kind).peers:
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

    def _alike(self) -> dict[_Kind, list[str]]:
        names: dict[_Kind, list[str]] = {}
        for name, kind in self._kinds.items():
            names.setdefault(kind, []).append(name)
        return names

    def _ends_of(self, participant: Participant) -> frozenset[str]:
        ends = ends_of(participant.name, participant.settings.groups, self._groups)
        return frozenset(ends & self._opposite.keys())

    def _kind(self, participant: Participant) -> _Kind:
        ends, settings = self._ends[participant.name], participant.settings
        hub = None if settings.hub else next((hub.name for hub in self._hubs if self._linked(ends, hub.name)), None)
        return _Kind(
            ends=ends,
            site=settings.site,
            hub=hub,
            has=frozenset(kind_of(ip_address(text)) for text in participant.offered),
            no_routes=self._no_routes(participant),
            ip_versions=settings.ip_versions,
            via=settings.via,
            exits=_exits(settings),
            exit=participant.name if participant.name in self._exits else None,
            is_behind_nat=settings.endpoint is False,
            endpoint=_reached_from(each for each in settings.endpoint or () if each.host),
            has_endpoint_for=frozenset(settings.endpoints),
            offered=_reached_from(Endpoint(text) for text in participant.offered),
            public=_reached_from(Endpoint(text) for text in participant.offered if ip_address(text).is_global),
        )

    def _no_routes(self, participant: Participant) -> frozenset[Subnet]:
        """The routes that a participant must not get."""
        site, own = participant.settings.site, participant.settings.routes
        at_site = {route for owner, route in self._routes if site is not None and owner.settings.site == site}
        offered = [ip_address(text) for text in participant.offered]
        inside = {route for route in self._wider if any(address in route for address in offered)} | at_site
        around = {wider for route in inside for wider in self._wider[route]}
        parts = {wider for route in own for wider in self._wider[route]}
        return frozenset({*at_site, *own, *(inside | around).difference(parts)})

    def _linked(self, ends: frozenset[str], name: str) -> bool:
        return any(not self._opposite[end].isdisjoint(self._ends[name]) for end in ends)

    def _joined(self, one: _Kind, other: _Kind) -> bool:
        return any(not self._opposite[end].isdisjoint(other.ends) for end in one.ends)

    def _are_peers(self, one: _Kind, other: _Kind) -> bool:
        """Whether two that are linked are peers: one can reach the other, or no common hub can help them."""
        if other.exit in one.exits or one.exit in other.exits:
            return True
        return one.can_reach(other) or other.can_reach(one) or one.hub is None or one.hub != other.hub

    def _seen_by(self, kind: _Kind) -> _Seen:
        if kind not in self._seen:
            met = [
                each
                for name, each in self._participants.items()
                if self._linked(kind.ends, name) and self._are_peers(kind, self._kinds[name])
            ]
            behind = self._networks_behind(kind, met)
            peers = tuple(self._peer(kind, each, behind.get(each.name, frozenset())) for each in met)
            places = {peer.name: place for place, peer in enumerate(peers)}
            self._seen[kind] = _Seen(peers, places, memoryview(b"".join([peer.digest for peer in peers])))
        return self._seen[kind]

    def _networks_behind(self, kind: _Kind, met: Sequence[Participant]) -> dict[str, frozenset[str]]:
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

    def _peer(self, viewer: _Kind, participant: Participant, behind: frozenset[str]) -> Peer:
        """Viewers that see this participant alike share one object."""
        endpoint, others, is_offered = _endpoint(viewer, participant, behind)
        keepalive = self._keepalive if endpoint and not self._kinds[participant.name].can_reach(viewer) else 0
        addresses = tuple(each for each in participant.addresses if each.version in viewer.ip_versions)
        alike = (participant.name, addresses, behind, endpoint, others, keepalive, is_offered)
        if alike not in self._made:
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


def _opposite(links: Sequence[Link]) -> dict[str, set[str]]:
    """End of a link -> the opposite ends."""
    opposite: dict[str, set[str]] = {}
    for one, other in links:
        opposite.setdefault(one, set()).add(other)
        opposite.setdefault(other, set()).add(one)
    return opposite


def _endpoint(viewer: _Kind, participant: Participant, behind: frozenset[str]) -> tuple[str | None, Others, bool]:
    """
    Where the viewer reaches the participant; None if it cannot, and the participant has to connect. Where it may be
    otherwise, with two uplinks. And whether the participant itself says so. What it offers from the networks ``behind``
    it would lead into the tunnel.
    """
    settings = participant.settings
    inside = settings.endpoints.get(viewer.site) if viewer.site else None
    if inside:
        return inside.with_port(settings.port), (), False
    same_site = viewer.site == settings.site
    offered = _outside(behind, participant.offered) if behind else participant.offered
    if viewer.site and same_site and offered:
        return _offered(viewer, offered, settings.port), (), True
    if settings.endpoint is False:
        return None, (), False
    if settings.endpoint and not settings.forwarded_port:
        chosen = best(settings.endpoint, viewer.has)
        others = tuple(each.with_port(settings.port) for each in same_kind(settings.endpoint, chosen))
        return chosen.with_port(settings.port), others, False
    public = [text for text in offered if ip_address(text).is_global]
    if settings.forwarded_port and public:
        return _offered(viewer, public, settings.forwarded_port), (), True
    return _offered(viewer, offered if same_site else public, settings.forwarded_port or settings.port), (), True


def _outside(behind: Iterable[str], offered: Iterable[str]) -> tuple[str, ...]:
    networks = [ip_network(text) for text in behind if not text.endswith("/0")]
    return tuple(text for text in offered if not any(ip_address(text) in network for network in networks))


def _reached_from(endpoints: Iterable[Endpoint]) -> frozenset[str]:
    return frozenset(kind for endpoint in endpoints for kind in endpoint.reached_from)


def _offered(viewer: _Kind, addresses: Sequence[str], port: int) -> str | None:
    endpoints = [Endpoint(str(ip_address(text))) for text in addresses]
    return best(endpoints, viewer.has).with_port(port) if endpoints else None


def _host_networks(addresses: tuple[Address, ...]) -> set[str]:
    return {f"{address}/{address.max_prefixlen}" for address in addresses}
