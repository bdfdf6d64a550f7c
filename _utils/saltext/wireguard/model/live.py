"""
What a node sees of its peers at a moment, and how that travels.

States of a peer are those that people know from other monitoring:

- ``up``: there is a session;
- ``idle``: there is none, and nothing asks for one;
- ``stale``: one that should be kept alive was not renewed in time;
- ``down``: the same for longer, or handshakes that were tried and never answered, or an end that lacks the other;
- ``unknown``: nobody says anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from ..errors import ViewError, WireguardError
from . import fields
from .device import SESSION_SECONDS, Device, DevicePeer
from .fields import Fields

# A session that is kept alive is renewed every 120 seconds; after so many, somebody should look.
DOWN_SECONDS = 300

# Of a network's peers, no node has more.
MAX_PEERS = 20_000

_NUMBER = fields.integer(0, 2**63 - 1)


class State(IntEnum):
    """Of a pair, or of an end of it; the better ones first."""

    up = 0
    idle = 1
    unknown = 2
    stale = 3
    down = 4


@dataclass(frozen=True)
class LivePeer:
    """
    One peer, as a node's device has it.

    ``endpoint`` is ``ip:port`` or None. ``age``: seconds since the latest handshake by the node's own clock, so that no
    two clocks need to agree; None for never. ``received`` and ``sent`` in bytes.
    """

    endpoint: str | None
    age: int | None
    received: int
    sent: int

    @classmethod
    def of(cls, peer: DevicePeer, now: int) -> LivePeer:
        """``now``: Unix seconds."""
        age = max(now - peer.latest_handshake, 0) if peer.latest_handshake else None
        return cls(peer.endpoint, age, peer.rx, peer.tx)

    def state(self, kept_alive: bool) -> State:
        """``kept_alive``: whether either end keeps the session alive."""
        if self.age is not None and self.age < SESSION_SECONDS:
            return State.up
        if kept_alive:
            return State.stale if self.age is not None and self.age < DOWN_SECONDS else State.down
        return State.down if self.age is None and self.sent else State.idle


@dataclass(frozen=True)
class LiveInterface:
    """
    One network of a node: its interface, and public key -> peer. ``error``: why the node cannot say; then the rest is
    empty. ``mtu`` is 0 where there is no device.
    """

    interface: str = ""
    up: bool = False
    mtu: int = 0
    peers: Mapping[str, LivePeer] = field(default_factory=dict)
    error: str | None = None

    @classmethod
    def of(cls, device: Device, now: int) -> LiveInterface:
        """``now``: Unix seconds."""
        peers = {key: LivePeer.of(peer, now) for key, peer in device.peers.items()}
        return cls(device.interface, device.up, device.mtu, peers)

    def to_dict(self) -> dict[str, Any]:
        """As it travels: a peer is a short list, because a fleet sends many."""
        if self.error is not None:
            return {"result": False, "comment": self.error}
        peers = {key: [each.endpoint, each.age, each.received, each.sent] for key, each in self.peers.items()}
        return {"interface": self.interface, "up": self.up, "mtu": self.mtu, "peers": peers}

    @classmethod
    def from_dict(cls, data: object) -> LiveInterface:
        """From a job's return, of which no shape is certain: it can be forged."""
        try:
            return _live_interface(data)
        except (WireguardError, ValueError, RecursionError):
            return cls(error="its answer is malformed")


def _live_interface(data: object) -> LiveInterface:
    given = Fields(data, "status: ", ViewError)
    if failure := given.failure():
        return LiveInterface(error=failure)
    peers = given.get("peers", fields.mapping)
    if len(peers) > MAX_PEERS:
        raise ValueError("too many peers")
    return LiveInterface(
        given.get("interface", fields.interface),
        given.get("up", fields.boolean),
        given.get("mtu", fields.integer(0, 65535)),
        {fields.public_key(key): _peer(each) for key, each in peers.items()},
    )


def _peer(value: object) -> LivePeer:
    endpoint, age, received, sent = fields.list_of(lambda item: item, 4)(value)
    return LivePeer(
        None if endpoint is None else fields.short_text(endpoint),
        None if age is None else _NUMBER(age),
        _NUMBER(received),
        _NUMBER(sent),
    )
