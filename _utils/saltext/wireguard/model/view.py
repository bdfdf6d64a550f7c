"""
The view: the interface and the peers that one node must have.

A view travels in the pillar as a plain dictionary (``View.to_dict``), and is checked when it arrives
(``View.from_dict``). Its digest identifies its content: equal digests mean equal configurations.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from ipaddress import ip_address, ip_interface, ip_network
from typing import Any

from ..errors import ViewError
from . import fields
from .addresses import Subnet, contains, link_local_like
from .fields import Fields
from .hosts import Hosts, hosts_of
from .offers import ANY, Offers, named
from .peer import Peer, peer_from_dict, sha256
from .peer_set import PeerSet

# A view waits for this if an operator vouches for the node's key and the node's own registration is still missing.
REGISTER = "register"
_KEYS = {
    *("interface", "addresses", "port", "mtu", "forwarding", "public_key", "serial", "waiting", "boot", "clones"),
    *("generation", "withdrawn"),
    *("preshared", "next_preshared_keys", "hosts", "digest", "peers", "via", "other_ports", "dynamic_routing"),
    *("expected_subnets", "expected_routes", "offer", "withhold", "offered"),
}


@dataclass(frozen=True)
class View:
    """
    One interface of one node.

    - ``addresses`` have their prefix length (``10.42.0.1/16``).
    - ``network``: None for an interface described by hand.
    - ``mtu``: None leaves it to the node.
    - ``forwarding``: True if the node passes packets on between others; False leaves that to its administrator.
    - ``public_key``: the node's registered key; None if it has not registered, or there is no registry.
    - ``preshared``: the name of the secret of all preshared keys, None without these.
    - ``next_preshared_keys``: public key of a peer to the preshared key for the key that this node has announced.
    - ``hosts``: the names for the node's hosts file, None for none.
    - ``via``: the name of the exit node, a peer unless it is gone; None leaves the default route alone.
    - ``other_ports``: with an exit, the ports of the node's other interfaces, whose packets bypass it.
    - ``clones``: the boots of other machines that use the same Salt key, and must not.
    - ``offers``: which of its addresses the node may offer as endpoints.
    - ``dynamic_routing``: True if a routing daemon makes the routes, so that nothing else may.
    - ``dns``: name servers and search domains. Only external peers have them, so they are in no pillar.

    The digest does not include these:

    - ``serial``: the highest of the node's statements, which a node that lost its clock must exceed.
    - ``waiting``: the pending decision of an operator about the node, "admit" or "rekey", or REGISTER.
    - ``boot``: the boot of the machine that the master takes for the node.
    - ``generation``: that of the registry; a node never goes back to an earlier one (``node.withdrawal``).
    - ``withdrawn``: the public keys of nodes that are no longer trusted. They are removed at once, without a trial.
    - ``offered``: the addresses that the master knows as those which the node offers; None if it has not registered.
    - ``expected_subnets`` and ``expected_routes``: before a registration, the networks to which the node will probably
      have routes, so that it can tell what is in the way.
    - ``bypass_addresses``, which bypass the exit, ``path_mtu``, which counts if ``mtu`` is None, and ``kept``, lines of
      wg-quick that the interface has had since before it was taken over, such as hooks: only the node itself knows
      them. They are in its configuration file, and not in the pillar.
    - ``has_ipv6``: False after ``without_ipv6``. It is nowhere but in memory.
    """

    interface: str
    addresses: tuple[str, ...]
    peers: tuple[Peer, ...] = ()
    network: str | None = None
    port: int | None = None
    mtu: int | None = None
    forwarding: bool = False
    public_key: str | None = None
    serial: int = 0
    waiting: str | None = None
    boot: str | None = None
    generation: int = 0
    withdrawn: tuple[str, ...] = ()
    clones: tuple[str, ...] = ()
    preshared: str | None = None
    next_preshared_keys: Mapping[str, str] = field(default_factory=dict, repr=False, hash=False)
    hosts: Hosts | None = None
    via: str | None = None
    other_ports: tuple[int, ...] = ()
    bypass_addresses: tuple[str, ...] = ()
    path_mtu: int | None = None
    kept: tuple[str, ...] = ()
    has_ipv6: bool = True
    dns: tuple[str, ...] = ()
    offers: Offers = ANY
    offered: tuple[str, ...] | None = None
    dynamic_routing: bool = False
    expected_subnets: tuple[str, ...] = ()
    expected_routes: tuple[str, ...] = ()

    @cached_property
    def _connected(self) -> tuple[Subnet, ...]:
        """The networks of the interface's own addresses."""
        return tuple(ip_interface(address).network for address in self.addresses)

    def leads_to(self, peer: Peer, address: str) -> bool:
        """
        Whether packets to the address go into the tunnel, which a peer that has it as its endpoint can never open: it
        is in the network of the interface, or behind this very peer. A default route is no such case, see ``exits``.
        """
        behind = (ip_network(text) for text in peer.allowed_ips if not text.endswith("/0"))
        return any(ip_address(address) in network for network in (*self._connected, *behind))

    @cached_property
    def routes(self) -> frozenset[str]:
        """
        The networks that the kernel must route to the interface: the AllowedIPs outside the networks of its addresses,
        as in wg-quick. The default route is left to ``device.exits``.
        """
        if self.dynamic_routing:
            return frozenset()
        return frozenset(
            text
            for peer in self.peers
            for text in peer.allowed_ips
            if not text.endswith("/0") and not any(contains(network, ip_network(text)) for network in self._connected)
            if self.has_ipv6 or ":" not in text
        )

    @cached_property
    def link_local(self) -> str | None:
        """The address that routing daemons speak from; no WireGuard interface has one by itself."""
        has_one = self.dynamic_routing and self.has_ipv6 and self.addresses
        return link_local_like(self.addresses[0]) if has_one else None

    @property
    def all_addresses(self) -> tuple[str, ...]:
        """With the link-local one."""
        return (*self.addresses, *([self.link_local] if self.link_local else []))

    @property
    def effective_mtu(self) -> int | None:
        """The MTU that the interface must have."""
        return self.path_mtu if self.mtu is None else self.mtu

    @cached_property
    def digest(self) -> str:
        """
        Hexadecimal SHA-256 over the interface, the host names, and the set of peers as a tree of their digests: so all
        digests of a mesh of n nodes do not take n * n peers; see ``PeerSet``.
        """
        return self.digest_with(PeerSet.of(peer.digest for peer in self.peers).hashes)

    def digest_with(self, peers: bytes) -> str:
        """The digest of this interface with the peers that have these hashes."""
        return digest_of(self.interface_digest, self.hosts, peers)

    def known_as(self, digest: str | None) -> View:
        """This view, whose digest is known already. A wrong one makes the node refuse the view."""
        if digest:
            vars(self)["digest"] = digest
        return self

    @cached_property
    def interface_digest(self) -> bytes:
        """Of all but the peers, and the host names, which are most of the rest."""
        interface = [self.interface, list(self.addresses), self.network, self.port, self.mtu, self.forwarding]
        preshared = [self.preshared] if self.preshared else []
        names = [{"hosts": True}] if self.hosts else []
        exit_ = [self.via, list(self.other_ports)] if self.via is not None else []
        dns = [{"dns": self.dns}] if self.dns else []
        offers = [{"offer": self.offers.only, "withhold": self.offers.never}] if self.offers != ANY else []
        routing = [{"dynamic_routing": True}] if self.dynamic_routing else []
        parts = [*interface, self.public_key, list(self.clones), *preshared, *names, *exit_, *dns, *offers, *routing]
        return sha256(parts)

    @property
    def has_names(self) -> bool:
        """Whether the endpoint of any peer is a name, or one of several."""
        return any(peer.may_move for peer in self.peers)

    def without_peers(self, public_keys: Collection[str]) -> View:
        """The view without the peers with one of these keys, current or next, and without their host names."""
        gone = [peer for peer in self.peers if not {peer.public_key, peer.next_key}.isdisjoint(public_keys)]
        names = self.hosts.without([peer.name for peer in gone]) if self.hosts else None
        return replace(self, peers=tuple(peer for peer in self.peers if peer not in gone), hosts=names)

    def moved(self, networks: Mapping[str, str]) -> View:
        """
        The view with each of these networks behind the peer with this public key; its exit node is the peer that has
        the default routes then. Raises ViewError if there is no such peer.
        """
        missing = sorted(set(networks.values()).difference(peer.public_key for peer in self.peers))
        if missing:
            raise ViewError(f"{self.interface} has no peer with the public key {missing[0]}")

        def allowed(peer: Peer) -> tuple[str, ...]:
            gained = {network for network, key in networks.items() if key == peer.public_key}
            return tuple(sorted(gained.union(set(peer.allowed_ips).difference(networks))))

        peers = tuple(replace(peer, allowed_ips=allowed(peer)) for peer in self.peers)
        carriers = [
            peer.name for peer in peers if any(text in networks and text.endswith("/0") for text in peer.allowed_ips)
        ]
        return replace(self, peers=peers, via=carriers[0] if carriers else self.via)

    def without_ipv6(self) -> View:
        """
        What a machine whose IPv6 is off can have of it. WireGuard itself takes IPv6 networks all the same, so the
        allowed IPs stay as they are.
        """
        return replace(self, addresses=tuple(each for each in self.addresses if ":" not in each), has_ipv6=False)

    def to_dict(self) -> dict[str, Any]:
        """The view in the pillar, under ``wireguard:networks:<network>``."""
        data: dict[str, Any] = {
            "interface": self.interface,
            "addresses": list(self.addresses),
            "port": self.port,
            "mtu": self.mtu,
            "forwarding": self.forwarding,
            "public_key": self.public_key,
            "serial": self.serial,
            "waiting": self.waiting,
            "boot": self.boot,
            "generation": self.generation,
            "withdrawn": list(self.withdrawn),
            "clones": list(self.clones),
            "digest": self.digest,
            "peers": {peer.name: peer.to_dict() for peer in self.peers},
        }
        if self.offers != ANY:
            data |= {"offer": [*self.offers.only], "withhold": [*self.offers.never]}
        if self.offered is not None:
            data["offered"] = [*self.offered]
        if self.expected_subnets:
            data |= {"expected_subnets": [*self.expected_subnets], "expected_routes": [*self.expected_routes]}
        if self.preshared:
            data["preshared"] = self.preshared
        if self.next_preshared_keys:
            data["next_preshared_keys"] = dict(self.next_preshared_keys)
        if self.hosts:
            data["hosts"] = self.hosts.to_dict()
        if self.via is not None:
            data |= {"via": self.via, "other_ports": list(self.other_ports)}
        if self.dynamic_routing:
            data["dynamic_routing"] = True
        return data

    @classmethod
    def from_dict(cls, data: object, network: str | None = None) -> View:
        """
        Check and convert the result of ``to_dict``, or what a person wrote without a digest.

        Raises ViewError for an invalid field, or if the content does not match the digest.
        """
        where = f"wireguard network {network}" if network else "wireguard interface"
        given = Fields(data, f"{where}: ", ViewError, _KEYS)
        view = cls(
            interface=given.get("interface", fields.interface),
            addresses=tuple(given.get("addresses", fields.list_of(fields.interface_address), [])),
            peers=peers_from_dict(given.get("peers", fields.mapping, {}), where),
            network=network,
            port=given.get("port", fields.integer(1, 65535), None),
            mtu=given.get("mtu", fields.integer(576, 65535), None),
            forwarding=given.get("forwarding", fields.boolean, False),
            public_key=given.get("public_key", fields.public_key, None),
            serial=given.get("serial", fields.integer(0, 2**63 - 1), 0),
            waiting=given.get("waiting", fields.text, None),
            boot=given.get("boot", fields.text, None),
            generation=given.get("generation", fields.integer(0, 2**63 - 1), 0),
            withdrawn=tuple(given.get("withdrawn", fields.list_of(fields.public_key), [])),
            clones=tuple(given.get("clones", fields.list_of(fields.text), [])),
            preshared=given.get("preshared", fields.text, None),
            next_preshared_keys=given.get("next_preshared_keys", fields.preshared_keys, {}),
            hosts=given.get("hosts", hosts_of, None),
            offers=Offers(*(tuple(given.get(each, fields.list_of(named), [])) for each in ("offer", "withhold"))),
            offered=given.get("offered", _offered, None),
            expected_subnets=tuple(given.get("expected_subnets", fields.list_of(fields.network), [])),
            expected_routes=tuple(given.get("expected_routes", fields.list_of(fields.network), [])),
            via=given.get("via", fields.text, None),
            other_ports=tuple(given.get("other_ports", fields.list_of(fields.integer(1, 65535)), [])),
            dynamic_routing=given.get("dynamic_routing", fields.boolean, False),
        )
        if given.get("digest", fields.text, view.digest) != view.digest:
            raise ViewError(
                f"{where}: its content does not match its digest. Something changed it on its way from the master, or"
                " master and minion have different versions of saltext-wireguard: run `saltutil.sync_all` on both"
            )
        return view


def digest_of(interface: bytes, hosts: Hosts | None, peers: bytes) -> str:
    """The digest of a view, by the digest of its interface, and what identifies its peers."""
    return hashlib.sha256(interface + (bytes.fromhex(hosts.digest) if hosts else b"") + peers).hexdigest()


def peers_from_dict(data: Mapping[str, Any], where: str) -> tuple[Peer, ...]:
    return tuple(peer_from_dict(name, data[name], f"{where}: peer {name!r}") for name in sorted(data))


def _offered(value: object) -> tuple[str, ...]:
    return tuple(fields.list_of(fields.address)(value))
