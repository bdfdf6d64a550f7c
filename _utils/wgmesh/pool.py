"""Which address a node gets: the lowest free one, one of each IP version, and it keeps what it has."""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Collection, Iterable, Mapping

from .errors import PoolExhaustedError, RefusedError
from .model import Network

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Subnet = ipaddress.IPv4Network | ipaddress.IPv6Network


# Parsing is most of the work of reading a large registry, which is read again after every change.
@functools.lru_cache(maxsize=1 << 17)
def parse_address(text: str) -> Address:
    """The address that a text of the registry stands for."""
    return ipaddress.ip_address(text)


class Pool:
    """
    The addresses of one network, handed out lowest first, one of each IP version to a node.

    Addresses that the mesh file names are reserved for whom it names, and an address once given stays with its node.
    """

    def __init__(self, network: Network, taken: Iterable[Address]) -> None:
        self._network = network
        self._reserved = reserved(network)
        # plain numbers: every registration looks at all addresses of its network, and addresses are slow to hash
        self._taken: dict[int, set[int]] = {4: set(), 6: set()}
        for address in (*self._reserved, *taken):
            self._taken[address.version].add(int(address))
        self._candidates = {subnet: iter(_hosts(subnet)) for subnet in network.subnets}

    def choose(self, node: str, held: Collection[Address], static: Collection[Address]) -> set[Address]:
        wanted = set(static)
        for version in sorted({subnet.version for subnet in self._network.subnets}):
            if not any(address.version == version for address in static):
                wanted |= self._keep(held, version) or {self._next(node, version)}
        return wanted

    def _keep(self, held: Collection[Address], version: int) -> set[Address]:
        """The address that the node has already, unless the mesh file took it away."""
        good = [
            address
            for address in held
            if address.version == version
            and address not in self._reserved
            and _is_host(address, self._network.subnet_of(address))
        ]
        return {min(good, key=int)} if good else set()

    def _next(self, node: str, version: int) -> Address:
        taken = self._taken[version]
        for subnet, candidates in self._candidates.items():
            if subnet.version != version:
                continue
            for number in candidates:
                if number not in taken:
                    taken.add(number)
                    return subnet.network_address + (number - int(subnet.network_address))
        raise PoolExhaustedError(
            f"network {self._network.name} has no free IPv{version} address for {node}: add a subnet to the mesh file"
        )


def assign(
    network: Network, owner: Mapping[str, str], nodes: Collection[str], members: Collection[str]
) -> dict[str, tuple[set[Address], set[Address]]]:
    """
    Return node -> (the addresses that it has, those that it must have), for each of ``nodes``.

    ``nodes`` may be peers of the mesh file as well. ``owner``: address as text -> who has it now. ``members`` are the
    minions that are members of the network.
    Raises PoolExhaustedError, and RefusedError where a member would lose its address without getting another.
    """
    held: dict[str, set[Address]] = {node: set() for node in nodes}
    for text, node in owner.items():
        if node in held:
            held[node].add(parse_address(text))
    pool = Pool(network, map(parse_address, owner))
    result = {}
    for node, mine in held.items():
        named, peer = _named(network, node), network.peer(node)
        wanted = set(named) if peer and peer.public_key else pool.choose(node, mine, named)
        for address in wanted - mine:
            _refuse_taking(network, address, node, owner.get(str(address)), members)
        result[node] = (mine, wanted)
    return result


def _refuse_taking(network: Network, address: Address, node: str, holder: str | None, members: Collection[str]) -> None:
    """Who is in the network keeps the address that it was given, unless the mesh file gives it another one as well."""
    if holder is None or (holder not in members and network.peer(holder) is None):
        return
    if any(other.version == address.version for other in _named(network, holder)):
        return
    raise RefusedError(
        f"the mesh file gives {address} to {node}, but {holder} has it. Give {node} another address in the mesh file"
    )


def _named(network: Network, name: str) -> tuple[Address, ...]:
    """The addresses that the mesh file gives to a node or peer by name."""
    having = network.peer(name) or network.settings(name)
    return having.addresses if having else ()


def _is_host(address: Address, subnet: Subnet | None) -> bool:
    """Whether it can be given to a node: in another subnet, an address may come to be the broadcast address."""
    return subnet is not None and int(address) in _hosts(subnet)


def _hosts(subnet: Subnet) -> range:
    """The addresses that ``subnet.hosts()`` has, as numbers."""
    first, last = int(subnet.network_address), int(subnet.broadcast_address)
    if subnet.num_addresses <= 2:
        return range(first, last + 1)
    return range(first + 1, last + 1 if subnet.version == 6 else last)


def capacity(subnet: Subnet) -> int:
    """How many addresses ``subnet.hosts()`` has, without counting them."""
    if subnet.num_addresses <= 2:
        return subnet.num_addresses
    return subnet.num_addresses - (2 if subnet.version == 4 else 1)


def reserved(network: Network) -> set[Address]:
    """All addresses that the mesh file gives by name."""
    named = [entry.addresses for entry in network.nodes] + [peer.addresses for peer in network.peers]
    return {address for addresses in named for address in addresses}
