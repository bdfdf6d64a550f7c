"""
What members lack that had what they should have before: peers to set, and keys to drop.

One job tells all that lack the same. Every minion gets it, so it has nothing that not everybody may know: where a
network has links, preshared keys or host names, new peers come by the pillar.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..model.peer import Peer
from .network import NetworkState
from .participant import Kind

# All minions receive the arguments of a job: as many peers as fit into a few KB.
MOST_PEERS = 50


@dataclass(frozen=True, eq=False)
class Step:
    """Peers to set in a network, and the public keys of those to drop. The same for many members is one object."""

    network: str
    peers: tuple[Peer, ...]
    drop: tuple[str, ...]

    @property
    def is_small(self) -> bool:
        return len(self.peers) + len(self.drop) <= MOST_PEERS


class Steps:
    """From one state of a network to another."""

    def __init__(self, before: NetworkState, after: NetworkState) -> None:
        self._before = before
        self._after = after
        self._known: dict[tuple[Kind, Kind], tuple[Step, frozenset[str]]] = {}

    def of(self, node: str) -> Step | None:
        """What leads a member to what it should have; None if only a pillar does, or nothing is to do."""
        before, after = self._before, self._after
        if node not in before.registered or node not in after.registered:
            return None
        if before.interface_digest(node) != after.interface_digest(node):
            return None
        kinds = before.topology.kind(node), after.topology.kind(node)
        if kinds not in self._known:
            self._known[kinds] = self._step(*kinds)
        step, names = self._known[kinds]
        is_open = not step.peers or after.may_tell_all
        is_told = not any(peer.may_move for peer in step.peers)  # looking for it takes a schedule
        return step if is_open and is_told and step.is_small and names and node not in names else None

    def _step(self, before: Kind, after: Kind) -> tuple[Step, frozenset[str]]:
        old, new = self._before.topology.seen_by(before), self._after.topology.seen_by(after)
        peers = {name: peer for name, peer in new.items() if old.get(name) is not peer and old.get(name) != peer}
        gone = {name: peer for name, peer in old.items() if name not in new}
        keys = tuple(key for peer in gone.values() for key in (peer.public_key, peer.next_key) if key)
        return Step(self._after.name, tuple(peers.values()), keys), frozenset({*peers, *gone})
