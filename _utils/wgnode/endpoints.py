"""Where peers can be called, resolved to addresses, and where this node can be called itself."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
import time
from collections.abc import Iterable

try:
    from saltext.wireguard.utils.wgmesh import reachable
    from saltext.wireguard.utils.wgmesh.device import Device
    from saltext.wireguard.utils.wgmesh.model import Endpoint
    from saltext.wireguard.utils.wgmesh.view import View
except ImportError:  # synced from _utils/
    from wgmesh import reachable
    from wgmesh.device import Device
    from wgmesh.model import Endpoint
    from wgmesh.view import View

from . import devices, files
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


def resolve(view: View, device: Device | None) -> dict[str, str]:
    """
    ``host:port`` -> ``ip:port`` for all endpoints of the view that can be resolved in time; the log names the others.

    A name with several addresses keeps the one that the device uses now.
    """
    current = {peer.endpoint for peer in device.peers.values() if peer.endpoint} if device else set()
    resolved = _look_up_all({peer.endpoint for peer in view.peers if peer.endpoint}, current)
    for peer in view.peers:
        if peer.endpoint and peer.endpoint not in resolved:
            log.warning(
                "wireguard: %s: the endpoint %s of %s does not resolve", view.interface, peer.endpoint, peer.name
            )
    return resolved


def _look_up_all(texts: Iterable[str], current: set[str]) -> dict[str, str]:
    """All at the same time. A lookup that takes too long goes on by itself, and nobody waits for it."""
    found: dict[str, str] = {}
    threads = []
    for text in sorted(texts):
        endpoint = Endpoint.parse(text)
        if endpoint.host.replace(".", "").isdigit() or ":" in endpoint.host:
            found[text] = text
        else:
            threads.append(threading.Thread(target=_look_up, args=(text, endpoint, current, found), daemon=True))
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + RESOLVE_SECONDS
    for thread in threads:
        thread.join(max(deadline - time.monotonic(), 0))
    return dict(found)


def _look_up(text: str, endpoint: Endpoint, current: set[str], found: dict[str, str]) -> None:
    with contextlib.suppress(OSError, UnicodeError):
        infos = socket.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_DGRAM)
        addresses = [str(Endpoint(str(info[4][0]), endpoint.port)) for info in infos]
        known = [address for address in addresses if address in current]
        found[text] = (known or addresses)[0]
