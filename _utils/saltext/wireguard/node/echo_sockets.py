"""Raw sockets that send echo requests into one interface, and hear the replies."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import time
from collections.abc import Iterator, Mapping

from ..device import echo

# The first packet to a peer may need a handshake, which WireGuard retries after five seconds.
HANDSHAKE_SECONDS = 6.0
AGAIN_SECONDS = 0.3

# From linux/in.h and linux/in6.h; Python has no names for these: "don't fragment", whatever is known of the path.
_DISCOVER = {4: (socket.IPPROTO_IP, 10), 6: (socket.IPPROTO_IPV6, 23)}
_PROBE = 3


@contextlib.contextmanager
def opened(interface: str) -> Iterator[EchoSockets]:
    """Those of an interface, until the end of the block. Raises OSError."""
    with contextlib.ExitStack() as stack:
        kinds = {4: (socket.AF_INET, socket.IPPROTO_ICMP), 6: (socket.AF_INET6, socket.IPPROTO_ICMPV6)}
        made = {}
        for version, (family, protocol) in kinds.items():
            with contextlib.suppress(OSError):  # a machine without IPv6
                made[version] = stack.enter_context(socket.socket(family, socket.SOCK_RAW, protocol))
                made[version].setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
                made[version].setsockopt(*_DISCOVER[version], _PROBE)
                made[version].setblocking(False)
        yield EchoSockets(made)


class EchoSockets:
    """
    A raw socket for each IP version.

    ``number`` is that of a round, so that a late reply is not taken for one of the next round.
    """

    def __init__(self, sockets: Mapping[int, socket.socket]) -> None:
        self._sockets = sockets
        self._identifier = int.from_bytes(os.urandom(2), "big")

    def send(self, sizes: Mapping[str, int], number: int) -> None:
        """Address -> size of the packet to send there. An address without a route gets none."""
        for address, size in sizes.items():
            version = 6 if ":" in address else 4
            with contextlib.suppress(OSError, KeyError):
                self._sockets[version].sendto(echo.request(version, self._identifier, number, size), (address, 0))

    def replies(self, seconds: float) -> Iterator[tuple[str, int, int]]:
        """(address, number, size) of each reply that comes in time."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            ready, _, _ = select.select([*self._sockets.values()], [], [], left)
            for version, each in self._sockets.items():
                if each in ready:
                    yield from self._received(version, each)

    def ask(self, sizes: Mapping[str, int], number: int, seconds: float) -> set[str]:
        """
        Address -> size of the packet to send there, again and again. Returns the addresses from which it came back in
        time.
        """
        came: set[str] = set()
        deadline = time.monotonic() + seconds
        while came != sizes.keys() and time.monotonic() < deadline:
            self.send({address: size for address, size in sizes.items() if address not in came}, number)
            for address, of_round, size in self.replies(AGAIN_SECONDS):
                if of_round == number and size == sizes.get(address):
                    came.add(address)
                if came == sizes.keys():
                    break
        return came

    def _received(self, version: int, from_: socket.socket) -> Iterator[tuple[str, int, int]]:
        with contextlib.suppress(BlockingIOError):
            while True:
                packet, sender = from_.recvfrom(1 << 16)
                reply = echo.reply(version, packet, self._identifier)
                if reply:
                    yield (sender[0].partition("%")[0], *reply)
