"""The state of an interface, parsed and without secrets."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network

# A session is renewed every 120 seconds while it carries packets and refused after 180 (the WireGuard paper, 6.1).
SESSION_SECONDS = 180


@dataclass(frozen=True)
class DevicePeer:
    """
    One peer of a device.

    ``endpoint`` is ``ip:port`` (IPv6 in brackets), configured or learned. ``latest_handshake`` is in Unix seconds, 0
    for never; ``rx`` and ``tx`` in bytes; ``keepalive`` in seconds, 0 for off. ``preshared_key`` is the ``fingerprint``
    of the preshared key, None if there is none.
    """

    public_key: str
    endpoint: str | None
    allowed_ips: frozenset[str]
    latest_handshake: int
    rx: int
    tx: int
    keepalive: int
    preshared_key: str | None

    def has_session(self, now: int) -> bool:
        """Whether packets can pass without another handshake. ``now``: Unix seconds."""
        return self.latest_handshake > 0 and now - self.latest_handshake < SESSION_SECONDS


@dataclass(frozen=True)
class Device:
    """
    One interface.

    ``addresses`` have their prefix length; the IPv6 ``link_local`` ones are apart, as the kernel may make such ones.
    ``routes`` are the networks that the main table routes to this interface, without those that the kernel made for an
    address; ``boot_routes`` are those of them that ``ip route add`` and wg-quick make (``protocol boot``), which
    excludes the routes of a routing daemon. ``mark`` is that of the interface's own packets, 0 for none.
    """

    interface: str
    up: bool
    public_key: str | None
    port: int
    mtu: int
    addresses: frozenset[str]
    routes: frozenset[str]
    peers: Mapping[str, DevicePeer]
    boot_routes: frozenset[str] = frozenset()
    mark: int = 0
    link_local: frozenset[str] = field(default=frozenset(), compare=False)

    def carrier(self, address: str) -> str | None:
        """The public key of the peer that packets to this address go to."""
        found = [
            (network.prefixlen, key)
            for key, peer in self.peers.items()
            for network in map(ip_network, peer.allowed_ips)
            if ip_address(address) in network
        ]
        return max(found)[1] if found else None

    def sessions(self, now: int) -> dict[str, int]:
        """Public key -> latest handshake of the peers with a session. ``now``: Unix seconds."""
        return {key: peer.latest_handshake for key, peer in self.peers.items() if peer.has_session(now)}


def fingerprint(preshared_key: str) -> str:
    """Distinguishes preshared keys without revealing them."""
    return hashlib.sha256(preshared_key.encode()).hexdigest()[:16]
