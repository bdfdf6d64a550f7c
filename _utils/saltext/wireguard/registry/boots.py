"""Boots of machines, which reveal two machines with one Salt key."""

from __future__ import annotations

import time

from ..errors import RefusedError
from ..model.statements import Registration, Report
from . import history as trail
from .budget import BOOTS, spend
from .database import ALL_ROWS, Connection, upsert
from .generation import advance_generation

# So many boots of a machine are remembered, besides the current one.
MAX_BOOTS = 50

_STORE = upsert("boot", "node, salt_key, boot", "state, seen")


def see_boot(connection: Connection, statement: Registration | Report, salt_key: str) -> bool:
    """
    Detect two machines with one Salt key: a single machine never returns to an earlier boot. Returns whether the
    current boot has changed.

    Raises RefusedError for a statement of the machine that appeared later. The first one goes on.
    """
    if not statement.boot:
        return False
    who = (statement.node, salt_key)
    states = dict(connection.execute("SELECT boot, state FROM boot WHERE (node, salt_key) = (?, ?)", who).fetchall())
    state = states.get(statement.boot)
    if state == "clone":
        raise RefusedError(
            f"a second machine uses the Salt key of {statement.node} (boot id {statement.boot}): a clone. Delete"
            " /etc/salt/pki/minion and /etc/wireguard on the clone, and give it a minion id of its own",
            "clone",
        )
    if state in ("current", "fresh"):
        return False
    if state is None and states and not spend(connection, BOOTS, statement.node, time.time()):
        return False
    # a boot id that was replaced by another comes back: both machines run, and the other one is the later
    others = "clone" if state == "replaced" else "replaced"
    sql = "UPDATE boot SET state = ? WHERE (node, salt_key) = (?, ?) AND state IN ('current', 'fresh')"
    connection.execute(sql, (others, *who))
    now = "fresh" if states and state is None else "current"
    connection.execute(_STORE, (*who, statement.boot, now, time.time()))
    _forget_old(connection, statement.network, who)
    advance_generation(connection)
    if others == "clone":
        why = "two machines use its Salt key at the same time; the one that appeared later is refused"
        trail.write(connection, statement.network, statement.node, "cloned", "master", why)
    return True


def _forget_old(connection: Connection, network: str, who: tuple[str, str]) -> None:
    """A node that makes up boot ids gets no more room than that."""
    sql = (
        "DELETE FROM boot WHERE (node, salt_key) = (?, ?) AND boot IN (SELECT boot FROM boot"
        " WHERE (node, salt_key) = (?, ?) AND state IN ('replaced', 'clone') ORDER BY seen DESC LIMIT ? OFFSET ?)"
    )
    count = connection.execute(sql, (*who, *who, ALL_ROWS, MAX_BOOTS)).rowcount
    if count:
        trail.note_pruned(connection, network, who[0], f"boots: it has more than {MAX_BOOTS}", count, time.time())
