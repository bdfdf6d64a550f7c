"""One network of the fleet: its members and external peers, their views and digests."""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

from ..errors import Problem
from ..meshfile.mesh import ExternalPeer, Network, NodeSettings
from ..model.addresses import Address, ipv4_first
from ..model.hosts import Hosts
from ..model.preshared import Secret, with_secrets
from ..model.view import REGISTER, View, digest_of
from ..registry.admission import expiries
from ..registry.exports import Export
from ..registry.ledger import OnPaper
from ..registry.pool import Holding, Pool, is_host, retained
from ..registry.rows import Boots, Row, Snapshot
from ..registry.salt_keys import AcceptedKey
from .contradictions import contradictions
from .differences import put
from .held import HeldAddresses
from .host_names import HostNames
from .membership import Member, Membership, may_have, vouched_keys
from .participant import Participant, exit_of, external, participant
from .topology import Topology

# A pillar has at most so many keys of nodes that are no longer trusted: those that registered last.
MAX_WITHDRAWN = 500

# The addresses that anybody has, and those by which they differ from those before.
Held = tuple[HeldAddresses, frozenset[str]]


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
        held: HeldAddresses | None = None,
    ) -> None:
        """``networks``: all of the mesh, as a node may be in several. ``held``: the addresses that anybody has."""
        self._network = network
        self._others = [other for other in networks if other is not network]
        self._secret = secret if network.preshared_keys else None
        self._held = held or HeldAddresses((network, *self._others), snapshot)
        self.members: dict[str, Member] = {}
        self.drains = {
            node: drain
            for (name, node), drain in snapshot.drains.items()
            if name == network.name and (drain.until is None or now < drain.until)
        }
        self._expiries: dict[str, tuple[float, ...]] = {}
        self._withdrawn: dict[str, Row] = {}
        self._outside: dict[str, list[Address]] = {}
        self._interface_digests: dict[str, bytes] = {}
        enrolled = vouched_keys(snapshot, network.name)
        self._take(snapshot, Membership(network, accepted, snapshot.standings, now, enrolled))
        rows = (node for name, node in snapshot.rows if name == network.name)
        self._update([*dict.fromkeys([*accepted, *enrolled, *rows])])
        self.peers = {peer.name: peer for each in network.peers for peer in self._with_key(each)}

    def changed(
        self, snapshot: Snapshot, accepted: Mapping[str, AcceptedKey], now: float, nodes: Collection[str], held: Held
    ) -> NetworkState | None:
        """
        The same after a change of these nodes, where no member has expired since. None where it is to be computed anew.

        ``held``: the addresses that anybody has, and those by which they differ from those before.
        """
        new = copy.copy(self)
        for name in ("registered", "withdrawn", "_host_names"):
            vars(new).pop(name, None)
        new._held, moved = held
        for name in ("members", "_expiries", "_withdrawn", "_outside", "_interface_digests"):
            setattr(new, name, {**getattr(self, name)})
        enrolled = {node: key for node, key in self.membership.vouched.items() if node not in nodes}
        rows = [row for node in nodes if (row := snapshot.rows.get((self._network.name, node)))]
        enrolled |= {row.node: row.public_key for row in rows if row.is_vouched}
        new._take(snapshot, Membership(self._network, accepted, snapshot.standings, now, enrolled))
        new._update(nodes)
        if "topology" not in vars(self):
            new._interface_digests = {}  # they may depend on exits, which the topology knows
            return new
        unsure = {row.node for row in snapshot.rows.values() if not moved.isdisjoint(row.endpoints)} if moved else set()
        topology = self.topology.changed({node: new._participant(node) for node in {*nodes, *unsure}})
        if topology is None:
            return None
        new.topology = topology
        return new

    def _take(self, snapshot: Snapshot, membership: Membership) -> None:
        self._snapshot = snapshot
        self.membership = membership

    def _update(self, nodes: Collection[str]) -> None:
        """Compute what is about these nodes alone."""
        name, members = self._network.name, self.membership
        former: dict[str, list[Holding]] = {}
        for each in self._snapshot.former.get(name, ()):
            former.setdefault(each.node, []).append(each)
        for node in nodes:
            row = self._snapshot.rows.get((name, node))
            settings = members.settings(node)
            member: Member | None = None
            ends: tuple[float, ...] = ()
            if settings:
                member = self._member(node, settings, row, members.accepted.get(node), former.get(node, []))
                ends = tuple(expiries(settings, self._snapshot.standings.get((name, node))))
            put(self.members, node, member)
            put(self._expiries, node, ends or None)
            put(self._withdrawn, node, row if row and members.is_withdrawn(row) else None)
            put(self._outside, node, self._away(row) or None)
            self._interface_digests.pop(node, None)

    @property
    def name(self) -> str:
        return self._network.name

    @property
    def may_tell_all(self) -> bool:
        """Whether everybody is everybody's peer, by nothing secret, and has no names besides."""
        return self._network.links is None and not self._network.preshared_keys and not self._network.hosts

    def expiries(self) -> Iterator[float]:
        """The times at which members expire, and drains end."""
        yield from (drain.until for drain in self.drains.values() if drain.until is not None)
        yield from (moment for moments in self._expiries.values() for moment in moments)

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
        return Pool(self.membership, ledger, self.membership.now)

    def address_holders(self) -> list[tuple[str, Collection[Address]]]:
        """(name, its addresses in the mesh file) of every node and peer that gets the others from the registry."""
        nodes = [(node, member.settings.addresses) for node, member in sorted(self.members.items()) if member.row]
        exported = (
            self._network.peer(peer) for name, peer in sorted(self._snapshot.exports) if name == self._network.name
        )
        return [*nodes, *((peer.name, peer.addresses) for peer in exported if peer and not peer.public_key)]

    def addresses_outside(self) -> dict[str, list[Address]]:
        """Node or peer -> its addresses that lie in no subnet."""
        exported = {
            name: each for (network, name), each in self._snapshot.exports.items() if network == self._network.name
        }
        away = {**self._outside, **{name: found for name, each in exported.items() if (found := self._away(each))}}
        outside = {}
        for name, named in self.address_holders() if away else ():
            versions = {address.version for address in named}
            addresses = [address for address in away.get(name, ()) if address.version not in versions]
            if addresses:
                outside[name] = ipv4_first(addresses)
        return outside

    def _away(self, holder: Row | Export | None) -> list[Address]:
        return [each for each in holder.addresses if not is_host(self._network, each)] if holder else []

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
        return replace(self._interface(member, member.row), peers=self.topology.peers(node))

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
                for other in self.topology.peers(peer)
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
        return {network: peer.name for peer in self.topology.peers(member) for network in peer.allowed_ips}

    def is_current(self, peer: str) -> bool:
        """Whether the last export of a peer that has a key is up to date."""
        export = self._snapshot.exports.get((self._network.name, peer))
        return export is not None and bool(export.exported) and self.view_of_peer(peer).digest == export.digest

    def digests(self) -> dict[str, str]:
        """
        The digests of the views of all registered members.

        They are computed without the views: making 5,000 tuples of 5,000 peers takes longer than the hashing.
        """
        return {node: digest for node in self.members if (digest := self.digest(node))}

    def digest(self, node: str) -> str | None:
        """The same of one member; None if it has not registered."""
        if self.members[node].row is None:
            return None
        hosts = self._hosts(node) if self._network.hosts else None
        return digest_of(self.interface_digest(node), hosts, self.topology.hashes(node))

    def interface_digest(self, node: str) -> bytes:
        """That of the view of a registered member without its peers and host names."""
        member = self.members[node]
        found = self._interface_digests.get(node)
        if found is None and member.row:
            found = self._interface_digests[node] = self._interface(member, member.row).interface_digest
        return found or b""

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
        if not self._withdrawn:
            return ()
        present = {key for member in self.members.values() if member.row for key in member.row.keys}
        gone = sorted(self._withdrawn.values(), key=lambda row: (-row.registered, row.node))
        keys = {key: None for row in gone for key in row.keys if key not in present}
        return tuple(sorted([*keys][:MAX_WITHDRAWN]))

    def _hosts(self, node: str) -> Hosts:
        return self._host_names.of(node, self.topology.linked(node))

    @cached_property
    def _host_names(self) -> HostNames:
        return HostNames(self._network, self.members, self.peers)

    def _with_exit(self, settings: NodeSettings) -> NodeSettings:
        return replace(settings, via=self._exit_of(settings.exits)) if settings.exits else settings

    def _exit_of(self, exits: Sequence[str]) -> str | None:
        known = {name for name in exits if (self._network.name, name) in self._snapshot.rows}
        return exit_of(exits, self.registered, self.drains, known)

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
    def topology(self) -> Topology:
        """Who of the registered members and peers sees whom."""
        network = self._network
        registered = [each for each in map(self._participant, self.members) if each]
        peers = [replace(each, settings=self._with_exit(each.settings)) for each in map(external, self.peers.values())]
        return Topology.of(network, registered + peers)

    def _participant(self, node: str) -> Participant | None:
        member = self.members.get(node)
        if member is None or member.row is None:
            return None
        row, preshared = self._without_inner_endpoints(member.row), self._network.preshared_keys
        with_exit = replace(member, settings=self._with_exit(member.settings)) if member.settings.exits else member
        return participant(with_exit, row, preshared, node in self.drains)

    def _without_inner_endpoints(self, row: Row) -> Row:
        """
        No node offers an address from inside the mesh, unless it lies: each packet to there would be wrapped by the
        same tunnel again, and be another packet to there.
        """
        outer = tuple(each for each in row.endpoints if each not in self._held)
        return row if outer == row.endpoints else replace(row, endpoints=outer)

    def _with_prefix(self, address: Address) -> str:
        subnet = self._network.subnet_of(address)
        return f"{address!s}/{subnet.prefixlen if subnet else address.max_prefixlen}"

    def problems(self) -> Iterator[Problem]:
        """Contradictions between the mesh file and the registry."""
        return contradictions(self._network, self.members, self.peers)
