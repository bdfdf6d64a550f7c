"""
Limits how much work one node can cause, even with true statements: a number at once, and some more each hour.

Each change of a node costs every other node a pillar or a job. Each boot, and each report with news, costs a reconcile.
Statements beyond the budget wait, or are not acted on at once. Functions here work within the caller's transaction.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from .database import Connection, upsert


@dataclass(frozen=True)
class Budget:
    """So many at once, and one more after each period of so many seconds."""

    name: str
    at_once: int
    seconds: float


CHANGES = Budget("changes", 10, 360.0)
REPORTS = Budget("reports", 60, 60.0)
BOOTS = Budget("boots", 10, 360.0)

# In a full mesh, a change costs the master a pillar for each node: of so many, an hour's changes take it 6 minutes.
NODES = 300

_STORE = upsert("budget", "name, node", "spent, at")


def changes(connection: Connection) -> Budget:
    """In each registry as many at once, but the more nodes it knows, the longer until the next."""
    count = connection.execute("SELECT count(*) FROM node").fetchone()[0]
    return replace(CHANGES, seconds=CHANGES.seconds * max(count / NODES, 1.0))


def spend(connection: Connection, budget: Budget, node: str, now: float) -> bool:
    """Spend one of the node's budget. Returns whether it had one left."""
    sql = "SELECT spent, at FROM budget WHERE (name, node) = (?, ?)"
    spent, at = connection.execute(sql, (budget.name, node)).fetchone() or (0.0, now)
    spent = _still_spent(budget, spent, at, now)
    has_some = spent + 1 <= budget.at_once
    if has_some or now < at:
        values = (budget.name, node, spent + 1 if has_some else spent, now)
        connection.execute(_STORE, values)
    return has_some


def _still_spent(budget: Budget, spent: float, at: float, now: float) -> float:
    """What time has not given back. A clock that is set back gives nothing, and from then on time counts again."""
    return max(spent - max(now - at, 0.0) / budget.seconds, 0.0)


def spenders(connection: Connection, budget: Budget, now: float) -> list[str]:
    """The nodes that have nothing left of this budget."""
    rows = connection.execute("SELECT node, spent, at FROM budget WHERE name = ? ORDER BY node", [budget.name])
    return [node for node, spent, at in rows if _still_spent(budget, spent, at, now) + 1 > budget.at_once]


def renew(connection: Connection, node: str) -> None:
    """Reset all budgets of a node, because an operator wants to hear from it."""
    connection.execute("DELETE FROM budget WHERE node = ?", [node])
