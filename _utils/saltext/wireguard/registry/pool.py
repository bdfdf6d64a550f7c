"""
Which address a node gets, one of each IP version: the one that it has or had, or else the lowest that nobody has had.

The subnets of an IP version are used one after the other. Once every address of a subnet has been used, the one that
has been free for longest comes next, but not before the network's quarantine is over.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from ..errors import PoolExhaustedError, RefusedError
from ..meshfile.mesh import IP_VERSIONS, Network
from ..model.addresses import Address, Subnet, ipv4_first
from .admission import Membership


@dataclass(frozen=True)
class Holding:
    """An address and the node that has it, or had it until ``freed`` (Unix seconds)."""

    address: Address
    node: str
    freed: float | None = None


class Ledger(Protocol):
    """Which node has or last had each address of one network. Entries are looked up one by one, never read at once."""

    def holder(self, address: Address) -> Holding | None: ...

    def holdings(self, node: str) -> list[Holding]: ...

    def freed_until(self, moment: float) -> Iterator[Holding]:
        """What was freed at ``moment`` or before, the longest free first."""

    def give(self, address: Address, node: str) -> None: ...

    def free(self, address: Address, moment: float) -> None: ...

    def untouched(self, subnet: Subnet) -> int:
        """The number below which no address of the subnet is left that nobody had; 0 if nobody has looked."""

    def touch(self, subnet: Subnet, untouched: int) -> None: ...


class Pool:
    """
    Gives the nodes of one network, and the peers that are exported, their addresses, in a ledger.

    An address that the mesh file gives to a node or peer by name is for nobody else. ``now`` is in Unix seconds.
    """

    def __init__(self, membership: Membership, ledger: Ledger, now: float) -> None:
        self._network = membership.network
        self._membership = membership
        self._ledger = ledger
        self._now = now

    def assign(self, node: str, move: bool = False) -> bool:
        """
        Give the node what it must have, and free what it had besides. Returns whether anything changed.

        An address that no subnet has any more is kept, unless nodes are to ``move``. Raises PoolExhaustedError, and
        RefusedError where a member would lose its address without getting another.
        """
        held = self._ledger.holdings(node)
        mine = {each.address for each in held if each.freed is None}
        wanted = self._wanted(node, held, move)
        for address in wanted - mine:
            self._refuse_taking(address, node)
            self._ledger.give(address, node)
        for address in mine - wanted:
            self._ledger.free(address, self._now)
        return wanted != mine

    def release(self, node: str) -> bool:
        """Free all that a node has, if it is gone. Returns whether anything changed."""
        mine = self.addresses(node) if self._is_gone(node) else []
        for address in mine:
            self._ledger.free(address, self._now)
        return bool(mine)

    def addresses(self, node: str) -> list[Address]:
        """What the node has, IPv4 first."""
        return ipv4_first(each.address for each in self._ledger.holdings(node) if each.freed is None)

    def next_free(self, version: int) -> Address | None:
        """The address that the next node gets that has none; None where there is none left."""
        return next(self._free(version), None)

    def is_free(self, holding: Holding) -> bool:
        """
        Whether somebody else may have the address by now. A node that came back gets its address again, also if nobody
        has settled that yet.
        """
        if holding.freed is None or holding.freed + self._network.quarantine > self._now:
            return False
        if self._is_gone(holding.node):
            return True
        return any(each.version == holding.address.version for each in self.addresses(holding.node))

    def _is_here(self, name: str) -> bool:
        return name in self._membership or self._network.peer(name) is not None

    def _is_gone(self, name: str) -> bool:
        return not self._is_here(name) and name not in self._membership.suspended

    def _subnets(self, version: int) -> Iterator[Subnet]:
        return (subnet for subnet in self._network.subnets if subnet.version == version)

    def _wanted(self, node: str, held: Collection[Holding], move: bool) -> set[Address]:
        wanted: set[Address] = set(_named(self._network, node))
        peer = self._network.peer(node)
        if peer and peer.public_key:  # then the mesh file says all of it
            return wanted
        for version in {4, 6} - {address.version for address in wanted}:
            there = retained(self._network, held, version)
            away = set() if there or move else _outside(self._network, held, version)
            wanted |= there or away
            if not there and not away and version in _versions(self._network, node) and any(self._subnets(version)):
                wanted.add(self._next(node, version))
        return wanted

    def _next(self, node: str, version: int) -> Address:
        address = self.next_free(version)
        if address is None:
            raise PoolExhaustedError(
                f"network {self._network.name} has no free IPv{version} address for {node}: add a subnet to the mesh"
                " file, or see their holders by `salt-run wireguard.addresses`",
                "address",
            )
        self._touch(address)
        return address

    def _touch(self, given: Address) -> None:
        """Remember what was looked through, so that the next one does not look through it again."""
        for subnet in self._subnets(given.version):
            before = self._ledger.untouched(subnet)
            if given in subnet and before <= int(given):
                self._ledger.touch(subnet, int(given) + 1)
                return
            if before <= int(subnet.broadcast_address):
                self._ledger.touch(subnet, int(subnet.broadcast_address) + 1)
            if given in subnet:
                return

    def _free(self, version: int) -> Iterator[Address]:
        """What can be given away, in this order; the last are such as were reserved or excluded for a while."""
        for subnet in self._subnets(version):
            yield from self._unheld(subnet, self._ledger.untouched(subnet))
            for holding in self._ledger.freed_until(self._now - self._network.quarantine):
                if holding.address in subnet and may_be_given(self._network, holding.address) and self.is_free(holding):
                    yield holding.address
        for subnet in self._subnets(version):
            yield from self._unheld(subnet, 0)

    def _unheld(self, subnet: Subnet, start: int) -> Iterator[Address]:
        for numbers in allocatable(self._network, subnet):
            for number in range(max(numbers.start, start), numbers.stop):
                address = subnet.network_address + (number - int(subnet.network_address))
                if address not in self._network.reserved and self._ledger.holder(address) is None:
                    yield address

    def _refuse_taking(self, address: Address, node: str) -> None:
        """A node in the network keeps the address that it was given, unless the mesh file names another one for it."""
        holding = self._ledger.holder(address)
        if holding is None or holding.freed is not None or holding.node == node or not self._is_here(holding.node):
            return
        if any(other.version == address.version for other in _named(self._network, holding.node)):
            return
        raise RefusedError(
            f"the mesh file gives {address} to {node}, but {holding.node} has it. Give {node} another address in the"
            " mesh file",
            "address",
        )


def _named(network: Network, name: str) -> tuple[Address, ...]:
    """The addresses that the mesh file gives to a node or peer by name."""
    entry = network.peer(name) or network.settings(name)
    return entry.addresses if entry else ()


def _versions(network: Network, name: str) -> frozenset[int]:
    """The IP versions that a node or peer may be given addresses of. It keeps what it has of others."""
    settings = network.settings(name)
    return settings.ip_versions if settings and not network.peer(name) else IP_VERSIONS


def retained(network: Network, held: Iterable[Holding], version: int) -> set[Address]:
    """The address of this IP version that a node keeps or, if it has none, gets back: one, or none."""
    good = [
        each
        for each in held
        if each.address.version == version
        and is_host(network, each.address)
        and (each.freed is None or may_be_given(network, each.address))
    ]
    # what it has, then what it had last, then the lowest
    good.sort(key=lambda each: (each.freed is not None, -(each.freed or 0), int(each.address)))
    return {each.address for each in good[:1]}


def _outside(network: Network, held: Iterable[Holding], version: int) -> set[Address]:
    """The addresses that a node has, and that no subnet has, as somebody made them smaller or replaced them."""
    mine = {each.address for each in held if each.freed is None and each.address.version == version}
    return {address for address in mine if not is_host(network, address)}


def is_host(network: Network, address: Address) -> bool:
    """Whether a node can have it: in a subnet that grew, it may have come to be the broadcast address."""
    return any(subnet.version == address.version and int(address) in hosts(subnet) for subnet in network.subnets)


def may_be_given(network: Network, address: Address) -> bool:
    """Whether it is one to allocate, if it is free."""
    return address not in network.reserved and is_host(network, address) and not is_excluded(network, address)


def is_excluded(network: Network, address: Address) -> bool:
    """Whether the mesh file says that it is not to be allocated."""
    return any(address in excluded for excluded in network.exclude)


@functools.lru_cache(maxsize=1024)
def hosts(subnet: Subnet) -> range:
    """The addresses that ``subnet.hosts()`` has, as numbers."""
    first, last = int(subnet.network_address), int(subnet.broadcast_address)
    if subnet.num_addresses <= 2:
        return range(first, last + 1)
    return range(first + 1, last + 1 if subnet.version == 6 else last)


def allocatable(network: Network, subnet: Subnet) -> list[range]:
    """The addresses of a subnet that are not excluded, as numbers, in order."""
    excluded = [range(int(each.first), int(each.last) + 1) for each in network.exclude if each.first in subnet]
    return without(hosts(subnet), excluded)


def without(numbers: range, taken: Iterable[range]) -> list[range]:
    """What is left of ``numbers``, in order."""
    left = []
    start = numbers.start
    for each in sorted(taken, key=lambda each: each.start):
        if start < min(each.start, numbers.stop):
            left.append(range(start, min(each.start, numbers.stop)))
        start = max(start, each.stop)
    return [*left, *([range(start, numbers.stop)] if start < numbers.stop else [])]


def size(numbers: range) -> int:
    """How many they are: ``len`` cannot count the addresses of an IPv6 subnet."""
    return numbers.stop - numbers.start
