"""
Who talks to whom in a network, and where each calls the other.

Two participants are peers when a link of the mesh file joins them; without links, everybody is everybody's peer. Which
endpoint one uses for another depends on where both are:

1. what the other's ``endpoints`` say for this one's site;
2. on the same site, the best address that the other offers of itself: the inside one;
3. what the other's ``endpoint`` says, which may be that it cannot be called;
4. the best that it offers of itself; from another site only a public address.

Of addresses that a node offers, one of an IP version that the caller has itself is better.

Participants that see the others alike share one list of peers: so a fleet of thousands costs a list for each kind of
participant, and not one for each participant.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Literal

from .model import EVERYBODY, Endpoint, Link
from .pool import Address
from .view import DIGEST_SIZE, Peer


@dataclass(frozen=True)
class Participant:
    """
    A registered node, or a peer that is not a minion.

    ``endpoint`` is what the mesh file says, False that it cannot be called; ``offered`` are the addresses that the node
    itself offers, best first. ``port`` is where it listens.
    """

    name: str
    public_key: str
    addresses: tuple[Address, ...]
    port: int
    endpoint: Endpoint | Literal[False] | None = None
    endpoints: Mapping[str, Endpoint] = field(default_factory=dict)
    offered: tuple[str, ...] = ()
    groups: frozenset[str] = frozenset()
    site: str | None = None
    next_key: str | None = None


@dataclass(frozen=True)
class _Kind:
    """What of a participant decides how it sees the others: ``ends`` of links it is at, ``versions`` of IP it has."""

    ends: frozenset[str]
    site: str | None
    versions: frozenset[int]
    is_behind_nat: bool
    has_endpoint_for: frozenset[str]
    offers: bool

    def can_be_called_from(self, site: str | None) -> bool:
        """Only asked of those that are behind NAT."""
        return site is not None and (site in self.has_endpoint_for or (site == self.site and self.offers))


@dataclass(frozen=True)
class _Seen:
    """The peers of one kind, in order of name, and their concatenated digests."""

    peers: tuple[Peer, ...]
    places: Mapping[str, int]
    digests: memoryview


class Topology:
    """``keepalive``: seconds, for those behind NAT. ``links``: None joins everybody with everybody."""

    def __init__(self, participants: Iterable[Participant], links: Sequence[Link] | None, keepalive: int) -> None:
        self._participants = {each.name: each for each in sorted(participants, key=lambda each: each.name)}
        self._keepalive = keepalive
        self._opposite = _opposite(((EVERYBODY, EVERYBODY),) if links is None else links)
        self._kinds = {name: self._kind(each) for name, each in self._participants.items()}
        self._seen: dict[_Kind, _Seen] = {}
        self._made: dict[tuple[str, str | None, int], Peer] = {}

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

    def _kind(self, participant: Participant) -> _Kind:
        return _Kind(
            ends=frozenset({EVERYBODY, participant.name, *participant.groups} & self._opposite.keys()),
            site=participant.site,
            versions=frozenset(ip_address(text).version for text in participant.offered),
            is_behind_nat=participant.endpoint is False,
            has_endpoint_for=frozenset(participant.endpoints),
            offers=bool(participant.offered),
        )

    def _seen_by(self, kind: _Kind) -> _Seen:
        if kind not in self._seen:
            reached = frozenset(end for own in kind.ends for end in self._opposite[own])
            peers = tuple(
                self._peer(kind, each)
                for name, each in self._participants.items()
                if not reached.isdisjoint(self._kinds[name].ends)
            )
            places = {peer.name: place for place, peer in enumerate(peers)}
            self._seen[kind] = _Seen(peers, places, memoryview(b"".join([peer.digest for peer in peers])))
        return self._seen[kind]

    def _peer(self, viewer: _Kind, participant: Participant) -> Peer:
        """One object for all that see this participant alike."""
        endpoint = _endpoint(viewer, participant)
        must_hold_open = viewer.is_behind_nat and endpoint and not viewer.can_be_called_from(participant.site)
        keepalive = self._keepalive if must_hold_open else 0
        alike = (participant.name, endpoint, keepalive)
        if alike not in self._made:
            self._made[alike] = Peer(
                participant.name,
                participant.public_key,
                _host_networks(participant.addresses),
                endpoint,
                keepalive,
                participant.next_key,
            )
        return self._made[alike]


def _opposite(links: Sequence[Link]) -> dict[str, set[str]]:
    """End of a link -> the ends that it is joined with."""
    opposite: dict[str, set[str]] = {}
    for one, other in links:
        opposite.setdefault(one, set()).add(other)
        opposite.setdefault(other, set()).add(one)
    return opposite


def _endpoint(viewer: _Kind, participant: Participant) -> str | None:
    """Where the viewer calls the participant; None where it cannot, and waits for the other's call."""
    inside = participant.endpoints.get(viewer.site) if viewer.site else None
    if inside:
        return inside.with_port(participant.port)
    same_site = viewer.site == participant.site
    if viewer.site and same_site and participant.offered:
        return _offered(viewer, participant, participant.offered)
    if participant.endpoint is False:
        return None
    if participant.endpoint:
        return participant.endpoint.with_port(participant.port)
    public = [text for text in participant.offered if ip_address(text).is_global]
    return _offered(viewer, participant, participant.offered if same_site else public)


def _offered(viewer: _Kind, participant: Participant, addresses: Sequence[str]) -> str | None:
    """The best of these addresses that the caller has an IP version for, else the best of all."""
    usable = [text for text in addresses if ip_address(text).version in viewer.versions] or addresses
    return Endpoint(str(ip_address(usable[0]))).with_port(participant.port) if usable else None


def _host_networks(addresses: tuple[Address, ...]) -> tuple[str, ...]:
    return tuple(sorted(f"{address}/{address.max_prefixlen}" for address in addresses))
