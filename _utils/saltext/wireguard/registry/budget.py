"""
What one node may change for others in a while, however true it is: so many at once, and some more an hour.

Every change of a node costs each other node a pillar or a job. What goes beyond the budget waits, and the last word
counts. Functions here work within the caller's transaction.
"""

from __future__ import annotations

import sqlite3

CHANGES = 10
SECONDS_EACH = 360.0


def spend(connection: sqlite3.Connection, node: str, now: float) -> bool:
    """Whether the node may change something now; if so, that is noted."""
    row = connection.execute("SELECT spent, at FROM budget WHERE node = ?", [node]).fetchone()
    spent, at = row or (0.0, now)
    # a clock that is set back gives nothing, and takes nothing
    spent = max(spent - max(now - at, 0.0) / SECONDS_EACH, 0.0)
    if spent + 1 > CHANGES:
        return False
    connection.execute("INSERT OR REPLACE INTO budget VALUES (?, ?, ?)", (node, spent + 1, now))
    return True
