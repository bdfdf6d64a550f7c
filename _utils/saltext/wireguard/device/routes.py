"""Operations on the routes of an interface, except the default route through an exit node."""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import ip_interface

from ..model.changes import Change, Kind
from ..model.device import Device
from ..model.view import View
from .operations import Applied, Operation


def routes_added(view: View, device: Device, taken: Collection[str]) -> list[Operation]:
    """``taken``: networks to which the machine has a route already, that does not lead into the interface."""
    connected = {str(ip_interface(address).network) for address in device.addresses}
    operations = []
    for network in sorted(view.routes.difference(device.routes, taken)):
        # `replace` would take a route from another interface, such as the node's own LAN; `add` fails instead, or with
        # another metric overrides it silently. Only the kernel's route for one of our addresses, which is about to be
        # removed, must be replaced.
        verb = "replace" if network in connected else "add"
        argv = ("ip", family(network), "route", verb, network, "dev", view.interface)
        operations.append(Operation(Change(Kind.ROUTE, network, None, network), argv))
    return operations


def at_up(view: View) -> list[str]:
    """
    The shell commands that make the routes of a new device. A network to which there is a route already is left alone,
    and whatever fails here does not take the interface down.
    """
    return [
        f'[ -n "$(ip {family(network)} route show exact {network})" ] ||'
        f" ip {family(network)} route add {network} dev {view.interface} || :"
        for network in sorted(view.routes)
    ]


def routes_removed(view: View, device: Device, applied: Applied) -> list[Operation]:
    """Remove routes that only the last configuration needed. Other routes are left alone."""
    return [
        Operation(Change(Kind.ROUTE, network, network, None), route_removal(network, view.interface))
        for network in sorted((applied.routes & device.boot_routes) - view.routes)
    ]


def route_removal(network: str, interface: str) -> tuple[str, ...]:
    """Without the protocol, the command could remove the kernel's own route to the same network."""
    return ("ip", family(network), "route", "del", network, "dev", interface, "proto", "boot")


def family(network: str) -> str:
    """The option of ``ip`` for the IP version."""
    return "-6" if ":" in network else "-4"
