"""Which address a node gets: the lowest free one, one of each IP version, and it keeps what it has."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Mapping

from .errors import PoolExhaustedError
from .model import Network

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Subnet = ipaddress.IPv4Network | ipaddress.IPv6Network


class Pool:
    """
    The addresses of one network, handed out lowest first, one of each IP version to a node.

    Addresses that the mesh file names are reserved for whom it names, and an address once given stays with its node.
    """

    def __init__(self, network: Network, owner: Mapping[Address, str]) -> None:
        self._network = network
        self._reserved = reserved(network)
        self._taken = self._reserved.union(owner)
        self._iterators = {subnet: subnet.hosts() for subnet in network.subnets}

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
        for subnet, hosts in self._iterators.items():
            if subnet.version != version:
                continue
            for address in hosts:
                if address not in self._taken:
                    self._taken.add(address)
                    return address
        raise PoolExhaustedError(
            f"network {self._network.name} has no free IPv{version} address for {node}: add a subnet to the mesh file"
        )


def _is_host(address: Address, subnet: Subnet | None) -> bool:
    """Whether ``subnet.hosts()`` has it: in another subnet, an address may come to be the broadcast address."""
    if subnet is None:
        return False
    if subnet.num_addresses <= 2:
        return True
    return address != subnet.network_address and (address.version == 6 or address != subnet.broadcast_address)


def reserved(network: Network) -> set[Address]:
    """All addresses that the mesh file gives by name."""
    named = [entry.addresses for entry in network.nodes] + [peer.addresses for peer in network.peers]
    return {address for addresses in named for address in addresses}
