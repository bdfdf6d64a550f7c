"""
The serials of statements, which only grow, so that an old statement cannot be replayed.

They are kept for each Salt key: a reinstalled machine starts over with a new one, and statements signed with its old
key must stay old even if that key is accepted again. They are times, in nanoseconds since 1970: one far ahead of the
master's clock is refused, because its node could send nothing more until then.
"""

from __future__ import annotations

import time

from ..errors import RefusedError
from ..model.statements import MAX_AHEAD_NS, Registration, Report, Rotation
from ..wording import shell
from .database import Connection, upsert

_STORE = upsert("serial", "kind, network, node, salt_key", "value")


def advance_serial(connection: Connection, statement: Registration | Report | Rotation, salt_key: str) -> bool:
    """
    Move the serial forward. Returns False for the serial that was seen last: the statement came twice, which is
    harmless.

    Raises RefusedError if it is older, or far ahead of the clock.
    """
    key = (statement.KIND, statement.network, statement.node, salt_key)
    known = connection.execute(
        "SELECT value FROM serial WHERE kind = ? AND network = ? AND node = ? AND salt_key = ?", key
    ).fetchone()
    if known and known[0] == statement.serial:
        return False
    latest = time.time_ns() + MAX_AHEAD_NS
    if known and known[0] > statement.serial:
        raise RefusedError(
            f"its serial {statement.serial} is not newer than {known[0]}: "
            + (_ahead(statement.node, known[0]) if known[0] > latest else "it arrived late or was replayed"),
            "old",
        )
    if statement.serial > latest:
        raise RefusedError(
            f"its serial {statement.serial} is a wrong time: {_ahead(statement.node, statement.serial)}", "future"
        )
    connection.execute(_STORE, (*key, statement.serial))
    return True


def _ahead(node: str, serial: int) -> str:
    days = (serial - time.time_ns()) // MAX_AHEAD_NS
    return (
        f"that is {days} days ahead of the master's clock. Put the clock right that is wrong; if that was the master's,"
        f" {shell('salt-run wireguard.forget_serials', node)} lets the node speak again"
    )


def highest_serials(connection: Connection, node: str, salt_key: str) -> dict[str, int]:
    """Network -> the highest serial of any kind that the node used with this Salt key."""
    sql = "SELECT network, max(value) FROM serial WHERE (node, salt_key) = (?, ?) GROUP BY network"
    return dict(connection.execute(sql, (node, salt_key)).fetchall())


def forget_serials(connection: Connection, network: str, node: str) -> bool:
    """
    Let a node speak again whose serials are in the future. Returns whether there were such.

    They are set to the present time, so that its earlier statements stay old.
    """
    now = time.time_ns()
    sql = "UPDATE serial SET value = ? WHERE (network, node) = (?, ?) AND value > ?"
    return connection.execute(sql, (now, network, node, now)).rowcount > 0
