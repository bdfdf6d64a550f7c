"""
Echo requests of a given size, and the search for the largest that gets through.

Pure: ``node.echo_sockets`` has the sockets.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from ipaddress import ip_network

# Bytes of the IP header, and of the ICMP or ICMPv6 header.
_HEADER = {4: 20, 6: 40}
_ICMP = 8

_REQUEST, _REPLY = {4: 8, 6: 128}, {4: 0, 6: 129}

# Large enough to see whether anything gets through at all.
SMALL = 84

# The precision of the search, in bytes.
STEP = 4


def host_addresses(allowed_ips: Iterable[str]) -> dict[int, str]:
    """
    IP version -> one address of a peer. Of host networks only: in a network behind the peer, we know no address of a
    machine.
    """
    hosts = [network for network in map(ip_network, allowed_ips) if network.num_addresses == 1]
    ordered = sorted(hosts, key=lambda host: (host.version, int(host.network_address)), reverse=True)
    return {host.version: str(host.network_address) for host in ordered}


def request(version: int, identifier: int, number: int, size: int = 0) -> bytes:
    """
    Return an echo request for a raw socket. With the IP header, which the kernel adds, it has ``size`` bytes, or the
    least possible. The kernel also computes the checksum of ICMPv6.
    """
    payload = bytes(max(size - _HEADER[version] - _ICMP, 0))
    header = struct.pack("!BBHHH", _REQUEST[version], 0, 0, identifier, number)
    if version == 6:
        return header + payload
    return header[:2] + _checksum(header).to_bytes(2, "big") + header[4:] + payload


def _checksum(header: bytes) -> int:
    """By RFC 1071. A payload of zeros does not change it."""
    total: int = sum(struct.unpack(f"!{len(header) // 2}H", header))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


def reply(version: int, packet: bytes, identifier: int) -> tuple[int, int] | None:
    """
    Return (number, size) of the reply that a raw socket received, None for anything else. An IPv4 packet comes with its
    IP header.
    """
    start = (packet[0] & 0xF) * 4 if version == 4 and packet else 0
    if len(packet) < start + _ICMP:
        return None
    kind, _, _, sender, number = struct.unpack("!BBHHH", packet[start : start + _ICMP])
    if kind != _REPLY[version] or sender != identifier:
        return None
    return number, len(packet) - start + _HEADER[version]


@dataclass
class Search:
    """
    The search for the largest size that gets through, until ``done``. ``fits`` is None until something does.

    ``full``: the MTU of the interface, and so the largest size to try.
    """

    full: int
    fits: int | None = None
    too_large: int | None = None
    done: bool = False

    @property
    def size(self) -> int:
        """The size to try next: a small one, the full one, and then the middle of the remaining range."""
        if self.fits is None:
            return SMALL
        return self.full if self.too_large is None else (self.fits + self.too_large) // 2

    def record(self, got_through: bool) -> None:
        """Note whether a packet of this ``size`` got through."""
        if got_through:
            self.fits = self.size
        else:
            self.too_large = self.size
        is_exact = self.too_large is not None and self.too_large - (self.fits or 0) <= STEP
        self.done = self.fits in (None, self.full) or is_exact


@dataclass(frozen=True)
class PingResult:
    """
    Which peers answered.

    ``mtu`` is that of the interface. ``silent`` are the peers that did not answer. ``narrow``: peer -> the largest size
    that gets through, where that is less than the MTU.
    """

    mtu: int
    asked: int
    silent: tuple[str, ...]
    narrow: dict[str, int]

    def comment(self) -> str:
        """What does not work, and what to do about it, in sentences."""
        return "; ".join(self._sentences()) or f"packets of {self.mtu} bytes reach all {self.asked} peers"

    def _sentences(self) -> Iterator[str]:
        if self.silent:
            yield f"no answer from {', '.join(self.silent[:5])}{', ...' if len(self.silent) > 5 else ''}"
        if self.narrow:
            name, least = min(self.narrow.items(), key=lambda item: (item[1], item[0]))
            yield (
                f"packets of more than {least} bytes do not reach {name}, though the MTU is {self.mtu}: write"
                f" `mtu: {least}` for the one of the two nodes that has the narrow line, or for the whole network"
            )

    def to_dict(self) -> dict[str, object]:
        """As data for people."""
        return {**asdict(self), "silent": list(self.silent), "comment": self.comment()}
