"""Pings all peers of all networks, a few times, at both of their IP versions."""

from __future__ import annotations

import time
from typing import Any

from ..device import echo
from ..device.echo import SMALL
from ..errors import NodeError, WireguardError
from ..model.probe import MOST_PINGS, Echo, Probe
from . import config_files, devices, echo_sockets
from .echo_sockets import EchoSockets

# Between two pings to the same peer, and after the last one.
SPACING_SECONDS = 0.1
LAST_SECONDS = 1.0


def probe_networks(network: str | None, count: int) -> dict[str, Any]:
    """
    Network -> how pings to its peers came back, for all networks of this machine or one of them, as data.

    Raises NodeError for a network that there is not, and for a count out of range.
    """
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= MOST_PINGS:
        raise NodeError(f"count must be a whole number from 1 to {MOST_PINGS}")
    managed = {of: each for each, of in sorted(config_files.managed().items()) if of is not None}
    if network is not None:
        managed = {network: config_files.interface_of(network)}
    return {"networks": {of: _probe(interface, count).to_dict() for of, interface in managed.items()}}


def _probe(interface: str, count: int) -> Probe:
    try:
        device = devices.read(interface)
        if device is None:
            raise NodeError(f"{interface} is not set up")
        addresses = {key: echo.host_addresses(peer.allowed_ips) for key, peer in device.peers.items()}
        with echo_sockets.opened(interface) as sockets:
            echoes = _ping(sockets, [address for each in addresses.values() for address in each.values()], count)
    except (WireguardError, OSError) as exc:
        return Probe(error=str(exc))
    return Probe(
        {
            key: {version: echoes[address] for version, address in each.items()}
            for key, each in addresses.items()
            if each
        }
    )


def _ping(sockets: EchoSockets, addresses: list[str], count: int) -> dict[str, Echo]:
    """A peer without a session gets the time for a handshake first, which is not counted."""
    awake = sockets.ask(dict.fromkeys(addresses, SMALL), 0, echo_sockets.HANDSHAKE_SECONDS)
    sent: dict[int, float] = {}
    times: dict[str, dict[int, float]] = {address: {} for address in awake}
    for number in range(1, count + 1) if awake else ():
        sent[number] = time.monotonic()
        sockets.send(dict.fromkeys(awake, SMALL), number)
        last = number == count
        for address, of_round, _ in sockets.replies(LAST_SECONDS if last else SPACING_SECONDS):
            if address in times and of_round in sent:
                times[address].setdefault(of_round, time.monotonic() - sent[of_round])
            if last and all(len(each) == count for each in times.values()):
                break
    return {address: _echo(count, [*times.get(address, {}).values()]) for address in addresses}


def _echo(count: int, times: list[float]) -> Echo:
    return Echo(count, len(times), round(1000 * sum(times) / len(times), 2) if times else None)
