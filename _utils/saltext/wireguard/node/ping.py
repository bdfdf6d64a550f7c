"""Pings all peers of an interface at once: whether packets come through, and how large ones."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import time
from collections.abc import Iterator, Mapping

from ..device import echo, rotation
from ..device.echo import PingResult, Search
from ..errors import NodeError
from . import config_files, devices

# The first packet to a peer may need a handshake, which WireGuard retries after five seconds.
FIRST_SECONDS = 6.0
SECONDS = 1.0
AGAIN_SECONDS = 0.3

# From linux/in.h and linux/in6.h; Python has no names for these: "don't fragment", whatever is known of the path.
_DISCOVER = {4: (socket.IPPROTO_IP, 10), 6: (socket.IPPROTO_IPV6, 23)}
_PROBE = 3


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
    with _sockets(interface) as sockets:
        number = 0
        while pending := {name: each for name, each in searches.items() if not each.done}:
            number += 1
            came = sockets.ask({addresses[name]: each.size for name, each in pending.items()}, number)
            for name, each in pending.items():
                each.record(addresses[name] in came)
    fits = {name: each.fits for name, each in sorted(searches.items())}
    return PingResult(
        device.mtu,
        len(searches),
        tuple(name for name, size in fits.items() if size is None),
        {name: size for name, size in fits.items() if size is not None and size < device.mtu},
    )


@contextlib.contextmanager
def _sockets(interface: str) -> Iterator[_Sockets]:
    with contextlib.ExitStack() as stack:
        kinds = {4: (socket.AF_INET, socket.IPPROTO_ICMP), 6: (socket.AF_INET6, socket.IPPROTO_ICMPV6)}
        made = {}
        for version, (family, protocol) in kinds.items():
            with contextlib.suppress(OSError):  # a machine without IPv6
                made[version] = stack.enter_context(socket.socket(family, socket.SOCK_RAW, protocol))
                made[version].setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
                made[version].setsockopt(*_DISCOVER[version], _PROBE)
                made[version].setblocking(False)
        yield _Sockets(made)


class _Sockets:
    """A raw socket for each IP version."""

    def __init__(self, sockets: Mapping[int, socket.socket]) -> None:
        self._sockets = sockets
        self._identifier = int.from_bytes(os.urandom(2), "big")

    def ask(self, sizes: Mapping[str, int], number: int) -> set[str]:
        """
        Address -> size of the packet to send there. Returns the addresses from which it came back in time.

        ``number``: of the round, so that a late answer is not taken for one of the next round.
        """
        came: set[str] = set()
        deadline = time.monotonic() + (FIRST_SECONDS if number == 1 else SECONDS)
        again = 0.0
        while came != sizes.keys() and time.monotonic() < deadline:
            if time.monotonic() >= again:
                self._send({address: size for address, size in sizes.items() if address not in came}, number)
                again = time.monotonic() + AGAIN_SECONDS
            ready, _, _ = select.select([*self._sockets.values()], [], [], max(again - time.monotonic(), 0))
            for version, each in self._sockets.items():
                if each in ready:
                    came.update(self._received(version, each, sizes, number))
        return came

    def _send(self, sizes: Mapping[str, int], number: int) -> None:
        for address, size in sizes.items():
            version = 6 if ":" in address else 4
            with contextlib.suppress(OSError, KeyError):  # a peer without a route does not answer
                self._sockets[version].sendto(echo.request(version, self._identifier, number, size), (address, 0))

    def _received(self, version: int, from_: socket.socket, sizes: Mapping[str, int], number: int) -> Iterator[str]:
        with contextlib.suppress(BlockingIOError):
            while True:
                packet, sender = from_.recvfrom(1 << 16)
                address = sender[0].partition("%")[0]
                if echo.reply(version, packet, self._identifier) == (number, sizes.get(address)):
                    yield address
