"""
The audit trail: what happened to which node, when, by whose doing, and why.

Entries are written in the transaction of the change itself, so that neither can be without the other. Each is announced
once as a Salt event afterwards, by whichever process comes first.
"""

from __future__ import annotations

import json
import sqlite3
import time
from dataclasses import dataclass
from typing import Any

# What can happen to a node: the last part of the events' tags, see docs/events.md.
WHATS = (
    "admitted",
    "cloned",
    "enrolled",
    "exported",
    "forced",
    "joined",
    "preshared",
    "readmitted",
    "refused",
    "registered",
    "reinstalled",
    "rejected",
    "rekeyed",
    "removed",
    "revoked",
    "rolled_back",
    "rotated",
    "rotating",
    "rotation_failed",
    "serials_forgotten",
    "superseded",
    "waiting",
)


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


def write(
    connection: sqlite3.Connection, network: str, node: str, what: str, who: str, why: str, **details: Any
) -> None:
    """Add an entry within the caller's transaction. ``what`` is one of WHATS."""
    if what not in WHATS:
        raise ValueError(f"{what} is not one of WHATS")
    now = time.time()
    _insert(connection, (now, network, node, what, who, why, json.dumps(details), None, 1, now))


def write_refusal(
    connection: sqlite3.Connection, network: str, node: str, why: str, kind: str, times: int, now: float
) -> None:
    """Add a refusal, which more of the same are counted in; see ``refusals``."""
    _insert(connection, (now, network, node, "refused", "master", why, json.dumps({"kind": kind}), kind, times, now))


def _insert(connection: sqlite3.Connection, values: tuple[object, ...]) -> None:
    connection.execute(
        "INSERT INTO history (time, network, node, what, who, why, details, kind, times, last, announced)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)",
        values,
    )


def read(connection: sqlite3.Connection, node: str | None, limit: int) -> list[Entry]:
    """The newest entries, of one node or of all, oldest first."""
    where, values = ("WHERE node = ?", [node]) if node else ("", [])
    sql = f"SELECT {_COLUMNS} FROM history {where} ORDER BY id DESC LIMIT ?"  # noqa: S608 - only fixed words
    return [_entry(row) for row in reversed(connection.execute(sql, [*values, limit]).fetchall())]


def claim(connection: sqlite3.Connection) -> list[Entry]:
    """The entries that nobody has announced; whoever gets them must."""
    rows = connection.execute(f"SELECT {_COLUMNS} FROM history WHERE announced = 0 ORDER BY id").fetchall()  # noqa: S608
    connection.execute("UPDATE history SET announced = 1 WHERE announced = 0")
    return [_entry(row) for row in rows]


def _entry(row: tuple[Any, ...]) -> Entry:
    number, moment, network, node, what, who, why, details, times, last = row
    often = {"times": times, "last": last} if times > 1 else {}
    return Entry(number, moment, network, node, what, who, why, {**json.loads(details), **often})
