"""The decisions of operators about nodes: in the registry, and denials also in the list beside it."""

from __future__ import annotations

import sqlite3
import time

from ..errors import RefusedError
from ..model.statements import Registration
from . import history as trail
from .admission import REVOKED, Standing
from .database import advance_generation
from .denials import Denials, combined, unrecorded
from .rows import NodeId


class Decisions:
    """Within one transaction of the registry."""

    def __init__(self, connection: sqlite3.Connection, denials: Denials) -> None:
        self._connection = connection
        self._denials = denials

    def of(self, network: str, node: str) -> Standing | None:
        """The decision that holds for one node. The cost does not depend on how many nodes there are."""
        sql = "SELECT state, since, who, why, expires FROM standing WHERE (network, node) = (?, ?)"
        row = self._connection.execute(sql, (network, node)).fetchone()
        return combined(Standing(*row) if row else None, self._denials.read().get((network, node)))

    def all(self) -> dict[NodeId, Standing]:
        """All decisions that hold."""
        recorded = self._recorded()
        return {**recorded, **unrecorded(self._denials.read(), recorded)}

    def unrecorded(self) -> dict[NodeId, Standing]:
        """The decisions that hold and are not in the registry, because it is older."""
        return unrecorded(self._denials.read(), self._recorded())

    def _recorded(self) -> dict[NodeId, Standing]:
        rows = self._connection.execute("SELECT network, node, state, since, who, why, expires FROM standing")
        return {(network, node): Standing(*rest) for network, node, *rest in rows}

    def decide(
        self,
        network: str,
        node: str,
        state: str,
        who: str,
        why: str,
        expires: float | None,
        what: str | None = None,
    ) -> None:
        """
        Write a decision down, and into the history as ``what``.

        The list of denials is written first, so that a crash in between leaves the node shut out.
        """
        standing = Standing(state, time.time(), who, why, expires)
        row = (network, node, *standing.__dict__.values())
        self._connection.execute("INSERT OR REPLACE INTO standing VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        details = {"expires": expires} if expires else {}
        trail.write(self._connection, network, node, what or state, who, why, **details)
        advance_generation(self._connection)
        self._denials.note({(network, node): standing})

    def list_again(self) -> None:
        """Add denials of the registry to the list that it lacks, for example because somebody deleted it."""
        recorded, denied = self._recorded(), self._denials.read()
        self._denials.note({node: each for node, each in recorded.items() if node not in denied})

    def refuse_revoked(self, record: Registration) -> Standing | None:
        """Raise RefusedError for a revoked node. Returns any other decision about the node."""
        standing = self.of(record.network, record.node)
        if standing and standing.state == REVOKED:
            raise RefusedError(
                f"{record.node} was revoked by {standing.who}; `salt-run wireguard.readmit` takes that back",
                "revoked",
            )
        return standing
