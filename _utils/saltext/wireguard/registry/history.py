"""
The audit trail: what happened to which node, when, who did it, and why.

Entries are written in the transaction of the change itself, so that neither exists without the other. Afterwards, the
first process that can announces each entry once, as a Salt event.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

from .database import Connection

# What can happen to a node: the last part of the events' tags, see docs/events.md.
WHATS = (
    "admitted",
    "cloned",
    "drained",
    "drifted",
    "enrolled",
    "exported",
    "failed_back",
    "failed_over",
    "failover_advised",
    "forced",
    "joined",
    "moved",
    "preshared",
    "pruned",
    "readmitted",
    "refused",
    "registered",
    "reinstalled",
    "rejected",
    "rekeyed",
    "removed",
    "renamed",
    "revoked",
    "rolled_back",
    "rotated",
    "rotating",
    "rotation_failed",
    "serials_forgotten",
    "superseded",
    "unannounced",
    "undrained",
    "waiting",
)

# Of what a node brings about itself, so many entries are kept; of the rest, all of so long, and so many in any case.
MAX_BY_ITSELF = 200
KEPT_SECONDS = 400 * 86_400.0
ALWAYS_KEPT = 10_000
PRUNED_EACH = 50


@dataclass(frozen=True)
class Entry:
    """One thing that happened. ``time`` is in Unix seconds; ``details`` has nothing secret."""

    id: int
    time: float
    network: str
    node: str
    what: str
    who: str
    why: str
    details: dict[str, Any]

    @property
    def tag(self) -> str:
        """The event's tag. Names in a refusal come from anybody, so they cannot make up parts of it."""
        network = "".join(char if char.isalnum() or char in "_.-" else "_" for char in self.network)
        return f"wireguard/{network}/node/{self.what}"

    def to_dict(self) -> dict[str, Any]:
        """As it travels in an event."""
        return {**self.__dict__}


_COLUMNS = "id, time, network, node, what, who, why, details, times, last"


def write(connection: Connection, network: str, node: str, what: str, who: str, why: str, **details: Any) -> None:
    """Add an entry within the caller's transaction. ``what`` is one of WHATS."""
    if what not in WHATS:
        raise ValueError(f"{what} is not one of WHATS")
    now = time.time()
    number = _insert(connection, (now, network, node, what, who, why, json.dumps(details), None, 1, now))
    if number % PRUNED_EACH == 0:
        prune(connection, now)


def prune(connection: Connection, now: float) -> None:
    """
    Drop entries beyond the limits, and note that in an entry of each node concerned.

    The newest entries always stay, so a clock that is far ahead for a while does not empty the history.
    """
    by_itself = (
        "SELECT id FROM (SELECT id, row_number() OVER (PARTITION BY node ORDER BY id DESC) AS place"
        " FROM history WHERE who = node) AS numbered WHERE place > ?"
    )
    by_age = "SELECT id FROM history WHERE time < ? AND id <= (SELECT max(id) FROM history) - ?"
    for why, sql, values in (
        (f"entries: it has more than {MAX_BY_ITSELF} of its own doing", by_itself, [MAX_BY_ITSELF]),
        ("entries: they were too old", by_age, [now - KEPT_SECONDS, ALWAYS_KEPT]),
    ):
        dropped = "what != 'pruned' AND id IN"
        counts = connection.execute(
            f"SELECT network, node, count(*) FROM history WHERE {dropped} ({sql}) GROUP BY network, node",  # noqa: S608
            values,
        ).fetchall()
        if counts:
            connection.execute(f"DELETE FROM history WHERE {dropped} ({sql})", values)  # noqa: S608
        for network, node, count in counts:
            note_pruned(connection, network, node, why, count, now)


def note_pruned(connection: Connection, network: str, node: str, why: str, count: int, now: float) -> None:
    """Add to the entry about what was dropped of a node, one for each reason. ``why``: "WHAT: REASON"."""
    text = f"so many of its older {why}"
    sql = "UPDATE history SET times = times + ?, last = ? WHERE (network, node, what, why) = (?, ?, 'pruned', ?)"
    if not connection.execute(sql, (count, now, network, node, text)).rowcount:
        _insert(connection, (now, network, node, "pruned", "master", text, "{}", None, count, now))


def write_refusal(connection: Connection, network: str, node: str, why: str, kind: str, times: int, now: float) -> None:
    """Add a refusal, which more of the same are counted in; see ``refusals``."""
    _insert(connection, (now, network, node, "refused", "master", why, json.dumps({"kind": kind}), kind, times, now))


def _insert(connection: Connection, values: tuple[object, ...]) -> int:
    number = int(connection.execute("SELECT coalesce(max(id), 0) + 1 FROM history").fetchone()[0])
    connection.execute(
        "INSERT INTO history (id, time, network, node, what, who, why, details, kind, times, last, announced)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)",
        (number, *values),
    )
    return number


def read(connection: Connection, node: str | None, limit: int) -> list[Entry]:
    """The newest entries, of one node, also under its former ids, or of all; oldest first."""
    values = _ids(connection, node) if node else []
    where = f"WHERE node IN ({', '.join('?' * len(values))})" if node else ""
    sql = f"SELECT {_COLUMNS} FROM history {where} ORDER BY id DESC LIMIT ?"  # noqa: S608 - only fixed words
    return [_entry(row) for row in reversed(connection.execute(sql, [*values, limit]).fetchall())]


def _ids(connection: Connection, node: str) -> list[str]:
    """The minion id, and those that the machine had before."""
    sql = "SELECT details FROM history WHERE node = ? AND what = 'renamed'"
    ids = [node]
    for each in ids:  # grows meanwhile
        known = [json.loads(details).get("former") for (details,) in connection.execute(sql, [each])]
        ids += [former for former in known if former and former not in ids]
    return ids


def claim(connection: Connection) -> list[Entry]:
    """The entries that nobody has announced. The caller must."""
    rows = connection.execute(f"SELECT {_COLUMNS} FROM history WHERE announced = 0 ORDER BY id").fetchall()  # noqa: S608
    connection.execute("UPDATE history SET announced = 1 WHERE announced = 0")
    return [_entry(row) for row in rows]


def _entry(row: tuple[Any, ...]) -> Entry:
    number, moment, network, node, what, who, why, details, times, last = row
    often = {"times": times, "last": last} if times > 1 else {}
    return Entry(number, moment, network, node, what, who, why, {**json.loads(details), **often})
