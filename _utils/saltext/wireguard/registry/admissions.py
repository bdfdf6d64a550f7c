"""Decisions of operators: to revoke, readmit, admit or reject a node. Each is one transaction."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping

from ..errors import RefusedError
from ..model.statements import Registration
from ..wording import shell
from . import budget
from . import history as trail
from .admission import ADMITTED, REVOKED, Membership
from .database import Connection, Database, upsert
from .decisions import Decisions
from .denials import Denials
from .generation import advance_generation
from .public_keys import refuse_foreign_key
from .registrations import accept
from .rows import NodeId

_REJECT = upsert("rejected", "network, node, public_key", "since, who")


class Admissions:
    """The decisions in the registry in ``store``, and in the list of denials beside it."""

    def __init__(self, store: Database, denials: Denials) -> None:
        self._store = store
        self._denials = denials

    def revoke(self, network: str, node: str, who: str, why: str) -> None:
        """
        Exclude a node until ``readmit``, whatever the mesh file says.

        Of a node that is revoked already, this changes only the reason, if one is given.
        """
        with self._store.write() as connection:
            decisions = Decisions(connection, self._denials)
            standing = decisions.of(network, node)
            before = standing if standing and standing.state == REVOKED else None
            if before and why in ("", before.why) and (network, node) not in decisions.unrecorded():
                return
            reason = why or (before.why if before else "")
            decisions.decide(network, node, REVOKED, who, reason, standing.expires if standing else None)
            _forget_question(connection, network, node)

    def readmit(self, network: str, node: str, who: str, why: str) -> None:
        """Take a revocation back. A membership for a limited time still ends at its time."""
        with self._store.write() as connection:
            decisions = Decisions(connection, self._denials)
            standing = decisions.of(network, node)
            expires = standing.expires if standing else None
            decisions.decide(network, node, ADMITTED, who, why, expires, what="readmitted")
            budget.renew(connection, node)

    def admit(
        self,
        membership: Membership,
        node: str,
        salt_key: str,
        who: str,
        expires: float | None,
        public_key: str = "",
    ) -> bool:
        """
        Let a node in, and its waiting registration, if there is one and it was signed with its present Salt key.

        Returns whether one was taken in; if not, the node is admitted when it registers. ``public_key``: the beginning
        of the public key that the operator means. Without it, the waiting key must be the one last passed to
        ``note_shown``, or the only one that has ever waited. Raises RefusedError if another key waits.
        """
        network = membership.network.name
        with self._store.write() as connection:
            waiting = connection.execute(
                "SELECT record FROM waiting WHERE (network, node, salt_key) = (?, ?, ?)", (network, node, salt_key)
            ).fetchone()
            record = Registration.from_dict(json.loads(waiting[0])) if waiting else None
            _refuse_another_key(connection, network, node, record, public_key)
            Decisions(connection, self._denials).decide(network, node, ADMITTED, who, "", expires)
            connection.execute("DELETE FROM rejected WHERE (network, node) = (?, ?)", (network, node))
            _forget_question(connection, network, node)
            if record is None:
                return False
            refuse_foreign_key(connection, record, salt_key, membership)
            accept(connection, record, salt_key, membership, who)
            return True

    def reject(self, network: str, node: str, who: str) -> str | None:
        """Reject the waiting registration, and its key from now on. Returns that key, None if nothing waits."""
        with self._store.write() as connection:
            waiting = connection.execute(
                "SELECT public_key FROM waiting WHERE (network, node) = (?, ?)", (network, node)
            ).fetchone()
            if waiting is None:
                return None
            connection.execute(_REJECT, (network, node, waiting[0], time.time(), who))
            _forget_question(connection, network, node)
            trail.write(connection, network, node, "rejected", who, "", public_key=waiting[0])
            advance_generation(connection)
            return str(waiting[0])

    def note_shown(self, keys: Mapping[NodeId, str]) -> None:
        """Remember which public keys an operator was shown as waiting: an ``admit`` means these."""
        with self._store.write() as connection:
            sql = "UPDATE asked SET shown = ? WHERE (network, node) = (?, ?) AND coalesce(shown, '') != ?"
            connection.executemany(sql, [(key, network, node, key) for (network, node), key in keys.items()])


def _forget_question(connection: Connection, network: str, node: str) -> None:
    """It is answered."""
    for table in ("waiting", "asked"):
        connection.execute(f"DELETE FROM {table} WHERE (network, node) = (?, ?)", (network, node))  # noqa: S608


def _refuse_another_key(
    connection: Connection, network: str, node: str, record: Registration | None, public_key: str
) -> None:
    """Raise RefusedError if the waiting key may not be the one that the operator has seen."""
    if record is None:
        if public_key:
            raise RefusedError(f"no registration of {node} with the public key {public_key} waits in network {network}")
        return
    key = record.public_key
    if public_key:
        if not key.startswith(public_key):
            raise RefusedError(
                f"what waits of {node} in network {network} has another public key by now: {key}. Compare it with the"
                f" node's own, {shell('salt', node, 'wireguard.show')}"
            )
        return
    asked = connection.execute(
        "SELECT first, changed, shown FROM asked WHERE (network, node) = (?, ?)", (network, node)
    ).fetchone()
    first, changed, shown = asked or (key, False, None)
    if key != (shown or first) or (changed and not shown):
        raise RefusedError(
            f"what waits of {node} in network {network} is not what was there, or shown, before: its public key is"
            f" {key} now. Compare it with the node's own, {shell('salt', node, 'wireguard.show')}, and admit this key:"
            f" {shell('salt-run wireguard.admit', node, 'public_key=' + key)}"
        )
