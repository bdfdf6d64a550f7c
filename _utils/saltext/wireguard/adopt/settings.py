"""What a mesh file would say of each participant, inferred from what all have of each other."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_interface, ip_network
from typing import TypeVar

from ..meshfile.mesh import DEFAULT_KEEPALIVE, DEFAULT_PORT
from ..model.addresses import DEFAULTS, SPECIAL, Address, Subnet
from ..model.endpoint import Endpoint
from ..model.inventory import Inventory
from ..model.names import is_id
from ..wording import quoted, some
from .networks import FoundNetwork, Stranger

_T = TypeVar("_T")

# The prefix of a subnet for addresses whose interfaces have none.
_WIDTH = {4: 24, 6: 64}
_DEFAULT_MTU = 1420

# Addresses that many LANs have, or the inner side of a provider's NAT.
_INSIDE = [*map(ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"))]


@dataclass(frozen=True)
class Entry:
    """
    What the file says of a node or an external peer. ``endpoint``: "" if nobody has one. ``endpoints``: by site.
    ``public_key``: only of external peers.
    """

    addresses: tuple[Address, ...]
    endpoint: str = ""
    endpoints: Mapping[str, str] = field(default_factory=dict)
    site: str | None = None
    port: int | None = None
    mtu: int | None = None
    hub: bool = False
    routes: tuple[Subnet, ...] = ()
    priority: int = 0
    exit: bool = False
    via: str | None = None
    public_key: str | None = None


@dataclass(frozen=True)
class Settings:
    """
    ``nodes`` and ``peers`` by name. ``names``: public key of an external peer to its name. ``left_out``: sentences.
    """

    interface: str
    subnets: tuple[Subnet, ...]
    port: int
    mtu: int | None
    keepalive: int
    nodes: Mapping[str, Entry]
    peers: Mapping[str, Entry]
    names: Mapping[str, str]
    left_out: tuple[str, ...]


def infer(found: FoundNetwork) -> Settings:
    """The settings of a network. Nothing here fails: what cannot be said is left out, and named."""
    subnets = _subnets(found)
    names = _names(found)
    port = _most(each.port for each in found.nodes.values() if each.is_port_written and each.port) or DEFAULT_PORT
    mtu = _common_mtu(found)
    routes = _Routes(found, subnets)
    nodes = _nodes(found, subnets, port, mtu, routes)
    strangers = {names[each.public_key]: _peer(each, subnets, routes) for each in found.strangers}
    left_out = [*routes.left_out]
    left_out += [f"{node} has no address in the subnets" for node, entry in nodes.items() if not entry.addresses]
    left_out += [f"no node of a mesh can have the id {quoted(node)}" for node in nodes if not is_id(node)]
    nodes = {node: entry for node, entry in nodes.items() if is_id(node)}
    left_out += [
        f"the peer {name} ({entry.public_key}) has no address of its own"
        for name, entry in strangers.items()
        if not entry.addresses
    ]
    return Settings(
        interface=found.interface,
        subnets=subnets,
        port=port,
        mtu=mtu,
        keepalive=_keepalive(found),
        nodes=_with_addresses(nodes),
        peers=_with_addresses(strangers),
        names=names,
        left_out=tuple(left_out),
    )


def _with_addresses(entries: Mapping[str, Entry]) -> dict[str, Entry]:
    return {name: entries[name] for name in sorted(entries, key=natural) if entries[name].addresses}


def _nodes(
    found: FoundNetwork, subnets: Collection[Subnet], port: int, mtu: int | None, routes: _Routes
) -> dict[str, Entry]:
    sites = _Sites(found)
    return {
        node: Entry(
            addresses=_inside(each.addresses, subnets),
            endpoint=sites.endpoint(node),
            endpoints=sites.endpoints(node),
            site=sites.names.get(node),
            port=each.port if each.port not in (0, port) else None,
            mtu=_mtu(each) if mtu is None else None,
            hub=node in routes.hubs,
            routes=routes.of(node),
            priority=routes.priority(node),
            exit=node in routes.exits,
            via=routes.via.get(node),
        )
        for node, each in found.nodes.items()
    }


def _peer(stranger: Stranger, subnets: Collection[Subnet], routes: _Routes) -> Entry:
    endpoint = _most(each.endpoint for each in stranger.seen.values() if each.endpoint) or ""
    hosts = {text for each in stranger.seen.values() for text in each.allowed_ips if _is_host(text)}
    return Entry(
        addresses=_inside(sorted(hosts), subnets),
        endpoint=_short(endpoint, DEFAULT_PORT),
        routes=routes.of(stranger.public_key),
        public_key=stranger.public_key,
    )


def _most(values: Iterable[_T]) -> _T | None:
    """The most frequent one, the smallest of several; None for none."""
    counted = Counter(values)
    return min(counted, key=lambda value: (-counted[value], str(value))) if counted else None


# -- addresses


def _is_host(text: str) -> bool:
    return ip_network(text).num_addresses == 1


def _inside(addresses: Iterable[str], subnets: Collection[Subnet]) -> tuple[Address, ...]:
    hosts = {ip_interface(text).ip for text in addresses}
    inside = {each for each in hosts if any(each in subnet for subnet in subnets)}
    return tuple(sorted(inside, key=lambda each: (each.version, int(each))))


def _subnets(found: FoundNetwork) -> tuple[Subnet, ...]:
    """Those of the interfaces' addresses; around addresses without a prefix, and of external peers, as few as fit."""
    own = [ip_interface(text) for each in found.nodes.values() for text in each.addresses]
    wide = {each.network for each in own if each.network.num_addresses > 1}
    # An AllowedIP of a hub is the network that its peers are in, if these have host addresses.
    bare = [each.ip for each in own if not any(each.ip in network for network in wide)]
    bare += [
        ip_network(text).network_address
        for stranger in found.strangers
        for peer in stranger.seen.values()
        for text in peer.allowed_ips
        if _is_host(text) and not any(ip_network(text).network_address in network for network in wide)
    ]
    allowed = {ip_network(text) for each in found.nodes.values() for peer in each.peers for text in peer.allowed_ips}
    made = set(wide)
    for address in sorted(set(bare), key=lambda each: (each.version, int(each))):
        if any(address in network for network in made) or any(address in each for each in SPECIAL):
            continue
        around = [each for each in allowed if address in each and each.num_addresses > 1 and each.prefixlen >= 8]
        narrow = ip_network(f"{address}/{_WIDTH[address.version]}", strict=False)
        made.add(max(around, key=lambda each: each.prefixlen) if around else narrow)
    outer = [each for each in made if not any(each != other and _contains(other, each) for other in made)]
    return tuple(sorted(outer, key=lambda each: (each.version, int(each.network_address))))


