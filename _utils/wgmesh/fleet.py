"""
The whole fleet at one moment: mesh file, registry and accepted keys, joined.

A node takes part in a network when the mesh file lists it, its Salt key is accepted, and its registration was made with
that very key; or when the mesh file lists it, and an operator vouches for its public key. Everything that nodes are
told follows from this join, and nothing remembers an earlier one.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from .accepted import AcceptedKey
from .errors import MeshError, Problem
from .hosts import HostName, Hosts, full_names, is_host_name
from .ledger import OnPaper
from .losses import Loss, Outside, losses
from .model import DEFAULT_PORT, ExternalPeer, Mesh, Network, NodeSettings, Place
from .policy import ADMITTED, REVOKED, Standing, excluded, expiries
from .pool import Address, Holding, Pool, is_host, kept
from .preshared import Secret, told
from .registry import Boots, NodeId, Registry, Row, Snapshot
from .topology import Participant, Topology
from .view import REGISTER, View


@dataclass(frozen=True)
class Member:
    """
    A minion that the mesh file and the accepted keys let in.

    ``row`` is None until it has registered. ``allocated`` are the addresses that it has from the registry, as opposed
    to those that the mesh file gives it by name. ``has_key``: whether its Salt key is accepted; if not, an operator
    vouches for it, and no job reaches it.
    """

    node: str
    settings: NodeSettings
    row: Row | None = None
    allocated: tuple[Address, ...] = ()
    has_key: bool = True

    @property
    def has_registered(self) -> bool:
        """Whether its minion did so itself."""
        return self.row is not None and not self.row.is_vouched

    @property
    def is_to_register(self) -> bool:
        """Whether there is a minion that can be asked for what ``has_registered`` lacks."""
        return self.has_key and not self.has_registered

    @property
    def addresses(self) -> tuple[Address, ...]:
        """All its addresses, IPv4 first."""
        both = {*self.settings.addresses, *self.allocated}
        return tuple(sorted(both, key=lambda address: (address.version, int(address))))


class Membership(Collection[str]):
    """The minions that a network has as members, looked up one by one: asking for one does not cost asking for all."""

    def __init__(
        self,
        network: Network,
        accepted: Mapping[str, AcceptedKey],
        standings: Mapping[NodeId, Standing],
        now: float,
        vouched: Mapping[str, str],
    ) -> None:
        """``vouched``: node -> the public key that an operator vouches for."""
        self._network = network
        self._accepted = accepted
        self._vouched = {node: key for node, key in vouched.items() if may_have(network.settings(node), key)}
        self._standings = standings
        self._now = now
        self._peers = {peer.name for peer in network.peers}

    def settings(self, node: object) -> NodeSettings | None:
        """What the mesh file says of the member; None for everybody else."""
        return None if not isinstance(node, str) or self.why_not(node) else self._network.settings(node)

    def why_not(self, node: str) -> str | None:
        """Why the node is no member; None for members."""
        if node not in self._accepted and node not in self._vouched:
            return "its Salt key is not accepted"
        if node in self._peers:
            return "a peer of the mesh file has its name"
        settings = self._network.settings(node)
        if settings is None:
            return "not in the mesh file"
        return excluded(settings, self._standings.get((self._network.name, node)), self._now)

    @cached_property
    def suspended(self) -> frozenset[str]:
        """Who would be a member but for a revocation, which can be taken back."""
        revoked = {
            node: standing
            for (network, node), standing in self._standings.items()
            if network == self._network.name and standing.state == REVOKED
        }
        admitted = {(self._network.name, node): replace(each, state=ADMITTED) for node, each in revoked.items()}
        others = Membership(self._network, self._accepted, admitted, self._now, self._vouched)
        return frozenset(node for node in revoked if node in others)

    def __contains__(self, node: object) -> bool:
        return self.settings(node) is not None

    def __iter__(self) -> Iterator[str]:
        return (node for node in {**self._accepted, **self._vouched} if node in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def may_have(settings: NodeSettings | None, public_key: str) -> bool:
    """Whether the mesh file lets the node have this public key."""
    return settings is not None and settings.public_key in (None, public_key)


class Fleet:
    """
    Views and members of every network. Raises MeshError when mesh file and registry contradict each other.

    ``now`` and ``valid_until`` are in Unix seconds: the time for which this was joined, and the next at which a node
    expires. ``losses``: what nobody must be told before an operator has said that it is meant. ``secret``: where the
    preshared keys come from, if there are any and they matter.
    """

    def __init__(
        self,
        mesh: Mesh,
        snapshot: Snapshot,
        accepted: Mapping[str, AcceptedKey],
        now: float,
        secret: Secret | None = None,
    ) -> None:
        self.mesh = mesh
        self._rows = snapshot.rows
        self.networks = {
            network.name: Joined(network, snapshot, accepted, now, secret, mesh.networks) for network in mesh.networks
        }
        moments = [moment for joined in self.networks.values() for moment in joined.expiries() if moment > now]
        self.valid_until = min(moments, default=float("inf"))
        problems = [problem for joined in self.networks.values() for problem in joined.problems()]
        if problems:
            raise MeshError(problems)
        members = {name: joined.members for name, joined in self.networks.items()}
        self._noted = snapshot.noted
        trusted = {*accepted, *vouched(snapshot)}
        self.losses: list[Loss | Outside] = [*losses(mesh, snapshot, trusted, members, now), *self._outside()]

    def _outside(self) -> Iterator[Outside]:
        for network in self.mesh.networks:
            nodes = self.networks[network.name].outside()
            if nodes:
                yield Outside(network.name, nodes, network.place_of("subnets"))

    def members(self) -> Iterator[tuple[str, Member]]:
        """(network, member) of all networks."""
        for name, joined in self.networks.items():
            for member in joined.members.values():
                yield name, member

    def views(self, node: str) -> dict[str, View]:
        """
        Network -> what ``node`` must have there, but for the preshared keys. Empty for a minion that is in no network.
        """
        return {name: joined.view(node) for name, joined in self.networks.items() if node in joined.members}

    def told(self, node: str) -> dict[str, View]:
        """The same with the preshared keys: for the node itself, and for nobody else."""
        return {name: joined.told(node) for name, joined in self.networks.items() if node in joined.members}

    def digests(self) -> dict[NodeId, str]:
        """What every registered member should report as applied. Computed once: n nodes hash n * n times 32 bytes."""
        return self._digests

    @cached_property
    def _digests(self) -> dict[NodeId, str]:
        return {
            (name, node): digest for name, joined in self.networks.items() for node, digest in joined.digests().items()
        }

    def losses_of(self, node: str) -> list[Loss | Outside]:
        """Those of the networks that the node is in, or was in when they were last settled."""
        return [
            loss
            for loss in self.losses
            if node in self._noted.get(loss.network, ())
            or (loss.network in self.networks and node in self.networks[loss.network].members)
        ]

    def was_member(self, node: str) -> bool:
        """Whether the registry remembers the node from some network."""
        return node in self._known_nodes

    @cached_property
    def _known_nodes(self) -> frozenset[str]:
        return frozenset(node for _, node in self._rows)


class Joined:
    """One network of the fleet."""

    def __init__(
        self,
        network: Network,
        snapshot: Snapshot,
        accepted: Mapping[str, AcceptedKey],
        now: float,
        secret: Secret | None = None,
        networks: Collection[Network] = (),
    ) -> None:
        """``networks``: all of the mesh, as a node may be in several."""
        self._network = network
        self._others = [other for other in networks if other is not network]
        self._snapshot = snapshot
        self._secret = secret if network.preshared_keys else None
        self._now = now
        enrolled = vouched(snapshot, network.name)
        self.membership = Membership(network, accepted, snapshot.standings, now, enrolled)
        self.members: dict[str, Member] = {}
        former: dict[str, list[Holding]] = {}
        for each in snapshot.former.get(network.name, ()):
            former.setdefault(each.node, []).append(each)
        self._shared_hosts: dict[frozenset[str], Hosts] = {}
        for node in {**accepted, **enrolled} if enrolled else accepted:
            settings = self.membership.settings(node)
            if settings is not None:
                row = snapshot.rows.get((network.name, node))
                self.members[node] = self._member(node, settings, row, accepted.get(node), former.get(node, []))
        self.peers = {peer.name: peer for each in network.peers for peer in self._with_key(each)}

    def expiries(self) -> Iterator[float]:
        """The moments to come at which members expire."""
        for node, member in self.members.items():
            yield from expiries(member.settings, self._snapshot.standings.get((self._network.name, node)))

    def _member(
        self, node: str, settings: NodeSettings, row: Row | None, key: AcceptedKey | None, former: list[Holding]
    ) -> Member:
        if row is None or not may_have(settings, row.public_key):
            return Member(node, settings)
        if not row.is_vouched and (key is None or row.salt_key != key.fingerprint):
            return Member(node, settings)
        allocated = self._allocated(settings.addresses, row.addresses, former)
        return Member(node, settings, row, allocated, has_key=key is not None)

    def _allocated(
        self, named: Collection[Address], held: Collection[Address], former: Collection[Holding] = ()
    ) -> tuple[Address, ...]:
        """
        Of the addresses that the registry has given, those that count beside these of the mesh file. Who comes back
        has what it had before, also until somebody has settled that.
        """
        versions = {address.version for address in named}
        has = {
            address
            for address in held
            if address.version not in versions and self._network.subnet_of(address) is not None
        }
        if former:
            missing = {subnet.version for subnet in self._network.subnets} - versions - {each.version for each in has}
            has = has.union(*(kept(self._network, former, version) for version in missing))
        return tuple(sorted(has, key=int))

    def _with_key(self, peer: ExternalPeer) -> Iterator[ExternalPeer]:
        """A peer, with what it has from the registry unless the file says all; nothing while it has no key."""
        export = self._snapshot.exports.get((self._network.name, peer.name))
        if peer.public_key:
            yield peer
        elif export and export.public_key:
            allocated = self._allocated(peer.addresses, export.addresses)
            yield replace(peer, public_key=export.public_key, addresses=(*peer.addresses, *allocated))

    def pool(self) -> Pool:
        """The network's addresses on paper: what is given and freed there changes nothing else."""
        name = self._network.name
        ledger = OnPaper(self._snapshot.holdings(name), self._snapshot.untouched.get(name, {}))
        return Pool(self._network, ledger, self.membership, self.membership.suspended, self._now)

    def having(self) -> list[tuple[str, Collection[Address]]]:
        """(name, the addresses that the mesh file gives it) of everybody whom the registry gives the others."""
        nodes = [(node, member.settings.addresses) for node, member in sorted(self.members.items()) if member.row]
        exported = (
            self._network.peer(peer) for name, peer in sorted(self._snapshot.exports) if name == self._network.name
        )
        return [*nodes, *((peer.name, peer.addresses) for peer in exported if peer and not peer.public_key)]

    def outside(self) -> dict[str, list[Address]]:
        """Who has addresses that no subnet has, and these."""
        away: dict[str, set[Address]] = {}
        for each in self._snapshot.holdings(self._network.name):
            if each.freed is None and not is_host(self._network, each.address):
                away.setdefault(each.node, set()).add(each.address)
        found = {}
        for name, named in self.having() if away else ():
            versions = {address.version for address in named}
            addresses = [address for address in away.get(name, ()) if address.version not in versions]
            if addresses:
                found[name] = sorted(addresses, key=lambda address: (address.version, int(address)))
        return found

    def view(self, node: str) -> View:
        """What the member ``node`` must have. A member that has not registered is told of no peers."""
        member = self.members[node]
        network = self._network
        if member.row is None:
            waiting = self._snapshot.waiting.get((network.name, node))
            return View(
                network.interface,
                (),
                network=network.name,
                port=member.settings.port,
                mtu=member.settings.mtu,
                waiting=waiting.question if waiting else None,
            )
        return replace(self._interface(member, member.row), peers=self._topology.peers(node))

    def told(self, node: str) -> View:
        """The same with its preshared keys."""
        row = self.members[node].row
        return told(self.view(node), self._secret, row.next_key) if self._secret and row else self.view(node)

    def client(self, peer: str) -> View:
        """
        What a peer that is not a minion must have, and has a key: a view like a node's, with its preshared keys, which
        are for nobody else.
        """
        network, mine = self._network, self.peers[peer]
        secret = self._secret if mine.preshared_key else None
        view = View(
            interface=network.interface,
            addresses=tuple(self._with_prefix(address) for address in mine.addresses),
            peers=tuple(
                replace(other, next_key=None, preshared=other.preshared and mine.preshared_key)
                for other in self._topology.peers(peer)
            ),
            network=network.name,
            port=mine.endpoint[0].port if mine.endpoint else None,
            mtu=network.mtu,
            public_key=mine.public_key,
            preshared=secret.name if secret else None,
        )
        return told(view, secret, None) if secret else view

    def is_current(self, peer: str) -> bool:
        """Whether a peer that has a key was given the configuration that it must have."""
        export = self._snapshot.exports.get((self._network.name, peer))
        return export is not None and bool(export.exported) and self.client(peer).digest == export.digest

    def digests(self) -> dict[str, str]:
        """
        The digests of the views of all registered members.

        Without making the views: 5,000 tuples of 5,000 peers take longer than the hashing.
        """
        return {
            member.node: self._interface(member, member.row).digest_with(*self._topology.digests(member.node))
            for member in self.members.values()
            if member.row
        }

    def _interface(self, member: Member, row: Row) -> View:
        """The view without its peers."""
        network = self._network
        waiting = self._snapshot.waiting.get((network.name, member.node))
        boots = self._snapshot.boots.get((member.node, row.salt_key), Boots())
        missing = REGISTER if member.is_to_register else None
        return View(
            interface=network.interface,
            addresses=tuple(self._with_prefix(address) for address in member.addresses),
            network=network.name,
            port=member.settings.port,
            mtu=member.settings.mtu,
            forwarding=member.settings.forwards,
            public_key=row.public_key,
            serial=row.serial,
            waiting=waiting.question if waiting else missing,
            boot=boots.current,
            clones=boots.clones,
            preshared=self._secret.name if self._secret else None,
            hosts=self._hosts(member.node) if network.hosts else None,
            **self._way_out(member),
        )

    def _hosts(self, node: str) -> Hosts:
        """The names of all that the node is linked with, and its own; one object for those that are linked alike."""
        linked = self._topology.linked(node)
        if node not in linked:
            return self._hosts_of(linked | {node})
        if linked not in self._shared_hosts:
            self._shared_hosts[linked] = self._hosts_of(linked)
        return self._shared_hosts[linked]

    def _hosts_of(self, names: Collection[str]) -> Hosts:
        found = sorted(self._host_names.keys() & names)
        return Hosts(tuple(self._host_names[name] for name in found), self._network.domain)

    @cached_property
    def _host_names(self) -> dict[str, HostName]:
        """Of registered members and peers, as far as a hosts file can have their names."""
        registered = [(m.node, m.addresses) for m in self.members.values() if m.row]
        peers = [(peer.name, peer.addresses) for peer in self.peers.values()]
        return {
            name: HostName(name, tuple(str(address) for address in addresses))
            for name, addresses in registered + peers
            if all(is_host_name(each) for each in full_names(name, self._network.domain))
        }

    def _way_out(self, member: Member) -> dict[str, Any]:
        """
        Until its exit node has registered, a node has its own way; once it has, no other one, even if the exit is gone.
        """
        via = member.settings.via
        if via is None or (self._network.name, via) not in self._snapshot.rows:
            return {}
        others = (other.settings(member.node) for other in self._others)
        return {"via": via, "beside": tuple(sorted(settings.port for settings in others if settings))}

    @cached_property
    def _topology(self) -> Topology:
        network = self._network
        registered = [
            participant(member, member.row, network.preshared_keys) for member in self.members.values() if member.row
        ]
        peers = [external(peer) for peer in self.peers.values()]
        return Topology(registered + peers, network.subnets, network.links, network.keepalive)

    def _with_prefix(self, address: Address) -> str:
        subnet = self._network.subnet_of(address)
        return f"{address}/{subnet.prefixlen if subnet else address.max_prefixlen}"

    # -- contradictions between the mesh file and the registry

    def problems(self) -> Iterator[Problem]:
        allocated = {address: m.node for m in self.members.values() for address in m.allocated}
        for peer in self._network.peers:
            given = self.peers.get(peer.name, peer).addresses
            allocated.update((address, peer.name) for address in given if address not in peer.addresses)
        for entry in self._network.nodes:
            for address in entry.addresses:
                holder = allocated.get(address)
                if holder not in (None, entry.pattern):
                    yield _taken(entry.place, address, holder)
        keys = {member.row.public_key: f"the minion {m!r}" for m, member in self.members.items() if member.row}
        exported = [self.peers[p.name] for p in self._network.peers if not p.public_key and p.name in self.peers]
        keys.update((str(peer.public_key), f"the peer {peer.name!r}") for peer in exported)
        for peer in self._network.peers:
            yield from self._peer_problems(peer, allocated, keys)

    def _peer_problems(
        self, peer: ExternalPeer, allocated: Mapping[Address, str], keys: Mapping[str, str]
    ) -> Iterator[Problem]:
        for address in peer.addresses:
            if address in allocated:
                yield _taken(peer.place, address, allocated[address])
        if peer.public_key and peer.public_key in keys:
            message = f"the public key of peer {peer.name!r} is that of {keys[peer.public_key]}"
            yield Problem(peer.place.file, peer.place.line, f"{message}; a peer has a key of its own")


