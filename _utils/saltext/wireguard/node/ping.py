"""Pings all peers of an interface at once: whether packets get through, and of which sizes."""

from __future__ import annotations

from ..device import rotation
from ..device.echo import PingResult, Search
from ..errors import NodeError
from . import config_files, devices, echo_sockets

# How long a peer has to answer that has a session by now.
SECONDS = 1.0


def ping_networks(network: str | None, peer: str | None) -> dict[str, dict[str, object]]:
    """
    Network -> how its peers answered, as data, for all networks of this machine or one of them.

    :param peer: only the one of this name
    :raises NodeError: DeviceError or OSError
    """
    if network is not None:
        return {network: ping(config_files.interface_of(network), peer).to_dict()}
    return {of: ping(each, peer).to_dict() for each, of in sorted(config_files.managed().items()) if of is not None}


def ping(interface: str, only: str | None = None) -> PingResult:
    """
    Ping all peers, or ``only`` the one of this name. Takes up to 6 seconds if a peer does not answer, and up to as many
    more to find the size of packets that come through.

    :raises NodeError: DeviceError or OSError
    """
    device = devices.read(interface)
    if device is None:
        raise NodeError(f"{interface} is not set up")
    names = config_files.applied(interface).names
    addresses = {
        names.get(key, key): address
        for key, peer in device.peers.items()
        if only in (None, names.get(key, key))
        for address in rotation.echo_addresses([peer])
    }
    if only is not None and not addresses:
        raise NodeError(f"{interface} has no peer {only}")
    searches = {name: Search(device.mtu) for name in addresses}
    with echo_sockets.opened(interface) as sockets:
        number = 0
        while pending := {name: each for name, each in searches.items() if not each.done}:
            number += 1
            seconds = echo_sockets.HANDSHAKE_SECONDS if number == 1 else SECONDS
            came = sockets.ask({addresses[name]: each.size for name, each in pending.items()}, number, seconds)
            for name, each in pending.items():
                each.record(addresses[name] in came)
    fits = {name: each.fits for name, each in sorted(searches.items())}
    return PingResult(
        device.mtu,
        len(searches),
        tuple(name for name, size in fits.items() if size is None),
        {name: size for name, size in fits.items() if size is not None and size < device.mtu},
    )
