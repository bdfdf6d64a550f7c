"""The pairs of a network: what both ends should have, and what each sees of the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from ..fleet.network import NetworkState
from ..model.endpoint import Endpoint
from ..model.live import LiveInterface, LivePeer, State
from ..model.peer import Peer

# Two ends that saw the same handshake tell of it within so many seconds: they are not asked at the same moment.
SAME_HANDSHAKE_SECONDS = 20


@dataclass(frozen=True)
class End:
    """
    One end of a pair: ``node`` looks at the other one.

    ``peer`` is what the node should have, None where it should have nothing, or is no minion. ``seen`` is what it has,
    None where it does not say, or ``lacks`` the peer.
    """

    node: str
    peer: Peer | None = None
    seen: LivePeer | None = None
    lacks: bool = False

    @property
    def is_known(self) -> bool:
        """Whether this end says anything."""
        return self.lacks or self.seen is not None

    def state(self, kept_alive: bool) -> State:
        """``kept_alive``: whether either end keeps the session alive."""
        if self.seen is None:
            return State.down if self.lacks else State.unknown
        return self.seen.state(kept_alive)

    @property
    def has_roamed(self) -> bool | None:
        """Whether the other one is at another address than it should be; None where that cannot be told."""
        wanted = self.peer.endpoint if self.peer else None
        if wanted is None or self.seen is None or self.seen.endpoint is None:
            return None
        others = self.peer.others if self.peer else ()
        return None if Endpoint.parse(wanted).address is None else self.seen.endpoint not in (wanted, *others)


@dataclass(frozen=True)
class Pair:
    """Two participants of a network that should have a tunnel between them, in the order of their names."""

    network: str
    ends: tuple[End, End]

    @cached_property
    def kept_alive(self) -> bool:
        """Whether either end keeps the session alive."""
        return any(end.peer is not None and end.peer.keepalive for end in self.ends)

    @cached_property
    def states(self) -> tuple[State, State]:
        """As either end sees it."""
        one, other = (end.state(self.kept_alive) for end in self.ends)
        return one, other

    @cached_property
    def state(self) -> State:
        """The worse one of what the two ends see; an end that says nothing counts only if neither says anything."""
        known = [state for state in self.states if state is not State.unknown]
        return max(known, default=State.unknown)

    @property
    def disagrees(self) -> bool:
        """Whether one end has a session that the other one does not know of."""
        if not all(end.is_known for end in self.ends):
            return False
        ages = [end.seen.age if end.seen else None for end in self.ends]
        if State.up not in self.states or self.states[0] == self.states[1]:
            return False
        one, other = ages
        return one is None or other is None or abs(one - other) > SAME_HANDSHAKE_SECONDS

    @property
    def age(self) -> int | None:
        """Seconds since the latest handshake, as the end says that saw it last; None for never, or not known."""
        return min((end.seen.age for end in self.ends if end.seen and end.seen.age is not None), default=None)


def pairs(network: str, state: NetworkState, interfaces: Mapping[str, LiveInterface]) -> Iterator[Pair]:
    """
    All pairs of a network.

    :param interfaces: node -> what it says of this network; who does not say anything, or only an error, may be missing
    """
    wanted = {node: {peer.name: peer for peer in state.view(node).peers} for node in sorted(state.registered)}
    for node, peers in wanted.items():
        for name, peer in peers.items():
            back = wanted.get(name, {}).get(node)
            if back is None or node < name:
                ends = sorted((_end(node, peer, interfaces), _end(name, back, interfaces)), key=lambda end: end.node)
                yield Pair(network, (ends[0], ends[1]))


def _end(node: str, peer: Peer | None, interfaces: Mapping[str, LiveInterface]) -> End:
    interface = interfaces.get(node)
    if peer is None or interface is None or interface.error is not None:
        return End(node, peer)
    found = [interface.peers[key] for key in (peer.public_key, peer.next_key) if key and key in interface.peers]
    if not found:
        return End(node, peer, lacks=True)
    latest = min(found, key=lambda seen: float("inf") if seen.age is None else seen.age)
    return End(node, peer, latest)
