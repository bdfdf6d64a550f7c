"""Operations on the addresses of an interface. Addresses that stay are never missing in between."""

from __future__ import annotations

from ipaddress import ip_interface
from itertools import groupby

from ..model.changes import Change, Kind
from ..model.device import Device
from ..model.view import View
from .operations import Applied, Operation


def addresses_added(view: View, device: Device) -> list[Operation]:
    replaced = _replaced(view, device)
    operations = []
    for address in view.addresses:
        if address in device.addresses:
            continue
        operations += [_address_removed(view, old) for old in sorted(replaced) if _host(old) == _host(address)]
        operations.append(_address_added(view, address))
    if view.link_local and view.link_local not in device.link_local:
        operations.append(_address_added(view, view.link_local))
    return operations


def addresses_removed(view: View, device: Device, applied: Applied) -> list[Operation]:
    """
    Remove the addresses that the view does not have, network by network, long prefixes last. Of link-local ones, only
    that of the last configuration is ours.
    """
    removed = device.addresses.difference(view.addresses) - _replaced(view, device)
    operations = []
    for network, addresses in groupby(sorted(sorted(removed), key=_by_network), key=_by_network):
        operations += _network_left(view, device, network, list(addresses))
    if applied.link_local in device.link_local and applied.link_local != view.link_local:
        operations.append(_address_removed(view, applied.link_local))
    return operations


def _by_network(address: str) -> tuple[int, str]:
    network = ip_interface(address).network
    return network.prefixlen, str(network)


def _replaced(view: View, device: Device) -> frozenset[str]:
    """Return IPv6 addresses with a wrong prefix length: unlike IPv4 addresses, Linux takes these only once."""
    wanted = {_host(address) for address in view.addresses if address not in device.addresses}
    surplus = device.addresses.difference(view.addresses)
    return frozenset(address for address in surplus if ":" in address and _host(address) in wanted)


def _network_left(view: View, device: Device, network: tuple[int, str], addresses: list[str]) -> list[Operation]:
    """
    Remove these addresses of one network, and keep those that the view has.

    With an IPv4 address, the kernel deletes its secondaries (later addresses of the same network) unless
    ``promote_secondaries`` is set, and with an interface's last IPv4 address all its IPv4 routes. So each address is
    added again before it is removed, or where it stays. Meanwhile, those that stay are held as host addresses, and
    their network is held by a distinct route, because the kernel's own route goes with its address.
    """
    removals = [_address_removed(view, address) for address in addresses]
    if ":" in addresses[0]:
        return removals
    steps = removals[:1]
    for address, removal in zip(addresses[1:], removals[1:], strict=True):
        steps += [_step(view, "replace", address), removal]
    kept = [address for address in view.addresses if _by_network(address) == network]
    if not kept:
        return steps
    holds = [f"{_host(address)}/32" for address in kept]
    let_go = [_step(view, "del", hold) for hold in holds if hold not in device.addresses.union(view.addresses)]
    return [
        *(_step(view, "replace", hold) for hold in holds),
        _hold_route(view, "replace", network[1]),
        *steps,
        *(_step(view, "replace", address) for address in kept),
        _hold_route(view, "del", network[1]),
        *let_go,
    ]


def _hold_route(view: View, verb: str, network: str) -> Operation:
    # Marked as the kernel's, so that it is never taken for a route of ours, and with the lowest priority.
    marks = ("proto", "kernel", "scope", "link", "metric", str(2**32 - 1))
    argv = ("ip", "-4", "route", verb, network, "dev", view.interface, *marks)
    return Operation(Change(Kind.ROUTE, network, None, None), argv)


def _step(view: View, verb: str, address: str) -> Operation:
    return Operation(Change(Kind.ADDRESS, address, None, None), _address_argv(view, verb, address))


def _address_added(view: View, address: str) -> Operation:
    return Operation(Change(Kind.ADDRESS, address, None, address), _address_argv(view, "add", address))


def _address_removed(view: View, address: str) -> Operation:
    return Operation(Change(Kind.ADDRESS, address, address, None), _address_argv(view, "del", address))


def _address_argv(view: View, verb: str, address: str) -> tuple[str, ...]:
    return ("ip", "address", verb, address, "dev", view.interface)


def _host(address: str) -> str:
    return address.partition("/")[0]