# -- what is behind whom


class _Routes:
    """
    ``hubs``, ``exits``: machines. ``via``: machine to the one that has its default route. ``left_out``: sentences.
    """

    def __init__(self, found: FoundNetwork, subnets: Collection[Subnet]) -> None:
        self.hubs: set[str] = set()
        self.exits: set[str] = set()
        self.via: dict[str, str] = {}
        self._owners: dict[Subnet, Counter[str]] = {}  # network -> owner -> how many have it there
        for viewer, peers in found.peers.items():
            for name, peer in peers.items():
                for network in map(ip_network, peer.allowed_ips):
                    self._add(found, subnets, viewer, name, network)
        self._overlapping = {
            network
            for network in self._owners
            if any(network != other and _contains(other, network) for other in self._owners)
        }
        self.left_out = [
            f"the network {network} behind {some(self._owners[network])} is within another one behind somebody"
            for network in sorted(self._overlapping, key=str)
        ]

    def _add(self, found: FoundNetwork, subnets: Collection[Subnet], viewer: str, name: str, network: Subnet) -> None:
        is_ours = name in found.nodes
        if str(network) in DEFAULTS.values():
            if is_ours:
                self.exits.add(name)
                self.via[viewer] = name
        elif any(_contains(network, subnet) for subnet in subnets):
            self.hubs |= {name} if is_ours else set()
        elif any(_contains(subnet, network) for subnet in subnets):
            self.hubs |= {name} if is_ours and network.num_addresses > 1 else set()
        elif not _passes_on(found, name, network):
            self._owners.setdefault(network, Counter())[name] += 1

    def of(self, name: str) -> tuple[Subnet, ...]:
        """The networks behind a machine, or behind a stranger, by its public key."""
        mine = (
            network for network, owners in self._owners.items() if name in owners and network not in self._overlapping
        )
        return tuple(sorted(mine, key=lambda each: (each.version, each)))

    def priority(self, name: str) -> int:
        """Of several with the same network behind them, most use the one with the lowest."""
        shared = [[owner for owner, _ in owners.most_common()] for owners in self._owners.values() if name in owners]
        return max((owners.index(name) for owners in shared), default=0)


def _contains(network: Subnet, other: Subnet) -> bool:
    return network.version == other.version and other.subnet_of(network)  # type: ignore[arg-type]