def _taken(place: Place, address: Address, holder: str | None) -> Problem:
    message = f"{address} was already given to {holder}; choose another address, or give {holder} one by `addresses:`"
    return Problem(place.file, place.line, message)


def vouched(snapshot: Snapshot, network: str | None = None) -> dict[str, str]:
    """node -> the public key that an operator vouches for, in this network or in any."""
    return {
        node: row.public_key
        for (name, node), row in snapshot.rows.items()
        if row.is_vouched and network in (None, name)
    }


def participant(member: Member, row: Row, preshared: bool = False) -> Participant:
    """A registered node as ``topology`` takes it."""
    return Participant(
        member.node,
        row.public_key,
        member.addresses,
        port=member.settings.port,
        endpoint=member.settings.endpoint,
        endpoints=member.settings.endpoints,
        offered=row.endpoints,
        groups=member.settings.groups,
        site=member.settings.site,
        hub=member.settings.hub,
        routes=member.settings.routes,
        priority=member.settings.priority,
        via=member.settings.via,
        next_key=row.next_key,
        preshared=preshared,
    )


def external(peer: ExternalPeer) -> Participant:
    """A peer that is not a minion as ``topology`` takes it; with an empty key, for looks alone."""
    return Participant(
        peer.name,
        peer.public_key or "",
        peer.addresses,
        DEFAULT_PORT,
        endpoint=peer.endpoint or False,
        groups=peer.groups,
        routes=peer.routes,
        via=peer.via or None,
        preshared=peer.preshared_key,
    )


_Sources = tuple[Mesh, Snapshot, Mapping[str, AcceptedKey], Secret | None]
_current: dict[str, tuple[_Sources, Fleet]] = {}


def current(mesh: Mesh, registry: Registry, accepted: Mapping[str, AcceptedKey], secret: Secret | None = None) -> Fleet:
    """
    The fleet as it is now. Joined anew only when one of its four sources changed, or somebody expired; unchanged,
    the sources are the same objects.

    Threads may come here at once: then each may join for itself, and the last one's fleet stays. As a fleet is kept
    together with the sources that it was made from, none is ever given for others.
    """
    sources = (mesh, registry.snapshot(), accepted, secret)
    now = time.time()
    known = _current.get(registry.path)
    if known and all(old is new for old, new in zip(known[0], sources, strict=True)) and now < known[1].valid_until:
        return known[1]
    fleet = Fleet(mesh, sources[1], accepted, now, secret)
    _current[registry.path] = (sources, fleet)
    return fleet
