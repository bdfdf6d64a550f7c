"""Operations on the routes of an interface, but for the default route through an exit node."""

from __future__ import annotations

from ipaddress import ip_interface

from ..model.changes import Change, Kind
from ..model.device import Device
from ..model.view import View
from .operations import Applied, Operation

# Routes


def routes_added(view: View, device: Device, wanted: frozenset[str]) -> list[Operation]:
    connected = {str(ip_interface(address).network) for address in device.addresses}
    operations = []
    for network in sorted(wanted - device.routes):
        # `replace` would take a route away from another interface, such as the node's own LAN: `add` fails instead.
        # Only over a route that the kernel made for an address of ours, one that goes, there is no other way.
        verb = "replace" if network in connected else "add"
        argv = ("ip", _family(network), "route", verb, network, "dev", view.interface)
        operations.append(Operation(Change(Kind.ROUTE, network, None, network), argv))
    return operations


def routes_removed(view: View, device: Device, wanted: frozenset[str], applied: Applied) -> list[Operation]:
    """Remove what the last configuration needed and this one does not. Routes of others are left alone."""
    operations = []
    for network in sorted((applied.routes & device.boot_routes) - wanted):
        # With the protocol, or the kernel's own route to the same network may go instead.
        argv = ("ip", _family(network), "route", "del", network, "dev", view.interface, "proto", "boot")
        operations.append(Operation(Change(Kind.ROUTE, network, network, None), argv))
    return operations


def _family(network: str) -> str:
    return "-6" if ":" in network else "-4"
