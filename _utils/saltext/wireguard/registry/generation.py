"""
The generation of a registry, which every change of the rows that views are made from increases.

Functions here work within the caller's transaction.
"""

from __future__ import annotations

import time

from ..errors import RefusedError
from ..model.statements import MAX_AHEAD_NS
from .database import Connection


def advance_generation(connection: Connection) -> int:
    """
    Come to the next one, and return it. The time is in it so that a registry put back from a backup does not come to a
    generation that others know. The one after the present one is that of views which nobody has settled yet; see
    ``Fleet.generation``.
    """
    return _come_to(connection, current_generation(connection) + 2)


def outgrow(connection: Connection, generation: int) -> None:
    """
    Come to a generation later than this one, which a node has heeded already: a registry that was put back from a
    backup is older than what it gave out, and nodes refuse what is older than what they have.
    """
    _come_to(connection, max(current_generation(connection), generation + 1))


def _come_to(connection: Connection, least: int) -> int:
    value = max(least, time.time_ns())
    connection.execute("UPDATE generation SET value = ?", [value])
    return value


def current_generation(connection: Connection) -> int:
    return int(connection.execute("SELECT value FROM generation").fetchone()[0])


def is_older(connection: Connection, generation: int) -> bool:
    """Whether the registry can not have given out this generation."""
    return current_generation(connection) + 1 < generation


def refuse_future(generation: int) -> None:
    """Raise RefusedError for a generation, which is a time, that this registry is not to come to for long."""
    if generation > time.time_ns() + MAX_AHEAD_NS:
        raise RefusedError(f"its generation {generation} is more than a day ahead of the master's clock", "future")
