"""The decisions of operators about nodes: in the registry, and denials also in the list beside it."""

from __future__ import annotations

import time

from ..errors import RefusedError
from ..model.statements import Registration
from . import history as trail
from .admission import REVOKED, Standing
from .database import Connection, upsert
from .denials import Denials, combined, unrecorded
from .generation import advance_generation, outgrow
from .rows import NodeId

_STORE = upsert("standing", "network, node", "state, since, who, why, expires, generation")


class Decisions:
    """Within one transaction of the registry."""

    def __init__(self, connection: Connection, denials: Denials) -> None:
        self._connection = connection
        self._denials = denials

    def of(self, network: str, node: str) -> Standing | None:
        """The decision that holds for one node. The cost does not depend on how many nodes there are."""
        sql = "SELECT state, since, who, why, expires, generation FROM standing WHERE (network, node) = (?, ?)"
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
        rows = self._connection.execute(
            "SELECT network, node, state, since, who, why, expires, generation FROM standing"
        )
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
        listed = self._denials.read().get((network, node))
        if listed:
            outgrow(self._connection, listed.generation)
        generation = advance_generation(self._connection)
        standing = Standing(state, time.time(), who, why, expires, generation)
        row = (network, node, *standing.__dict__.values())
        self._connection.execute(_STORE, row)
        details = {"expires": expires} if expires else {}
        trail.write(self._connection, network, node, what or state, who, why, **details)
        self._denials.note({(network, node): standing})

    def list_again(self) -> None:
        """
        Bring the list in line with later decisions in the registry: somebody deleted the list, or another master, which
        has a list of its own, decided.
        """
        denied = self._denials.read()
        self._denials.note(
            {
                node: each
                for node, each in self._recorded().items()
                if node not in denied or denied[node].generation < each.generation
            }
        )

    def refuse_revoked(self, record: Registration) -> Standing | None:
        """Raise RefusedError for a revoked node. Returns any other decision about the node."""
        standing = self.of(record.network, record.node)
        if standing and standing.state == REVOKED:
            raise RefusedError(
                f"{record.node} was revoked by {standing.who}; `salt-run wireguard.readmit` takes that back",
                "revoked",
            )
        return standing
