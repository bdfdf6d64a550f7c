"""
Who talks to whom in a network, and at which endpoint.

Two participants are peers when a link of the mesh file joins them; without links, everybody is everybody's peer. Which
endpoint one uses for another depends on where both are:

1. what the other's ``endpoints`` say for this one's site;
2. on the same site, the best address that the other offers of itself: the inside one;
3. what the other's ``endpoint`` says, which may be that it cannot be reached;
4. the best that it offers of itself; from another site only a public address.

Of several endpoints, and of addresses that a node offers, it is the first of an IP version that this one has itself.

A hub passes packets on between those that it is linked with. WireGuard sends what has one destination to one peer, so
each participant has one hub at a time, its first: behind that are the network's subnets, and the routes of those that
the participant has no link with. Two that are linked and cannot reach each other go by their common hub as well.

Routes, the networks behind a participant, are not told to those that are in these networks themselves: their own
neighbours would be behind the tunnel for them.

An exit node is behind everything that no other peer is, for those that go ``via`` it. The two are peers whether or not
one can reach the other: without a way to its exit, a node has none at all.

Participants that see the others alike share one list of peers: so a fleet of thousands costs a list for each kind of
participant, and not one for each participant.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from itertools import combinations_with_replacement

from ..meshfile.mesh import EVERYBODY, Link, NodeSettings, ends_of
from ..model.addresses import DEFAULTS, Address, Subnet
from ..model.endpoint import Endpoint, best, kind_of
from ..model.view import DIGEST_SIZE, Peer


@dataclass(frozen=True)
class Participant:
    """
    A registered node, or an external peer.

    ``settings`` are what the mesh file says of it; ``addresses`` are all that it has, and ``offered`` those at which
    the node itself says that it can be reached, best first. ``preshared``: whether it has preshared keys with nodes.
    """

    name: str
    public_key: str
    addresses: tuple[Address, ...]
    settings: NodeSettings
    offered: tuple[str, ...] = ()
    next_key: str | None = None
    preshared: bool = False


@dataclass(frozen=True)
class _Kind:
    """
    What of a participant decides how it sees the others, and can be reached by them.

    ``ends``: of the links that it is at. ``hub``: the name of the one that it uses. ``has``: the kinds of its
    addresses. ``no_routes``: those that it must not have. ``via``: its exit node; ``exit``: its own name where it is
    one's. ``endpoint``, ``offered`` and ``public``: the kinds of which a machine needs an address to reach it at its
    endpoint, at what it offers, and at what of that is public.
    """

    ends: frozenset[str]
    site: str | None
    hub: str | None
    has: frozenset[str]
    no_routes: frozenset[Subnet]
    via: str | None
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
        """Of who offers no address, it is not known which ones it has."""
        return bool(needed) and (not self.has or not self.has.isdisjoint(needed))


@dataclass(frozen=True)
class Relayed:
    """So many ``pairs`` of these ``nodes`` are linked, cannot reach each other, and meet by way of ``hub``."""

    hub: str
    pairs: int
    nodes: tuple[str, ...]


@dataclass(frozen=True)
class _Seen:
    """The peers of one kind, in order of name, and their concatenated digests."""

    peers: tuple[Peer, ...]
    places: Mapping[str, int]
    digests: memoryview


class Topology:
    """
    :param subnets: of the network, which a hub leads to
    :param links: None joins everybody with everybody
    :param keepalive: seconds, for those behind NAT
    :param groups: of the mesh file: an end of a link that is one of these is no participant of the same name
    """

    def __init__(
        self,
        participants: Iterable[Participant],
        subnets: Sequence[Subnet],
        links: Sequence[Link] | None,
        keepalive: int,
        groups: Collection[str] = (),
    ) -> None:
        self._participants = {each.name: each for each in sorted(participants, key=lambda each: each.name)}
        self._subnets = subnets
        self._keepalive = keepalive
        self._groups = groups
        self._opposite = _opposite(((EVERYBODY, EVERYBODY),) if links is None else links)
        self._ends = {name: self._ends_of(each) for name, each in self._participants.items()}
        self._hubs = sorted((each for each in self._participants.values() if each.settings.hub), key=_preference)
        self._exits = frozenset(each.settings.via for each in self._participants.values() if each.settings.via)
        self._routes = [(each, route) for each in self._participants.values() for route in each.settings.routes]
        self._kinds = {name: self._kind(each) for name, each in self._participants.items()}
        self._seen: dict[_Kind, _Seen] = {}
        self._linked_names: dict[frozenset[str], frozenset[str]] = {}
        self._made: dict[tuple[str, frozenset[str], str | None, int], Peer] = {}

    def peers(self, name: str) -> tuple[Peer, ...]:
        """The peers of a participant, in order of name."""
        seen = self._seen_by(self._kinds[name])
        place = seen.places.get(name)
        return seen.peers if place is None else seen.peers[:place] + seen.peers[place + 1 :]

    def digests(self, name: str) -> tuple[memoryview, memoryview]:
        """The digests of these peers, concatenated, in two parts: without making a list for each participant."""
        seen = self._seen_by(self._kinds[name])
        place = seen.places.get(name, len(seen.peers))
        start = place * DIGEST_SIZE
        return seen.digests[:start], seen.digests[start + DIGEST_SIZE :]

    def linked(self, name: str) -> frozenset[str]:
        """The names of those that a participant is linked with, its peers or not; one object for those alike."""
        ends = self._ends[name]
        if ends not in self._linked_names:
            self._linked_names[ends] = frozenset(other for other in self._participants if self._linked(ends, other))
        return self._linked_names[ends]

    def views(self) -> Iterator[tuple[Peer, ...]]:
        """The peers of each kind of participant; several of a kind are among their own peers."""
        for kind, names in self._alike().items():
            yield self.peers(names[0]) if len(names) == 1 else self._seen_by(kind).peers

    def never_meet(self) -> Iterator[tuple[frozenset[str], frozenset[str]]]:
        """
        Pairs of groups of participants: nobody of the one meets anybody of the other, as neither can reach the other.
        Where a group is paired with itself, that is about any two of it.
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
        """The pairs that meet through a hub, because neither has an endpoint for the other."""
        nodes: dict[str, set[str]] = {}
        pairs: dict[str, int] = {}
        for (one, names), (other, others) in combinations_with_replacement(self._alike().items(), 2):
            number = len(names) * (len(names) - 1) // 2 if one == other else len(names) * len(others)
            if one.hub and number and not self._meet(one, other) and self._joined(one, other):
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
            no_routes=frozenset(route for owner, route in self._routes if _is_inside(participant, owner, route)),
            via=settings.via,
            exit=participant.name if participant.name in self._exits else None,
            is_behind_nat=settings.endpoint is False,
            endpoint=_reached_from(settings.endpoint or ()),
            has_endpoint_for=frozenset(settings.endpoints),
            offered=_reached_from(Endpoint(text) for text in participant.offered),
            public=_reached_from(Endpoint(text) for text in participant.offered if ip_address(text).is_global),
        )

    def _linked(self, ends: frozenset[str], name: str) -> bool:
        return any(not self._opposite[end].isdisjoint(self._ends[name]) for end in ends)

    def _joined(self, one: _Kind, other: _Kind) -> bool:
        return any(not self._opposite[end].isdisjoint(other.ends) for end in one.ends)

    def _meet(self, one: _Kind, other: _Kind) -> bool:
        """Whether one of two that are linked can reach the other, or there is no hub to do better, or instead of it."""
        if (one.via and one.via == other.exit) or (other.via and other.via == one.exit):
            return True
        return one.can_reach(other) or other.can_reach(one) or one.hub is None or one.hub != other.hub

    def _seen_by(self, kind: _Kind) -> _Seen:
        if kind not in self._seen:
            met = [
                each
                for name, each in self._participants.items()
                if self._linked(kind.ends, name) and self._meet(kind, self._kinds[name])
            ]
            behind = self._networks_behind(kind, met)
            peers = tuple(self._peer(kind, each, behind.get(each.name, frozenset())) for each in met)
            places = {peer.name: place for place, peer in enumerate(peers)}
            self._seen[kind] = _Seen(peers, places, memoryview(b"".join([peer.digest for peer in peers])))
        return self._seen[kind]

    def _networks_behind(self, kind: _Kind, met: Sequence[Participant]) -> dict[str, frozenset[str]]:
        """Name of a peer -> the networks behind it; each network is behind one peer only."""
        names = {each.name for each in met}
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
            behind.setdefault(name, set()).add(str(network))
        return {name: frozenset(networks) for name, networks in behind.items()}

    def _peer(self, viewer: _Kind, participant: Participant, behind: frozenset[str]) -> Peer:
        """One object for all that see this participant alike."""
        endpoint = _endpoint(viewer, participant)
        must_hold_open = endpoint and not self._kinds[participant.name].can_reach(viewer)
        keepalive = self._keepalive if must_hold_open else 0
        alike = (participant.name, behind, endpoint, keepalive)
        if alike not in self._made:
            self._made[alike] = Peer(
                participant.name,
                participant.public_key,
                tuple(sorted({*_host_networks(participant.addresses), *behind})),
                endpoint,
                keepalive,
                participant.next_key,
                participant.preshared,
            )
        return self._made[alike]


