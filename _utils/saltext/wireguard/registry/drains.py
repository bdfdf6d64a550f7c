"""Nodes that the others are moved off: hubs, nodes with networks behind them, exits. They stay members and peers."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from . import history as trail
from .database import Connection, Database, upsert
from .generation import advance_generation
from .rows import Drain, NodeId

_STORE = upsert("drain", "network, node", "since, who, why, until, automatic")


@dataclass(frozen=True)
class Cause:
    """Who moves the others off a node, and why; ``what`` the history calls that. ``until``: in Unix seconds."""

    what: str
    who: str
    why: str
    until: float | None = None
    automatic: bool = False


class Drains:
    """Those in the registry in ``store``. Each change is one transaction, and in the history."""

    def __init__(self, store: Database) -> None:
        self._store = store

    def begin(self, network: str, node: str, cause: Cause) -> bool:
        """Returns False where an operator has drained the node already: that holds."""
        with self._store.write() as connection:
            before = read(connection).get((network, node))
            if before and (not before.automatic or cause.automatic) and before.until is None:
                return False
            row = (network, node, time.time(), cause.who, cause.why, cause.until, int(cause.automatic))
            connection.execute(_STORE, row)
            details = {"until": cause.until} if cause.until else {}
            trail.write(connection, network, node, cause.what, cause.who, cause.why, **details)
            advance_generation(connection)
            return True

    def end(self, network: str, node: str, cause: Cause) -> bool:
        """Returns whether the node was drained."""
        with self._store.write() as connection:
            sql = "DELETE FROM drain WHERE (network, node) = (?, ?)"
            if not connection.execute(sql, (network, node)).rowcount:
                return False
            trail.write(connection, network, node, cause.what, cause.who, cause.why)
            advance_generation(connection)
            return True

    def lapse(self) -> None:
        """End those whose time is over."""
        now = time.time()
        lapsed = "SELECT network, node FROM drain WHERE until <= ?"
        if not self._store.all(lapsed, [now]):
            return
        with self._store.write() as connection:
            for network, node in connection.execute(lapsed, [now]).fetchall():
                connection.execute("DELETE FROM drain WHERE (network, node) = (?, ?)", (network, node))
                trail.write(connection, network, node, "undrained", "master", "its time was over")
            advance_generation(connection)


def read(connection: Connection) -> Mapping[NodeId, Drain]:
    rows = connection.execute("SELECT network, node, since, who, why, until, automatic FROM drain")
    return {
        (network, node): Drain(since, who, why, until, bool(automatic))
        for network, node, since, who, why, until, automatic in rows
    }
