"""
Follow the names of peers to their new addresses, by what the configuration file says: no pillar, no master.

Names are looked up before any lock is taken: a slow one keeps nobody from applying.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping

from ..device.reresolve import endpoint_commands, lost_peers, moved_endpoints
from ..errors import WireguardError
from ..system.commands import run
from . import config_files, devices, endpoints, lock

Outcome = dict[str, dict[str, object]]


def reresolve(cachedir: str) -> Outcome:
    """
    Connect to peers without a session at the address that the name in their endpoint has now.

    Returns, for each interface with such peers, ``moved``: name of the peer -> ``ip:port``, and ``unresolved``: the
    endpoints without an answer; or ``error``, which keeps no other interface from its turn.
    """
    outcome: Outcome = {}
    found: dict[str, Lost] = {}
    for interface in config_files.managed():
        with _noting_errors(outcome, interface):
            found[interface] = Lost(interface)
    texts = {text for each in found.values() for text in each.endpoints.values()}
    current = {peer.endpoint for each in found.values() for peer in each.peers.values() if peer.endpoint}
    addresses = endpoints.look_up(texts, current)
    for interface, each in found.items():
        if each.endpoints:
            with _noting_errors(outcome, interface):
                unresolved = sorted(set(each.endpoints.values()) - set(addresses))
                outcome[interface] = {"moved": _follow(cachedir, interface, addresses), "unresolved": unresolved}
    return outcome


class Lost:
    """What is lost on an interface. Raises WireguardError or OSError."""

    def __init__(self, interface: str) -> None:
        view = config_files.written(interface)
        self.peers = devices.peers(interface) if view and devices.exists(interface) else {}
        self.endpoints = lost_peers(view, self.peers, int(time.time())) if view else {}
        self.names = {peer.public_key: peer.name for peer in view.peers} if view else {}


def _follow(cachedir: str, interface: str, addresses: Mapping[str, str]) -> dict[str, str]:
    """
    Under the interface's lock, and by what is there now: `wg set` would make a peer anew that was removed meanwhile.

    Who holds the lock for long looks names up itself, so this does not wait for it.
    """
    with lock.hold(cachedir, interface, seconds=1):
        now = Lost(interface)
        moved = moved_endpoints(now.peers, now.endpoints, addresses)
        for command in endpoint_commands(interface, moved):
            run(command)
    return {now.names[key]: address for key, address in moved.items()}


@contextlib.contextmanager
def _noting_errors(outcome: Outcome, interface: str) -> Iterator[None]:
    try:
        yield
    except (WireguardError, OSError) as exc:
        outcome[interface] = {"error": str(exc)}
