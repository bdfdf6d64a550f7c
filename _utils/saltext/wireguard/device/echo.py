"""
Echo requests of a given size, and the search for the largest that comes through.

Pure: the sockets are in ``node.ping``.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import asdict, dataclass

# Of the IP header; an ICMP or ICMPv6 header has 8 bytes besides.
_HEADER = {4: 20, 6: 40}
_ICMP = 8

_REQUEST, _REPLY = {4: 8, 6: 128}, {4: 0, 6: 129}

# Enough to see whether anything comes through at all.
SMALL = 84

# How exact the search is, in bytes.
STEP = 4


def request(version: int, identifier: int, number: int, size: int = 0) -> bytes:
    """
    Return an echo request for a raw socket; with its IP header, which the kernel makes, it has ``size`` bytes, or as
    few as it can have. The kernel makes the checksum of ICMPv6 as well.
    """
    payload = bytes(max(size - _HEADER[version] - _ICMP, 0))
    header = struct.pack("!BBHHH", _REQUEST[version], 0, 0, identifier, number)
    if version == 6:
        return header + payload
    return header[:2] + _checksum(header).to_bytes(2, "big") + header[4:] + payload


def _checksum(header: bytes) -> int:
    """RFC 1071; of a payload of zeros, none is needed."""
    total: int = sum(struct.unpack(f"!{len(header) // 2}H", header))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


def reply(version: int, packet: bytes, identifier: int) -> tuple[int, int] | None:
    """
    Return (number, size) of the reply that a raw socket received; None for anything else. With IPv4, the packet has its
    IP header.
    """
    start = (packet[0] & 0xF) * 4 if version == 4 and packet else 0
    if len(packet) < start + _ICMP:
        return None
    kind, _, _, of, number = struct.unpack("!BBHHH", packet[start : start + _ICMP])
    if kind != _REPLY[version] or of != identifier:
        return None
    return number, len(packet) - start + _HEADER[version]


@dataclass
class Search:
    """
    The search for the largest size that comes through, until ``done``. ``fits`` is None as long as nothing did.

    ``full``: the MTU of the interface; larger ones are of no interest.
    """

    full: int
    fits: int | None = None
    too_large: int | None = None
    done: bool = False

    @property
    def size(self) -> int:
        """What to try next: something small, then the full size, then the middle."""
        if self.fits is None:
            return SMALL
        return self.full if self.too_large is None else (self.fits + self.too_large) // 2

    def tried(self, came_through: bool) -> None:
        """Record whether a packet of this ``size`` came through."""
        size = self.size
        if came_through:
            self.fits = size
        else:
            self.too_large = size
        nothing = self.fits is None
        found = self.fits == self.full or (self.too_large is not None and self.too_large - (self.fits or 0) <= STEP)
        self.done = nothing or found


@dataclass(frozen=True)
class PingResult:
    """
    Which peers answered.

    ``mtu`` is that of the interface. ``silent`` are the peers that did not answer. ``narrow``: peer to the largest size
    that comes through, if that is less than the MTU.
    """

    mtu: int
    asked: int
    silent: tuple[str, ...]
    narrow: dict[str, int]

    def comment(self) -> str:
        """In sentences: what does not work, and what to do."""
        return "; ".join(self._sentences()) or f"packets of {self.mtu} bytes come through to all {self.asked} peers"

    def _sentences(self) -> Iterator[str]:
        if self.silent:
            yield f"no answer from {', '.join(self.silent[:5])}{', ...' if len(self.silent) > 5 else ''}"
        if self.narrow:
            name, least = min(self.narrow.items(), key=lambda item: (item[1], item[0]))
            yield (
                f"packets of more than {least} bytes do not come through to {name}, though the MTU is {self.mtu}: write"
                f" `mtu: {least}` for the one of the two whose line is narrow, or for the whole network"
            )

    def to_dict(self) -> dict[str, object]:
        """As data for people."""
        return {**asdict(self), "silent": list(self.silent), "comment": self.comment()}
