"""
Follows the names of peers to their new addresses, by the configuration file alone, without pillar and master.

Names are resolved before any lock is taken, so that a slow lookup does not block an apply. What they stand for now is
written into the files that the interface boots from.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..device.operations import wg_set
from ..device.reresolve import lost_peers, moved_endpoints
from ..errors import WireguardError
from ..formats import wg_quick
from ..model.device import DevicePeer
from ..model.endpoint import Endpoint
from ..system import files
from ..system.commands import run
from . import boot_files, config_files, devices, endpoints, lock
from .minion import Minion

# WireGuard asks for a session every 5 seconds and a third, as long as there is something to send.
HANDSHAKE_SECONDS = 6.0

Outcome = dict[str, dict[str, object]]


def reresolve(minion: Minion) -> Outcome:
    """
    Connect to peers without a session at the address that the name in their endpoint has now. If it has several, they
    are tried in turn.

    Returns, for each interface with such peers, ``moved``: name of the peer -> ``ip:port``, and ``unresolved``: the
    endpoints that did not resolve to an address that can be used; or ``error``. An error on one interface does not
    affect the others.
    """
    outcome: Outcome = {}
    found: dict[str, _LostPeers] = {}
    for interface in config_files.managed():
        with _recording_errors(outcome, interface):
            found[interface] = _LostPeers(interface)
    names = endpoints.look_up(text for each in found.values() for text in each.endpoints.values())
    unanswered = _unanswered(found, names)
    for interface, each in found.items():
        if each.view:
            with _recording_errors(outcome, interface):
                used = [peer.endpoint for peer in each.peers.values() if peer.endpoint]
                addresses = endpoints.choose(each.view, names, used, unanswered)
                unresolved = sorted(set(each.endpoints.values()) - set(addresses))
                moved = _follow(minion, interface, addresses, endpoints.unmoved(interface, names))
                outcome[interface] = {"moved": moved, "unresolved": unresolved}
    return outcome


def succeeded(outcome: Mapping[str, Any]) -> bool:
    """Whether no interface failed in what ``reresolve`` returned."""
    return not any("error" in each for each in outcome.values())


class _LostPeers:
    """The peers of an interface that have lost their sessions. Raises WireguardError or OSError."""

    def __init__(self, interface: str) -> None:
        view = config_files.written(interface)
        self.peers = devices.peers(interface) if view and devices.exists(interface) else {}
        self.endpoints = lost_peers(view, self.peers, int(time.time())) if view else {}
        self.names = {peer.public_key: peer.name for peer in view.peers} if view else {}
        lost = tuple(peer for peer in view.peers if peer.public_key in self.endpoints) if view else ()
        self.view = replace(view, peers=lost) if view and lost else None


def _unanswered(found: Mapping[str, _LostPeers], names: Mapping[str, Sequence[str]]) -> set[str]:
    """
    The public keys of peers that may be at several addresses, and that do not answer where they are asked for a
    session. A peer without traffic is asked nothing, and stays where it is.
    """
    several = {
        interface: {
            peer.public_key
            for peer in (each.view.peers if each.view else ())
            if peer.others or len(names.get(Endpoint.parse(each.endpoints[peer.public_key]).host, ())) > 1
        }
        for interface, each in found.items()
    }
    if any(several.values()):
        time.sleep(HANDSHAKE_SECONDS)
    keys: set[str] = set()
    for interface in filter(several.get, several):
        with contextlib.suppress(WireguardError, OSError):
            before, now = found[interface].peers, devices.peers(interface)
            keys.update(key for key in several[interface] & now.keys() if _is_unanswered(before[key], now[key]))
    return keys


def _is_unanswered(before: DevicePeer, now: DevicePeer) -> bool:
    if now.latest_handshake != before.latest_handshake or now.endpoint is None:
        return False
    return now.tx > before.tx or not endpoints.has_route(now.endpoint)


def _follow(minion: Minion, interface: str, addresses: Mapping[str, str], unmoved: Collection[str]) -> dict[str, str]:
    """
    Under the interface's lock, and by the peers that are there now: `wg set` would re-create one removed meanwhile.

    A run that holds the lock for long resolves names itself, so this does not wait for it. The files keep an address
    that is ``unmoved``.
    """
    with lock.hold(minion.cachedir, interface, seconds=1):
        now = _LostPeers(interface)
        moved = moved_endpoints(now.peers, now.endpoints, addresses)
        for command in wg_set(interface, [("peer", key, "endpoint", moved[key]) for key in sorted(moved)]):
            run(command)
        new = {name: addresses[name] for name in now.endpoints.values() if name in addresses and name not in unmoved}
        _write(interface, new, minion)
    return {now.names[key]: address for key, address in moved.items()}


def _write(interface: str, addresses: Mapping[str, str], minion: Minion) -> None:
    before = files.read(config_files.config_file(interface))
    text = wg_quick.with_addresses(before, interface, addresses)
    if text != before:
        boot_files.rewrite(interface, text, minion.boot())


@contextlib.contextmanager
def _recording_errors(outcome: Outcome, interface: str) -> Iterator[None]:
    try:
        yield
    except (WireguardError, OSError) as exc:
        outcome[interface] = {"error": str(exc)}
