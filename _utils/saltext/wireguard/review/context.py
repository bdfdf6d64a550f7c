"""One network with everything known about it, for the checks."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from ipaddress import ip_address

from ..errors import Problem
from ..fleet.membership import Member
from ..fleet.network import NetworkState
from ..fleet.participant import Participant, external, participant
from ..fleet.topology import Topology
from ..meshfile.mesh import Mesh, Network, Place
from ..model.addresses import Address
from ..model.endpoint import Endpoint
from ..model.peer import Peer
from ..registry.admission import excluded
from ..registry.rows import Row, Snapshot
from ..registry.salt_keys import AcceptedKey

# The endpoints of a node that has not registered: it is assumed that everybody can reach it.
_ANYWHERE = ("1.0.0.1", "2000::1")


@dataclass(frozen=True)
class Known:
    """What a master knows besides the mesh file."""

    snapshot: Snapshot
    accepted: Mapping[str, AcceptedKey]


def written_endpoints(network: Network) -> Iterator[tuple[str, Place, Endpoint]]:
    """(node or peer, place, endpoint) for all endpoints in the file that name a host. Globs have none."""
    for entry in network.nodes:
        for endpoint in (each for each in entry.endpoint or () if each.host):
            yield entry.pattern, entry.place_of("endpoint"), endpoint
        for endpoint in (entry.endpoints or {}).values():
            yield entry.pattern, entry.place_of("endpoints"), endpoint
    for peer in network.peers:
        for endpoint in peer.endpoint or ():
            yield peer.name, peer.place_of("endpoint"), endpoint


@dataclass(frozen=True)
class Reached:
    """
    An address at which a node or peer is reached. ``endpoint``: as written at ``place``; None if the node offers it.
    """

    name: str
    place: Place
    address: Address
    endpoint: Endpoint | None = None

    @property
    def is_certain(self) -> bool:
        """Whether it is the same for everybody. A name may resolve differently elsewhere."""
        return self.endpoint is None or self.endpoint.address is not None

    @property
    def host(self) -> str:
        return self.endpoint.host if self.endpoint else str(self.address)

    def __str__(self) -> str:
        at = self.endpoint or self.address
        return f"{self.name}'s endpoint {at}" + ("" if self.is_certain else f" ({self.address} for this machine)")


class Context:
    """
    One network with everything known about it. ``participants``: its nodes and external peers whose names are known.
    """

    def __init__(
        self,
        network: Network,
        mesh: Mesh,
        now: float,
        known: Known | None,
        names: Mapping[str, Collection[str]] | None,
    ) -> None:
        self.network = network
        self.mesh = mesh
        self.now = now
        self.known = known
        self.names = names
        self.state = (
            NetworkState(network, known.snapshot, known.accepted, now, networks=mesh.networks) if known else None
        )
        self.peers = {peer.name for peer in network.peers}
        self.members = self._members()
        self.participants = {name: _participant(network, member) for name, member in self.members.items()}
        with_key = self.state.peers if self.state else {}
        self.participants.update((peer.name, external(with_key.get(peer.name, peer))) for peer in network.peers)
        self.topology = Topology.of(network, self.participants.values())

    def _members(self) -> dict[str, Member]:
        """The members, and the nodes that will be members once their Salt keys are accepted."""
        members = dict(self.state.members) if self.state else {}
        for entry in self.network.nodes:
            for name in entry.ids:
                settings = self.network.settings(name)
                here = self.known and name in self.known.accepted
                if settings and not here and not excluded(settings, None, self.now):
                    members[name] = Member(name, settings)
        return members

    def place_of(self, name: str) -> Place:
        """The most specific entry of the file for a node or peer."""
        entries = self.network.entries(name)
        peer = next((peer.place for peer in self.network.peers if peer.name == name), self.network.place_of("nodes"))
        return entries[0].place if entries and name not in self.peers else peer

    @cached_property
    def written(self) -> list[tuple[str, Place, Endpoint]]:
        return [each for each in written_endpoints(self.network) if each[0] in self.participants]

    @cached_property
    def reached(self) -> list[Reached]:
        """Where everybody is reached: the endpoints in the file, and those offered by nodes that are in use."""
        found = [
            Reached(name, place, address, endpoint)
            for name, place, endpoint in self.written
            for address in self._addresses(endpoint)
        ]
        in_file = {(name, endpoint.host) for name, _, endpoint in self.written}
        offered = {
            (name, host)
            for view in self.topology.views()
            for name, host in used_endpoints(view)
            if name in self.members and self.members[name].row and (name, host) not in in_file
        }
        return found + [Reached(name, self.place_of(name), ip_address(host)) for name, host in sorted(offered)]

    def _addresses(self, endpoint: Endpoint) -> list[Address]:
        if endpoint.address:
            return [endpoint.address]
        return [ip_address(text) for text in (self.names or {}).get(endpoint.host, ())]


def used_endpoints(view: Iterable[Peer]) -> set[tuple[str, str]]:
    """(name, host of its endpoint)"""
    return {(peer.name, Endpoint.parse(peer.endpoint).host) for peer in view if peer.endpoint}


def _participant(network: Network, member: Member) -> Participant:
    unknown = Row(network.name, member.node, "", _ANYWHERE, member.settings.port, 0, "", 0.0)
    return participant(member, member.row or unknown)


Check = Callable[[Context, list[Context]], Iterator[Problem]]
