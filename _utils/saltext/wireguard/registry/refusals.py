"""
Refused statements: counted in the history, with one entry a day for each node, network and kind.

Others control their number and content. So no flood of one kind displaces another kind or earlier entries, and none
costs more than a few writes a second.

Functions here work within the caller's transaction.
"""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass

from . import history as trail
from .database import ALL_ROWS, Connection
from .rows import Refusal

DAY = 86_400.0

# A day's entries of one kind, and of one node those of one kind; all others are counted in one entry for ANYBODY.
MAX_ENTRIES = 300
MAX_ENTRIES_OF_NODE = 100
ANYBODY = "*"
MANY = "so many at once that they were only counted"

# How long, and how many of one kind, are kept.
KEPT_SECONDS = 30 * DAY
KEPT_ENTRIES = 2000

# So many are written at once and a second; the others are counted first.
WRITTEN_AT_ONCE = 500
WRITTEN_A_SECOND = 10
MAX_UNWRITTEN = 1000


@dataclass(frozen=True)
class Refused:
    """What was refused: a statement that claims to be of this node. ``kind`` is that of the RefusedError."""

    network: str
    node: str
    kind: str


class Tally:
    """Counts in memory what is not worth a write each. What a process has not written when it ends is lost."""

    def __init__(self) -> None:
        self._writes = float(WRITTEN_AT_ONCE)  # that may still be made
        self._at = 0.0
        self._unwritten: Counter[Refused] = Counter()
        self._lock = threading.Lock()

    def add(self, refused: Refused, now: float) -> Counter[Refused] | None:
        """``now``: of a clock that is never set. None: it is counted. Else what to write now, this one last."""
        with self._lock:
            self._writes = min(self._writes + (now - self._at) * WRITTEN_A_SECOND, WRITTEN_AT_ONCE)
            self._at = now
            if self._writes < 1:
                known = refused in self._unwritten or len(self._unwritten) < MAX_UNWRITTEN
                self._unwritten[refused if known else Refused(ANYBODY, ANYBODY, refused.kind)] += 1
                return None
            self._writes -= 1
            found = Counter({**self._unwritten, refused: self._unwritten[refused] + 1})
            self._unwritten.clear()
            return found


def write(connection: Connection, refused: Refused, reason: str, times: int, now: float) -> None:
    """Count a refusal ``times`` times; ``reason`` is that of the last one."""
    entry = _entry(connection, refused, reason, now)
    if entry is not None:
        sql = "UPDATE history SET times = times + ?, last = ?, why = ? WHERE id = ?"
        connection.execute(sql, (times, now, reason, entry))
    elif refused.node != ANYBODY and _is_full(connection, refused.kind, now):
        write(connection, Refused(ANYBODY, ANYBODY, refused.kind), reason, times, now)
    else:
        trail.write_refusal(connection, refused.network, refused.node, reason, refused.kind, times, now)
        _forget(connection, refused.kind, now)


def _entry(connection: Connection, refused: Refused, reason: str, now: float) -> int | None:
    """The entry of today that this counts in: of the same reason, or the last one of a node that has many."""
    sql = "SELECT id, network, why FROM history WHERE kind = ? AND node = ? AND time > ? AND time <= ? ORDER BY id DESC"
    entries = connection.execute(sql, (refused.kind, refused.node, now - DAY, now)).fetchall()
    same = [number for number, network, why in entries if (network, why) == (refused.network, reason)]
    most = 1 if refused.node == ANYBODY else MAX_ENTRIES_OF_NODE
    return same[0] if same else entries[0][0] if len(entries) >= most else None


def _is_full(connection: Connection, kind: str, now: float) -> bool:
    sql = "SELECT count(*) FROM history WHERE kind = ? AND time > ?"
    return bool(connection.execute(sql, (kind, now - DAY)).fetchone()[0] >= MAX_ENTRIES)


def _forget(connection: Connection, kind: str, now: float) -> None:
    connection.execute("DELETE FROM history WHERE kind = ? AND last < ?", (kind, now - KEPT_SECONDS))
    connection.execute(
        "DELETE FROM history WHERE id IN (SELECT id FROM history WHERE kind = ? ORDER BY last DESC LIMIT ? OFFSET ?)",
        (kind, ALL_ROWS, KEPT_ENTRIES),
    )


def read(connection: Connection) -> list[Refusal]:
    """All that are kept, the newest first."""
    sql = "SELECT network, node, why, times, last FROM history WHERE kind IS NOT NULL ORDER BY last DESC, id DESC"
    return [Refusal(*row) for row in connection.execute(sql)]
