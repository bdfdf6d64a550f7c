"""A participant of a network: what it is, how it sees the others, and where these reach it."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_network

from ..meshfile.mesh import DEFAULT_PORT, ExternalPeer, NodeSettings
from ..model.addresses import Address, Subnet, parse_address
from ..model.endpoint import Endpoint, best, same_kind
from ..registry.rows import Row
from .membership import Member


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


@dataclass(frozen=True, eq=False)
class Kind:
    """
    The properties of a participant that decide how it sees the others, and how they reach it.

    ``ends``: the ends of links that it matches. ``hub``: the name of its hub. ``has``: the kinds of its addresses.
    ``no_routes``: routes that it must not get. ``ip_versions``: those that it takes part with. ``via``: its exit node,
    of these ``exits``. ``exit``: its own name if it is an exit node. ``endpoint``, ``offered`` and ``public``: to reach
    its endpoint, an offered address, or a public one of these, a machine needs an address of one of these kinds.

    A topology has each of them once, so that they are compared by identity.
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

    def can_reach(self, other: Kind) -> bool:
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


Others = tuple[str, ...]


def endpoint_for(viewer: Kind, participant: Participant, behind: frozenset[str]) -> tuple[str | None, Others, bool]:
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
    public = [text for text in offered if offered_endpoint(text).is_global]
    if settings.forwarded_port and public:
        return _offered(viewer, public, settings.forwarded_port), (), True
    return _offered(viewer, offered if same_site else public, settings.forwarded_port or settings.port), (), True


def _outside(behind: Iterable[str], offered: Iterable[str]) -> tuple[str, ...]:
    networks = [ip_network(text) for text in behind if not text.endswith("/0")]
    return tuple(text for text in offered if not any(parse_address(text) in network for network in networks))


def reached_from(endpoints: Iterable[Endpoint]) -> frozenset[str]:
    """The kinds of addresses of which a machine needs one to reach one of these."""
    return frozenset(kind for endpoint in endpoints for kind in endpoint.reached_from)


# Every kind of participant looks at each of thousands of addresses.
@lru_cache(maxsize=1 << 16)
def offered_endpoint(text: str) -> Endpoint:
    """An address that a node offers."""
    return Endpoint(str(parse_address(text)))


def _offered(viewer: Kind, addresses: Sequence[str], port: int) -> str | None:
    endpoints = [offered_endpoint(text) for text in addresses]
    return best(endpoints, viewer.has).with_port(port) if endpoints else None


def participant(member: Member, row: Row, preshared: bool = False, drained: bool = False) -> Participant:
    """A registered node as a participant."""
    return Participant(
        member.node, row.public_key, member.addresses, member.settings, row.endpoints, row.next_key, preshared, drained
    )


def external(peer: ExternalPeer) -> Participant:
    """An external peer as a participant; without a key, for checks alone."""
    settings = NodeSettings(
        peer.addresses,
        endpoint=peer.endpoint or False,
        port=DEFAULT_PORT,
        groups=peer.groups,
        routes=peer.routes,
        via=peer.via[0] if peer.via else None,
        exits=peer.via or (),
    )
    return Participant(peer.name, peer.public_key or "", peer.addresses, settings, preshared=peer.preshared_key)


def exit_of(
    exits: Sequence[str], members: Container[str], drained: Container[str], known: Container[str]
) -> str | None:
    """
    The first of these exits that is not drained; else the first that is a member; else the first that ever was one:
    without its exit, a node must not reach anything.
    """
    present = [name for name in exits if name in members]
    fit = [name for name in present if name not in drained]
    gone = [name for name in exits if name in known]
    return next(iter([*fit, *present, *gone]), None)
