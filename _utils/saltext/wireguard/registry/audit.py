"""The history of the registry: what happened, who did it, who joined and left, and what was refused."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection

from . import history as trail
from . import refusals
from .database import Database
from .generation import advance_generation
from .refusals import MANY, Refused, Tally
from .rows import NodeId, Refusal

_tallies: dict[str, Tally] = {}


class Audit:
    """That of the registry in ``store``."""

    def __init__(self, store: Database) -> None:
        self._store = store

    def refusals(self) -> list[Refusal]:
        """Refused statements, the newest first."""
        empty: list[Refusal] = []
        return self._store.read(refusals.read, empty)

    def refuse(self, network: str, node: str, reason: str, kind: str = "malformed") -> bool:
        """Remember a refusal, see ``refusals``. False: there are so many that it is only counted."""
        tally = _tallies.setdefault(self._store.place, Tally())
        counts = tally.add(Refused(network, node, kind), time.monotonic())
        if counts is None:
            return False
        with self._store.write(durable=False) as connection:
            for refused, times in counts.items():
                text = reason if refused == Refused(network, node, kind) else MANY
                refusals.write(connection, refused, text, times, time.time())
        return True

    def note_failed_rotation(self, network: str, node: str, who: str, why: str) -> None:
        """Write into the history that a node was to get a new key and did not."""
        with self._store.write() as connection:
            trail.write(connection, network, node, "rotation_failed", who, why)

    def failed_rotations(self, since: float) -> set[NodeId]:
        """The nodes whose rotation failed since then (Unix seconds)."""
        sql = "SELECT DISTINCT network, node FROM history WHERE what = 'rotation_failed' AND time > ?"
        return {(network, node) for network, node in self._store.all(sql, [since])}

    def count(self, what: str, network: str, node: str, since: float) -> int:
        """How often this has happened to a node since then (Unix seconds)."""
        sql = "SELECT count(*) FROM history WHERE (what, network, node) = (?, ?, ?) AND time > ?"
        rows = self._store.all(sql, (what, network, node, since))
        return int(rows[0][0]) if rows else 0

    def note_members(
        self, network: str, members: Collection[str], why_not: Callable[[str], str], who: str = "master"
    ) -> list[str]:
        """
        Write into the history who joined and who left the network since the last call; these by ``who``'s doing.

        Returns who left.
        """
        known = {node for (node,) in self._store.all("SELECT node FROM member WHERE network = ?", [network])}
        left: list[str] = []
        if known == set(members):
            return left
        with self._store.write() as connection:
            for node in sorted(set(members) - known):
                if connection.execute(
                    "INSERT INTO member VALUES (?, ?) ON CONFLICT DO NOTHING", (network, node)
                ).rowcount:
                    trail.write(connection, network, node, "joined", "master", "in the mesh file, accepted, registered")
            for node in sorted(known.difference(members)):
                if connection.execute("DELETE FROM member WHERE (network, node) = (?, ?)", (network, node)).rowcount:
                    trail.write(connection, network, node, "removed", who, why_not(node))
                    left.append(node)
            advance_generation(connection)
        return left

    def note(self, what: str, nodes: Collection[NodeId], who: str, why: str) -> None:
        """Write into the history what an operator wants of these nodes, which changes nothing here."""
        with self._store.write() as connection:
            for network, node in sorted(nodes):
                trail.write(connection, network, node, what, who, why)

    def history(self, node: str | None = None, limit: int = 100) -> list[trail.Entry]:
        """The newest entries of the audit trail, oldest first."""
        empty: list[trail.Entry] = []
        return self._store.read(lambda connection: trail.read(connection, node, limit), empty)

    def claim_history(self) -> list[trail.Entry]:
        """The entries that nobody has announced yet; the caller announces them."""
        if not self._store.all("SELECT 1 FROM history WHERE announced = 0 LIMIT 1"):
            return []
        with self._store.write() as connection:
            return trail.claim(connection)