def _passes_on(found: FoundNetwork, name: str, network: Subnet) -> bool:
    """Whether it is behind a peer of this machine, which only forwards to there."""
    peers = found.peers.get(name, {})
    return any(str(network) in peer.allowed_ips for peer in peers.values())


# -- endpoints


class _Sites:
    """Machines that use other endpoints for each other than most do are at one site. ``names``: machine to site."""

    def __init__(self, found: FoundNetwork) -> None:
        self._found = found
        self._of: dict[str, dict[str, str]] = {}  # machine -> viewer -> endpoint
        for viewer, peers in found.peers.items():
            for name, peer in peers.items():
                if name in found.nodes and peer.endpoint:
                    self._of.setdefault(name, {})[viewer] = peer.endpoint
        self._public = {name: _preferred(used.values()) for name, used in self._of.items()}
        self.names = self._named(self._joined())

    def endpoint(self, node: str) -> str:
        """What most use, without the port that it listens on anyway."""
        return _short(self._public.get(node, ""), self._found.nodes[node].port)

    def endpoints(self, node: str) -> dict[str, str]:
        """What those of a site use instead."""
        used: dict[str, list[str]] = {}
        for viewer, endpoint in self._of.get(node, {}).items():
            if viewer in self.names:
                used.setdefault(self.names[viewer], []).append(endpoint)
        chosen = {site: str(_most(each)) for site, each in used.items()}
        port = self._found.nodes[node].port
        return {site: _short(each, port) for site, each in sorted(chosen.items()) if each != self._public[node]}

    def _joined(self) -> list[set[str]]:
        sites: list[set[str]] = []
        for name, used in self._of.items():
            inside = {viewer for viewer, endpoint in used.items() if endpoint != self._public[name]}
            if inside:
                together = {name, *inside}
                others = [each for each in sites if each & together]
                sites = [each for each in sites if not each & together] + [together.union(*others)]
        return sites

    def _named(self, sites: list[set[str]]) -> dict[str, str]:
        ordered = sorted(sites, key=sorted)
        return {name: f"site{number}" for number, site in enumerate(ordered, 1) for name in site}


def _preferred(endpoints: Iterable[str]) -> str:
    """The most frequent of those that are no inside addresses, or of all."""
    counted = Counter(endpoints)
    return min(counted, key=lambda each: (_is_inside(each), -counted[each], each)) if counted else ""


def _is_inside(endpoint: str) -> bool:
    address = Endpoint.parse(endpoint).address
    return address is not None and any(address in network for network in _INSIDE)


def _short(endpoint: str, port: int) -> str:
    if not endpoint:
        return ""
    parsed = Endpoint.parse(endpoint)
    return parsed.host if parsed.port == port else str(parsed)


# -- the rest


def _mtu(each: Inventory) -> int | None:
    """The MTU that somebody wrote down, or a device has that no file describes and nobody computed."""
    if each.mtu or each.files:
        return each.mtu
    return each.device_mtu if each.device_mtu not in (0, _DEFAULT_MTU) else None


def _common_mtu(found: FoundNetwork) -> int | None:
    mtus = {_mtu(each) for each in found.nodes.values()}
    return mtus.pop() if len(mtus) == 1 else None


def _keepalive(found: FoundNetwork) -> int:
    """What most use who have one; off only if nobody has one who needs it, as nobody knows an endpoint of it."""
    most = _most(peer.keepalive for each in found.nodes.values() for peer in each.peers if peer.keepalive)
    reached = {name for peers in found.peers.values() for name, peer in peers.items() if peer.endpoint}
    behind_nat = [each for node, each in found.nodes.items() if node not in reached]
    return most or (0 if any(peer.endpoint for each in behind_nat for peer in each.peers) else DEFAULT_KEEPALIVE)


def natural(name: str) -> tuple[object, ...]:
    """A key to sort names by, as people count: node2 before node10."""
    return tuple((int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name))


def _names(found: FoundNetwork) -> dict[str, str]:
    """Of external peers: what a comment calls them, as a mesh file can have it."""
    taken = {node.lower() for node in found.nodes}
    names = {}
    for stranger in found.strangers:
        plain = re.sub(r"[^A-Za-z0-9_.-]+", "-", stranger.title or "").strip("-.")[:50]
        base = name = plain or f"peer-{re.sub(r'[^A-Za-z0-9]', '', stranger.public_key)[:8]}"
        number = 1
        while name.lower() in taken:
            number += 1
            name = f"{base}-{number}"
        taken.add(name.lower())
        names[stranger.public_key] = name
    return names
