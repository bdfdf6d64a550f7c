"""The endpoints of peers, resolved to addresses, and those that this node offers."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from ..device import own_endpoints
from ..model.addresses import usable
from ..model.device import Device
from ..model.endpoint import Endpoint
from ..model.view import View
from ..system.commands import run
from ..system.resolve import resolve_names
from ..wording import quoted
from . import config_files, devices, hosts_file

log = logging.getLogger(__name__)

# An endpoint that is a name: how long all names together may take to resolve before the rest goes on without.
RESOLVE_SECONDS = 5.0


def own(master_ip: str | None) -> tuple[str, ...]:
    """The addresses that this node offers to its peers, best first; ``master_ip``: the address of its Salt master."""
    addresses = run(["ip", "-json", "address", "show"])
    route = run(["ip", "-json", "route", "get", master_ip], check=False) if master_ip else ""
    tunnels = {*devices.names(), *config_files.managed()}
    return own_endpoints.candidates(addresses, own_endpoints.source_address(route), tunnels)


def is_own(address: str) -> bool:
    """Whether this is an address of this machine."""
    return own_endpoints.is_own(run(["ip", "-json", "route", "get", address], check=False))


def resolve(view: View, device: Device | None) -> dict[str, str]:
    """
    ``host:port`` -> ``ip:port`` for all endpoints of the view that can be resolved in time; the log names the others.

    A name with several addresses keeps the one that the device uses now, or else the one that it had last.
    """
    used = [peer.endpoint for peer in device.peers.values() if peer.endpoint] if device else []
    preferred = [*used, *config_files.last_addresses(view.interface).values()]
    resolved = look_up({peer.endpoint for peer in view.peers if peer.endpoint}, preferred)
    for peer in view.peers:
        if peer.endpoint and peer.endpoint not in resolved:
            log.warning(
                "wireguard: %s: the endpoint %s of %s does not resolve", view.interface, peer.endpoint, peer.name
            )
    return resolved


def known(view: View) -> dict[str, str]:
    """``host:port`` -> ``ip:port`` without a resolver: of a name, what it stood for last, if that is known."""
    addresses = {peer.endpoint for peer in view.peers if peer.endpoint and not peer.has_name_as_endpoint}
    return {**config_files.last_addresses(view.interface), **{each: each for each in addresses}}


def look_up(texts: Iterable[str], preferred: Iterable[str]) -> dict[str, str]:
    """
    ``host:port`` -> ``ip:port`` of those that resolve in time. Of several addresses, the first of ``preferred`` counts.

    A name that leads into the tunnel is not looked up: that it became an endpoint takes it out of the hosts file soon.
    A name that leads nowhere but to addresses at which nobody can be reached does not resolve, and the log says so.
    """
    endpoints = {text: Endpoint.parse(text) for text in texts}
    hosts = {each.host for each in endpoints.values() if not each.address}
    ours = hosts_file.managed() if hosts else set()
    addresses = resolve_names((host for host in hosts if host.lower() not in ours), RESOLVE_SECONDS)
    places = {text: place for place, text in enumerate(reversed([*preferred]))}
    found = {}
    for text, endpoint in endpoints.items():
        if endpoint.address:
            found[text] = text
        elif endpoint.host in addresses:
            good = [str(Endpoint(address, endpoint.port)) for address in usable(addresses[endpoint.host])]
            if good:
                found[text] = max(good, key=lambda each: places.get(each, -1))
            else:
                said = ", ".join(addresses[endpoint.host])
                log.warning("wireguard: %s resolves to %s, where nobody can be reached", endpoint.host, quoted(said))
    return found
