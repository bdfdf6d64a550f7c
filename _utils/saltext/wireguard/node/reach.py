"""Checks reachability: of the master by TCP, of peers through the tunnel."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable

from ..device import echo

# How often a node checks a condition that it waits for. This causes most of the gap in a key rotation.
POLL_SECONDS = 0.04


def send_echo(interface: str, address: str) -> None:
    """
    Send a small echo request into the tunnel, which makes WireGuard handshake if there is no session.

    Nobody waits for the reply, and a peer that cannot be reached is no error.
    """
    version, family, protocol = 4, socket.AF_INET, socket.IPPROTO_ICMP
    if ":" in address:
        version, family, protocol = 6, socket.AF_INET6, socket.IPPROTO_ICMPV6
    with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_RAW, protocol) as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
        raw.setblocking(False)
        raw.sendto(echo.request(version, 0, 0), (address, 0))


def accepts(address: str, port: int, seconds: float) -> bool:
    """Whether a new TCP connection can be made in time."""
    try:
        with socket.create_connection((address, port), timeout=seconds):
            return True
    except OSError:
        return False


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Whether the condition came true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True
