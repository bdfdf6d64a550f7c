"""Whether others can be reached from here: the master by TCP, peers through the tunnel."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable

from ..device import echo

# How often a node looks for what it waits for; this is most of the gap in a key rotation.
POLL_SECONDS = 0.04


def greet(interface: str, address: str) -> None:
    """
    One small packet into the tunnel, to which the peer answers. It makes WireGuard handshake where there is no session.

    Whether it arrives does not matter; that there is no way to a peer, neither.
    """
    version, family, protocol = 4, socket.AF_INET, socket.IPPROTO_ICMP
    if ":" in address:
        version, family, protocol = 6, socket.AF_INET6, socket.IPPROTO_ICMPV6
    with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_RAW, protocol) as greeter:
        greeter.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
        greeter.setblocking(False)
        greeter.sendto(echo.request(version, 0, 0), (address, 0))


def accepts(address: str, port: int, seconds: float) -> bool:
    """Whether a new TCP connection comes about in time."""
    try:
        with socket.create_connection((address, port), timeout=seconds):
            return True
    except OSError:
        return False


def await_(condition: Callable[[], bool], seconds: float) -> bool:
    """Whether the condition came true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True
