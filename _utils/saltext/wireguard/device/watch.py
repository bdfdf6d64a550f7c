"""
What changes on a node by itself, as few events. Each is told after it has lasted for some looks; what is wrong with the
node itself is told again after an hour.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..model.device import SESSION_SECONDS
from ..model.live import LivePeer

# All that can be told: the last part of an event's tag.
WHATS = (
    "drift",
    "endpoint_moved",
    "interface_back",
    "interface_gone",
    "key_mode",
    "left_out",
    "peer_down",
    "peer_up",
)

# What is wrong with the node itself is told again so long after the last time, as long as it lasts.
AGAIN_SECONDS = 3600.0
HOUR = 3600.0

# Looks for drift are far apart, but for one at once after it was found.
DRIFT_LOOKS = 2


@dataclass(frozen=True)
class Look:
    """
    One interface at a moment. ``up``: whether there is a device that is up. ``kept_alive``: public keys of the peers to
    which this node sends keepalives. ``names``: public key -> the peer's name. ``exposed``: path -> mode of the files
    with a secret that others can read. ``drift``: how many changes others made, None where nobody looked.
    """

    interface: str
    network: str | None
    up: bool
    peers: Mapping[str, LivePeer] = field(default_factory=dict)
    kept_alive: frozenset[str] = frozenset()
    names: Mapping[str, str] = field(default_factory=dict)
    exposed: Mapping[str, str] = field(default_factory=dict)
    drift: int | None = None


@dataclass
class _Steady:
    """Something that may flicker. ``value`` is what it was at so many looks in a row, ``told`` when that was told."""

    value: Any
    told: float = 0.0
    _other: Any = None
    _times: int = 0

    def settles(self, value: Any, looks: int) -> bool:
        """Whether it is another value from now on."""
        self._times = 0 if value == self.value else self._times + 1 if value == self._other else 1
        self._other = value
        if self._times < looks:
            return False
        self.value, self._times = value, 0
        return True

    def interrupt(self) -> None:
        """A look that says nothing about it."""
        self._times = 0


@dataclass
class _Peer:
    is_up: _Steady
    endpoint: _Steady
    sent: int


class Watch:
    """What was seen so far, and told. It is lost with its process, and begins again."""

    def __init__(self) -> None:
        self._states: dict[tuple[str, str], _Steady] = {}  # (interface, what) -> whether it is so
        self._peers: dict[tuple[str, str], _Peer] = {}  # (interface, public key)
        self._left: float | None = None  # events that may still be told
        self._at = 0.0
        self._left_out = 0

    def look(self, found: Sequence[Look], looks: int, at_most: int, now: float) -> list[dict[str, Any]]:
        """
        The events after one more look, as a beacon of Salt returns them.

        :param found: all interfaces of this node
        :param looks: how many in a row must agree
        :param at_most: events an hour, and at once
        :param now: of a clock that is never set
        """
        known = {look.interface for look in found}
        self._states = {key: each for key, each in self._states.items() if key[0] in known}
        present = {(look.interface, key) for look in found for key in look.peers}
        self._peers = {key: each for key, each in self._peers.items() if key in present}
        events = [event for look in found for event in self._events(look, looks, now)]
        return list(self._limited(events, at_most, now))

    def _events(self, look: Look, looks: int, now: float) -> Iterator[dict[str, Any]]:
        about = {"interface": look.interface, "network": look.network}
        was_gone = self._state(look, "interface_gone").value
        if self._lasts(look, "interface_gone", not look.up, looks, now):
            yield _event("interface_gone", about)
        elif was_gone and not self._state(look, "interface_gone").value:
            yield _event("interface_back", about)
        if self._lasts(look, "key_mode", bool(look.exposed), looks, now):
            yield _event("key_mode", about, files=dict(sorted(look.exposed.items())))
        # An interface that is gone is not told twice.
        if look.drift is not None and self._lasts(look, "drift", bool(look.drift) and look.up, DRIFT_LOOKS, now):
            yield _event("drift", about, changes=look.drift)
        for key, peer in sorted(look.peers.items()):
            yield from self._events_of_peer(look, key, peer, looks, about)

    def _state(self, look: Look, what: str) -> _Steady:
        return self._states.setdefault((look.interface, what), _Steady(False))

    def _lasts(self, look: Look, what: str, is_so: bool, looks: int, now: float) -> bool:
        """Whether to tell that something is wrong: that it came to be, or still is."""
        state = self._state(look, what)
        begins = state.settles(is_so, looks)
        if not state.value or (not begins and now < state.told + AGAIN_SECONDS):
            return False
        state.told = now
        return True

    def _events_of_peer(
        self, look: Look, key: str, peer: LivePeer, looks: int, about: Mapping[str, Any]
    ) -> Iterator[dict[str, Any]]:
        known = self._peers.setdefault((look.interface, key), _Peer(_Steady(True), _Steady(peer.endpoint), peer.sent))
        named = {**about, "peer": look.names.get(key), "public_key": key}
        has_session = peer.age is not None and peer.age < SESSION_SECONDS
        # A handshake that is tried counts as sent. A peer that nobody sends to may be asleep.
        if has_session or key in look.kept_alive or peer.sent > known.sent:
            if known.is_up.settles(has_session, looks):
                yield _event("peer_up" if has_session else "peer_down", named, age=peer.age)
        else:
            known.is_up.interrupt()
        known.sent = peer.sent
        before = known.endpoint.value
        if peer.endpoint and known.endpoint.settles(peer.endpoint, looks) and before:
            yield _event("endpoint_moved", named, old=before, new=peer.endpoint)

    def _limited(self, events: Sequence[dict[str, Any]], at_most: int, now: float) -> Iterator[dict[str, Any]]:
        left = at_most if self._left is None else min(self._left + (now - self._at) * at_most / HOUR, at_most)
        self._at = now
        if self._left_out and left >= 1:
            left -= 1
            yield _event("left_out", {}, count=self._left_out)
            self._left_out = 0
        told = events[: int(left)]
        yield from told
        self._left = left - len(told)
        self._left_out += len(events) - len(told)


def _event(what: str, about: Mapping[str, Any], **facts: Any) -> dict[str, Any]:
    return {"tag": what, "what": what, **about, **facts}
