"""What this machine itself can say of the network that it is in; what its peers see of it, they have to say."""

from __future__ import annotations

from typing import Any

from ..device.ip_json import objects
from ..errors import NodeError, WireguardError
from ..model.netcheck import LocalNet
from ..system.commands import run
from . import config_files, devices, endpoints, ping


def netcheck(network: str | None) -> dict[str, Any]:
    """
    Network -> what this machine can say, as data, for all of its networks or one of them.

    Raises NodeError for a network that there is not.
    """
    managed = {of: each for each, of in sorted(config_files.managed().items()) if of is not None}
    if network is not None:
        managed = {network: config_files.interface_of(network)}
    return {"networks": {of: _look(interface).to_dict() for of, interface in managed.items()}}


def _look(interface: str) -> LocalNet:
    try:
        device = devices.read(interface)
        if device is None:
            raise NodeError(f"{interface} is not set up")
        pinged = ping.ping(interface)
        return LocalNet(
            port=device.port,
            mtu=pinged.mtu,
            addresses=endpoints.own(None),
            default_routes=tuple(version for version in (4, 6) if _has_default_route(version)),
            asked=pinged.asked,
            silent=pinged.silent,
            narrow=pinged.narrow,
        )
    except (WireguardError, OSError) as exc:
        return LocalNet(error=str(exc))


def _has_default_route(version: int) -> bool:
    """Of the main table, where a route into a tunnel of an exit node never is."""
    shown = run(["ip", "-json", f"-{version}", "route", "show", "default"], check=False)
    return bool(objects(shown, "`ip -json route show default`"))
