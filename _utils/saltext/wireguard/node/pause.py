"""
A change of the device that many nodes make at the same moment, while none of their packets is on its way.

WireGuard takes packets from a network from one peer only. While two nodes move to another hub, what the first of them
sends through it is dropped by the second, until that has moved too. So shortly before the moment, each node begins to
keep what it sends into its own subnets back, and sends it shortly afterwards. Then clocks and networks may differ by
``MARGIN_SECONDS``.

What is kept back waits in the queue of a network device that goes with this process, whatever ends it. The device has
the MTU of the interface, so that the kernel makes packets that fit.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import struct
import time
from collections.abc import Iterator
from ipaddress import IPv4Interface, IPv6Interface, ip_address, ip_interface

from ..errors import WireguardError
from ..system import machine
from ..system.commands import run
from . import devices

MARGIN_SECONDS = 0.2

# The moment is at most so far ahead. A clock that is far off does not hold anything up.
LONGEST_SECONDS = 10.0

# So many packets can wait.
_QUEUE = 20_000

# From linux/if_tun.h: packets of IP, without a header of their own.
_TUNSETIFF = 0x400454CA
_FLAGS = 0x1001


@contextlib.contextmanager
def together(at: float, interface: str, addresses: tuple[str, ...]) -> Iterator[None]:
    """
    Begin the block at this moment, in Unix seconds; at once if that is over.

    :param interface: of the machine, with these ``addresses``, which have their prefix length
    """
    with contextlib.ExitStack() as stack:
        if 0 < at - time.time() <= LONGEST_SECONDS:
            _sleep_until(at - MARGIN_SECONDS)
            if not devices.is_strict():  # where packets come in otherwise than they would go out, they are dropped
                with contextlib.suppress(OSError, WireguardError):  # then only the moment is the same
                    stack.enter_context(_kept_back(interface, addresses, at + MARGIN_SECONDS))
            _sleep_until(at)
        yield


@contextlib.contextmanager
def _kept_back(interface: str, addresses: tuple[str, ...], until: float) -> Iterator[None]:
    queue = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        name = _device(queue)
        own = [ip_interface(each) for each in addresses]
        commands = [
            f"link set dev {name} mtu {machine.here.mtu(interface)} txqueuelen {_QUEUE} up",
            *(each for one in own for each in _routes(one, name)),
        ]
        run(["ip", "-batch", "-"], stdin="\n".join(commands) + "\n")
        try:
            yield
            _sleep_until(until)
        finally:
            for version in sorted({one.version for one in own}):
                run(["ip", f"-{version}", "route", "flush", "dev", name])
            _send(queue, interface, own)
    finally:
        os.close(queue)


def _device(queue: int) -> str:
    answer = fcntl.ioctl(queue, _TUNSETIFF, struct.pack("16sH22x", b"wgpause%d", _FLAGS))
    return answer[:16].rstrip(b"\0").decode()


def _routes(own: IPv4Interface | IPv6Interface, name: str) -> Iterator[str]:
    """Two halves are more specific than the whole, to which the kernel has a route."""
    if own.network.prefixlen < own.network.max_prefixlen:
        for half in own.network.subnets():
            yield f"route add {half} dev {name} src {own.ip}"


def _send(queue: int, interface: str, own: list[IPv4Interface | IPv6Interface]) -> None:
    """Send all that waits in the queue, but for what the kernel itself sent to the device."""
    with contextlib.ExitStack() as stack:
        sockets = {}
        for version, kind in ((4, socket.AF_INET), (6, socket.AF_INET6)):
            with contextlib.suppress(OSError):  # a machine without IPv6
                sockets[version] = stack.enter_context(socket.socket(kind, socket.SOCK_RAW, socket.IPPROTO_RAW))
                sockets[version].setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
        while True:
            try:
                packet = os.read(queue, 1 << 16)
            except BlockingIOError:
                return
            version = packet[0] >> 4
            target = ip_address(packet[24:40] if version == 6 else packet[16:20])
            if version in sockets and any(target in one.network for one in own):
                with contextlib.suppress(OSError):
                    sockets[version].sendto(packet, (str(target), 0))


def _sleep_until(moment: float) -> None:
    time.sleep(max(moment - time.time(), 0))
