"""What of a view only the node itself can find out: how large packets may be, and what stays outside of an exit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from ipaddress import ip_address

from ..device import mtu
from ..model.view import View
from ..system import machine
from ..system.commands import run
from . import config_files


def with_local_facts(
    view: View, endpoints: Mapping[str, str], master: tuple[str, int] | None, caller: str = ""
) -> View:
    """
    A view with what this node alone knows. What it cannot find out now is as it was when the view was last applied.

    :param endpoints: endpoint as the view has it to ``ip:port``, of those that can be resolved
    :param master: address and port of the Salt master, if there is one
    :param caller: the address from which somebody applies this by ssh, as sshd says it
    :raises NodeError: or DeviceError
    """
    if view.mtu is None and view.path_mtu is None:
        view = replace(view, path_mtu=_path_mtu(view, endpoints))
    if view.via is None:
        return view
    if master:
        return replace(view, bypass_addresses=(str(ip_address(master[0])),))
    written = config_files.written(view.interface)
    if written and written.via is not None:
        return replace(view, bypass_addresses=written.bypass_addresses)
    return replace(view, bypass_addresses=_bypass_addresses(caller))


def _bypass_addresses(caller: str) -> tuple[str, ...]:
    """Without a master, it is by ssh that the node can be told to leave an exit: from there it must stay in reach."""
    try:
        address = ip_address(caller)
    except ValueError:  # sshd does not always know
        return ()
    return () if address.is_loopback or address.is_link_local else (str(address),)


def _path_mtu(view: View, endpoints: Mapping[str, str]) -> int | None:
    paths = {
        version: _paths(view.interface, version, lines) for version, lines in mtu.route_queries(view, endpoints).items()
    }
    found = mtu.fitting(view, paths)
    if all(peer.endpoint in endpoints for peer in view.peers if peer.endpoint):
        return found
    written = config_files.written(view.interface)
    known = [each for each in (found, written.path_mtu if written else None) if each is not None]
    return min(known, default=None)


def _paths(interface: str, version: int, lines: list[str]) -> list[int]:
    """The MTUs of the paths, but for those that there are none of, or that end here. All by one command."""
    if not lines:
        return []
    ip = ["ip", f"-{version}", "-json", "-force", "-batch", "-"]
    found = []
    for route in mtu.routes(run(ip, stdin="\n".join(lines) + "\n", check=False)):
        names = mtu.devices(route)
        if names and not {interface, "lo"}.intersection(names):
            of_devices = [each for each in map(machine.here.mtu, names) if each is not None]
            found.append(mtu.path_mtu(route, of_devices or [mtu.ETHERNET_MTU]))
    return found
