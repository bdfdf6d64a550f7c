"""Where peers can be called, resolved to addresses, and where this node can be called itself."""

from __future__ import annotations

import logging
from collections.abc import Iterable

try:
    from saltext.wireguard.utils.wgmesh import names, reachable
    from saltext.wireguard.utils.wgmesh.device import Device
    from saltext.wireguard.utils.wgmesh.endpoint import Endpoint
    from saltext.wireguard.utils.wgmesh.view import View
except ImportError:  # synced from _utils/
    from wgmesh import names, reachable
    from wgmesh.device import Device
    from wgmesh.endpoint import Endpoint
    from wgmesh.view import View

from . import devices, files, hostsfile
from .commands import run

log = logging.getLogger(__name__)

# An endpoint that is a name: how long all names together may take to resolve before the rest goes on without.
RESOLVE_SECONDS = 5.0


def own(master_ip: str | None) -> tuple[str, ...]:
    """The addresses that this node offers to its peers, best first; ``master_ip``: the address of its Salt master."""
    addresses = run(["ip", "-json", "address", "show"])
    route = run(["ip", "-json", "route", "get", master_ip], check=False) if master_ip else ""
    tunnels = {*devices.names(), *files.managed()}
    return reachable.candidates(addresses, reachable.source_address(route), tunnels)


def is_own(address: str) -> bool:
    """Whether this is an address of this machine."""
    return reachable.is_own(run(["ip", "-json", "route", "get", address], check=False))


def resolve(view: View, device: Device | None) -> dict[str, str]:
    """
    ``host:port`` -> ``ip:port`` for all endpoints of the view that can be resolved in time; the log names the others.

    A name with several addresses keeps the one that the device uses now.
    """
    current = {peer.endpoint for peer in device.peers.values() if peer.endpoint} if device else set()
    resolved = look_up({peer.endpoint for peer in view.peers if peer.endpoint}, current)
    for peer in view.peers:
        if peer.endpoint and peer.endpoint not in resolved:
            log.warning(
                "wireguard: %s: the endpoint %s of %s does not resolve", view.interface, peer.endpoint, peer.name
            )
    return resolved


def look_up(texts: Iterable[str], current: set[str]) -> dict[str, str]:
    """
    ``host:port`` -> ``ip:port`` of those that resolve in time. Of several addresses, ``current`` ones go first.

    A name that leads into the tunnel is not looked up: that it became an endpoint takes it out of the hosts file soon.
    """
    endpoints = {text: Endpoint.parse(text) for text in texts}
    hosts = {each.host for each in endpoints.values() if not each.address}
    ours = hostsfile.given() if hosts else set()
    addresses = names.look_up((host for host in hosts if host.lower() not in ours), RESOLVE_SECONDS)
    found = {}
    for text, endpoint in endpoints.items():
        if endpoint.address:
            found[text] = text
        elif endpoint.host in addresses:
            usable = [str(Endpoint(address, endpoint.port)) for address in addresses[endpoint.host]]
            known = [each for each in usable if each in current]
            found[text] = (known or usable)[0]
    return found
