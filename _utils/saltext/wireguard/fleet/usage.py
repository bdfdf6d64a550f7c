"""How the addresses of a network are used: allocated, given in the mesh file, excluded, in quarantine, or free."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property

from ..meshfile.mesh import AddressRange, Network
from ..model.addresses import Address, Subnet
from ..registry.pool import Holding, allocatable, hosts, size, without
from ..registry.rows import Snapshot
from .network import NetworkState


@dataclass(frozen=True)
class PoolUsage:
    """
    One subnet of a network. Every address that a node can have is counted once.

    ``used``: by registered nodes and by peers. ``reserved``: in the mesh file for nodes that have not registered.
    ``next``: the address of the next node, None if that comes from another subnet. ``holes``: the free ranges.
    """

    network: str
    subnet: Subnet
    size: int
    used: int
    reserved: int
    quarantined: int
    next: Address | None
    holes: tuple[AddressRange, ...]

    @property
    def free(self) -> int:
        return sum(int(hole.last) - int(hole.first) + 1 for hole in self.holes)

    @property
    def excluded(self) -> int:
        """Excluded by the mesh file, and not counted otherwise."""
        return self.size - self.used - self.reserved - self.quarantined - self.free


class Usage:
    """The addresses of one network at one moment."""

    def __init__(self, network: Network, state: NetworkState, snapshot: Snapshot) -> None:
        self._network = network
        self._pool = state.pool()
        self._holdings = snapshot.holdings(network.name)
        self._back = {address for member in state.members.values() for address in member.allocated}

    def pools(self) -> Iterator[PoolUsage]:
        """The subnets in the order of the mesh file."""
        for subnet in self._network.subnets:
            yield self._pool_usage(subnet)

    def quarantined(self) -> list[tuple[Holding, float]]:
        """The former addresses of nodes, and the Unix time until which nobody else gets them."""
        held = [each for each in self._holdings if each.freed is not None and each.address not in self._used]
        found = [
            (each, (each.freed or 0) + self._network.quarantine)
            for each in held
            if not self._pool.is_free(each) and each.address not in self._network.reserved
        ]
        return sorted(found, key=lambda each: (each[1], each[0].address.version, int(each[0].address)))

    @cached_property
    def _used(self) -> set[Address]:
        in_use = {each.address for each in self._holdings if each.freed is None}
        return in_use | self._back | {address for peer in self._network.peers for address in peer.addresses}

    def _pool_usage(self, subnet: Subnet) -> PoolUsage:
        used = _within(self._used, subnet)
        reserved = _within(self._network.reserved, subnet) - used
        quarantined = _within([each.address for each, _ in self.quarantined()], subnet)
        taken = used | reserved | quarantined
        holes = [
            AddressRange(_address(subnet, hole.start), _address(subnet, hole.stop - 1))
            for allowed in allocatable(self._network, subnet)
            for hole in without(allowed, [range(number, number + 1) for number in taken if number in allowed])
        ]
        upcoming = self._pool.next_free(subnet.version)
        return PoolUsage(
            network=self._network.name,
            subnet=subnet,
            size=size(hosts(subnet)),
            used=len(used),
            reserved=len(reserved),
            quarantined=len(quarantined),
            next=upcoming if upcoming is not None and upcoming in subnet else None,
            holes=tuple(holes),
        )


def _within(addresses: Collection[Address], subnet: Subnet) -> set[int]:
    """As numbers, those that a node can have there."""
    return {int(address) for address in addresses if address in subnet and int(address) in hosts(subnet)}


def _address(subnet: Subnet, number: int) -> Address:
    return subnet.network_address + (number - int(subnet.network_address))
