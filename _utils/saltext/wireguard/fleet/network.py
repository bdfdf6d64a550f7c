"""One network of the fleet: its members and external peers, their views and digests."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

from ..errors import Problem
from ..meshfile.mesh import DEFAULT_PORT, ExternalPeer, Network, NodeSettings, Place
from ..model.addresses import Address, ipv4_first
from ..model.hosts import HostName, Hosts, nameless
from ..model.preshared import Secret, with_secrets
from ..model.view import REGISTER, View
from ..registry.admission import expiries
from ..registry.ledger import OnPaper
from ..registry.pool import Holding, Pool, is_host, retained
from ..registry.rows import Boots, Row, Snapshot
from ..registry.salt_keys import AcceptedKey
from .membership import Member, Membership, may_have, vouched_keys
from .topology import Participant, Topology

# A pillar has at most so many keys of nodes that are no longer trusted: those that registered last.
MAX_WITHDRAWN = 500


class NetworkState:
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
        enrolled = vouched_keys(snapshot, network.name)
        self.membership = Membership(network, accepted, snapshot.standings, now, enrolled)
        self.members: dict[str, Member] = {}
        former: dict[str, list[Holding]] = {}
        for each in snapshot.former.get(network.name, ()):
            former.setdefault(each.node, []).append(each)
        self._shared_hosts: dict[frozenset[str], Hosts] = {}
        self.drains = {
            node: drain
            for (name, node), drain in snapshot.drains.items()
            if name == network.name and (drain.until is None or now < drain.until)
        }
        for node in {**accepted, **enrolled} if enrolled else accepted:
            settings = self.membership.settings(node)
            if settings is not None:
                row = snapshot.rows.get((network.name, node))
                self.members[node] = self._member(node, settings, row, accepted.get(node), former.get(node, []))
        self.peers = {peer.name: peer for each in network.peers for peer in self._with_key(each)}

    def expiries(self) -> Iterator[float]:
        """The future times at which members expire, and drains end."""
        yield from (drain.until for drain in self.drains.values() if drain.until is not None)
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
        allocated = tuple(each for each in allocated if each.version in settings.ip_versions)
        return Member(node, settings, row, allocated, has_key=key is not None)

    def _allocated(
        self, named: Collection[Address], held: Collection[Address], former: Collection[Holding] = ()
    ) -> tuple[Address, ...]:
        """
        The addresses from the registry that count besides those in the mesh file. A node that returns has its former
        addresses even before the next reconcile.
        """
        versions = {address.version for address in named}
        has = {
            address
            for address in held
            if address.version not in versions and self._network.subnet_of(address) is not None
        }
        if former:
            missing = {subnet.version for subnet in self._network.subnets} - versions - {each.version for each in has}
            has = has.union(*(retained(self._network, former, version) for version in missing))
        return tuple(sorted(has, key=int))

    def _with_key(self, peer: ExternalPeer) -> Iterator[ExternalPeer]:
        """The peer with its key and addresses from the registry, unless the file has them; nothing if it has no key."""
        export = self._snapshot.exports.get((self._network.name, peer.name))
        if peer.public_key:
            yield peer
        elif export and export.public_key:
            allocated = self._allocated(peer.addresses, export.addresses)
            yield replace(peer, public_key=export.public_key, addresses=(*peer.addresses, *allocated))

    def pool(self) -> Pool:
        """A copy of the network's address pool, to try out allocations."""
        name = self._network.name
        ledger = OnPaper(self._snapshot.holdings(name), self._snapshot.untouched.get(name, {}))
        return Pool(self.membership, ledger, self._now)

    def address_holders(self) -> list[tuple[str, Collection[Address]]]:
        """(name, its addresses in the mesh file) of every node and peer that gets the others from the registry."""
        nodes = [(node, member.settings.addresses) for node, member in sorted(self.members.items()) if member.row]
        exported = (
            self._network.peer(peer) for name, peer in sorted(self._snapshot.exports) if name == self._network.name
        )
        return [*nodes, *((peer.name, peer.addresses) for peer in exported if peer and not peer.public_key)]

    def addresses_outside(self) -> dict[str, list[Address]]:
        """Node or peer -> its addresses that lie in no subnet."""
        away: dict[str, set[Address]] = {}
        for each in self._snapshot.holdings(self._network.name):
            if each.freed is None and not is_host(self._network, each.address):
                away.setdefault(each.node, set()).add(each.address)
        outside = {}
        for name, named in self.address_holders() if away else ():
            versions = {address.version for address in named}
            addresses = [address for address in away.get(name, ()) if address.version not in versions]
            if addresses:
                outside[name] = ipv4_first(addresses)
        return outside

    @cached_property
    def registered(self) -> frozenset[str]:
        """The members that have a registration."""
        return frozenset(member.node for member in self.members.values() if member.row)

    def view(self, node: str) -> View:
        """
        The view of the member ``node``, except the generation, which the fleet adds. A member that has not registered
        has no peers.
        """
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
                offers=member.settings.offers,
                expected_subnets=tuple(str(each) for each in network.subnets if member.may_have(each)),
                expected_routes=self._expected_routes(member),
            )
        return replace(self._interface(member, member.row), peers=self._topology.peers(node))

    def _expected_routes(self, member: Member) -> tuple[str, ...]:
        """The routes of other sites: which of them a node has depends on endpoints that it has not offered yet."""
        site = member.settings.site
        others = [other.settings for other in self.members.values() if other is not member]
        away = [each.routes for each in others if site is None or each.site != site]
        routes = {route for each in (*away, *(peer.routes for peer in self.peers.values())) for route in each}
        return tuple(sorted(str(each) for each in routes.difference(member.settings.routes) if member.may_have(each)))

    def view_with_secrets(self, node: str) -> View:
        """The same with its preshared keys."""
        row = self.members[node].row
        return with_secrets(self.view(node), self._secret, row.next_key) if self._secret and row else self.view(node)

    def view_of_peer(self, peer: str) -> View:
        """
        The view of an external peer that has a key, with its preshared keys, which are for nobody else.
        """
        network, mine = self._network, self.peers[peer]
        secret = self._secret if mine.preshared_key else None
        view = View(
            interface=network.interface,
            addresses=tuple(self._with_prefix(address) for address in mine.addresses),
            peers=tuple(
                replace(other, next_key=None, preshared=other.preshared and mine.preshared_key, others=())
                for other in self._topology.peers(peer)
            ),
            network=network.name,
            port=mine.endpoint[0].port if mine.endpoint else None,
            mtu=network.mtu,
            public_key=mine.public_key,
            preshared=secret.name if secret else None,
            dns=network.dns if mine.dns is None else mine.dns or (),
            dynamic_routing=network.dynamic_routing,
        )
        return with_secrets(view, secret, None) if secret else view

    def carriers(self, member: str) -> dict[str, str]:
        """Network -> the peer of a member through which it reaches that; also the addresses of the peers."""
        return {network: peer.name for peer in self._topology.peers(member) for network in peer.allowed_ips}

    def is_current(self, peer: str) -> bool:
        """Whether the last export of a peer that has a key is up to date."""
        export = self._snapshot.exports.get((self._network.name, peer))
        return export is not None and bool(export.exported) and self.view_of_peer(peer).digest == export.digest

    def digests(self) -> dict[str, str]:
        """
        The digests of the views of all registered members.

        They are computed without the views: making 5,000 tuples of 5,000 peers takes longer than the hashing.
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
            withdrawn=self.withdrawn,
            clones=boots.clones,
            preshared=self._secret.name if self._secret else None,
            hosts=self._hosts(member.node) if network.hosts else None,
            offers=member.settings.offers,
            offered=row.endpoints,
            dynamic_routing=network.dynamic_routing,
            **self._exit_settings(member),
        )

    @cached_property
    def withdrawn(self) -> tuple[str, ...]:
        """
        The public keys of nodes that are no longer trusted: revoked, expired, or without the Salt key that signed their
        registration. Nodes that only left the mesh file are not among them: a slip there must not cut off the nodes
        behind them.
        """
        present = {key for member in self.members.values() if member.row for key in member.row.keys}
        rows = [row for (name, _), row in self._snapshot.rows.items() if name == self._network.name]
        gone = sorted((row for row in rows if self.membership.is_withdrawn(row)), key=lambda row: -row.registered)
        keys = {key: None for row in gone for key in row.keys if key not in present}
        return tuple(sorted([*keys][:MAX_WITHDRAWN]))

    def _hosts(self, node: str) -> Hosts:
        """The names of all that the node is linked with, and its own. Nodes with the same links share one object."""
        linked = self._topology.linked(node)
        if node not in linked:
            return self._hosts_of(linked | {node})
        if linked not in self._shared_hosts:
            self._shared_hosts[linked] = self._hosts_of(linked)
        return self._shared_hosts[linked]

    def _hosts_of(self, names: Collection[str]) -> Hosts:
        known = sorted(self._host_names.keys() & names)
        return Hosts(tuple(self._host_names[name] for name in known), self._network.domain)

    @cached_property
    def _host_names(self) -> dict[str, HostName]:
        """The host names of registered members and peers, if a hosts file can have them."""
        machines = {m.node: m.addresses for m in self.members.values() if m.row}
        machines.update((peer.name, peer.addresses) for peer in self.peers.values())
        left_out = nameless({name: self._network.names(name) for name in machines}, self._network.domain)
        return {
            name: HostName(name, tuple(str(address) for address in addresses))
            for name, addresses in machines.items()
            if name not in left_out
        }

    def _with_exit(self, settings: NodeSettings) -> NodeSettings:
        return replace(settings, via=self._exit_of(settings.exits)) if settings.exits else settings

    def _exit_of(self, exits: Sequence[str]) -> str | None:
        """
        The first of these exits that is not drained; else the first that is a member; else the first that ever was one:
        without its exit, a node must not reach anything.
        """
        present = [name for name in exits if name in self.registered]
        fit = [name for name in present if name not in self.drains]
        gone = [name for name in exits if (self._network.name, name) in self._snapshot.rows]
        return next(iter([*fit, *present, *gone]), None)

    def _exit_settings(self, member: Member) -> dict[str, Any]:
        """
        A node keeps its own default route until its exit node has registered. From then on, all its traffic goes
        through the exit, even if that is gone.
        """
        via = self._exit_of(member.settings.exits)
        if via is None:
            return {}
        others = (other.settings(member.node) for other in self._others)
        return {"via": via, "other_ports": tuple(sorted(settings.port for settings in others if settings))}

    @cached_property
    def _topology(self) -> Topology:
        network = self._network
        registered = [
            participant(
                replace(member, settings=self._with_exit(member.settings)),
                self._without_inner_endpoints(member.row),
                network.preshared_keys,
                member.node in self.drains,
            )
            for member in self.members.values()
            if member.row
        ]
        peers = [replace(each, settings=self._with_exit(each.settings)) for each in map(external, self.peers.values())]
        return Topology.of(network, registered + peers)

    def _without_inner_endpoints(self, row: Row) -> Row:
        """
        No node offers an address from inside the mesh, unless it lies: each packet to there would be wrapped by the
        same tunnel again, and be another packet to there.
        """
        inner = self._held.intersection(row.endpoints)
        return replace(row, endpoints=tuple(each for each in row.endpoints if each not in inner)) if inner else row

    @cached_property
    def _held(self) -> frozenset[str]:
        """The addresses that anybody has in any network of the mesh."""
        rows, exports = self._snapshot.rows.values(), self._snapshot.exports.values()
        held = [*(each.addresses for each in rows), *(each.addresses for each in exports)]
        for network in (self._network, *self._others):
            held += [*(each.addresses for each in network.nodes), *(each.addresses for each in network.peers)]
        return frozenset(str(address) for addresses in held for address in addresses)

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
            yield peer.place.problem(f"{message}; a peer has a key of its own")


def _taken(place: Place, address: Address, holder: str | None) -> Problem:
    message = f"{address} was already given to {holder}; choose another address, or give {holder} one by `addresses:`"
    return place.problem(message)


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