def _preference(participant: Participant) -> tuple[int, str]:
    return participant.settings.priority, participant.name


def _is_inside(participant: Participant, owner: Participant, route: Subnet) -> bool:
    """Whether a participant is where this route of the owner leads to."""
    same_site = owner.settings.site is not None and owner.settings.site == participant.settings.site
    is_route_of_its_own = route in participant.settings.routes
    return same_site or is_route_of_its_own or any(ip_address(text) in route for text in participant.offered)


def _opposite(links: Sequence[Link]) -> dict[str, set[str]]:
    """End of a link -> the ends that it is joined with."""
    opposite: dict[str, set[str]] = {}
    for one, other in links:
        opposite.setdefault(one, set()).add(other)
        opposite.setdefault(other, set()).add(one)
    return opposite


def _endpoint(viewer: _Kind, participant: Participant) -> str | None:
    """Where the viewer reaches the participant; None where it cannot, and waits for the other to connect."""
    settings = participant.settings
    inside = settings.endpoints.get(viewer.site) if viewer.site else None
    if inside:
        return inside.with_port(settings.port)
    same_site = viewer.site == settings.site
    if viewer.site and same_site and participant.offered:
        return _offered(viewer, participant, participant.offered)
    if settings.endpoint is False:
        return None
    if settings.endpoint:
        return best(settings.endpoint, viewer.has).with_port(settings.port)
    public = [text for text in participant.offered if ip_address(text).is_global]
    return _offered(viewer, participant, participant.offered if same_site else public)


def _reached_from(endpoints: Iterable[Endpoint]) -> frozenset[str]:
    return frozenset(kind for endpoint in endpoints for kind in endpoint.reached_from)


def _offered(viewer: _Kind, participant: Participant, addresses: Sequence[str]) -> str | None:
    endpoints = [Endpoint(str(ip_address(text))) for text in addresses]
    return best(endpoints, viewer.has).with_port(participant.settings.port) if endpoints else None


def _host_networks(addresses: tuple[Address, ...]) -> set[str]:
    return {f"{address}/{address.max_prefixlen}" for address in addresses}
