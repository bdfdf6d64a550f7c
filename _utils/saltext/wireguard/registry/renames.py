"""A machine that has another minion id: what the registry knows under the old one moves to the new one."""

from __future__ import annotations

import time

from ..errors import RefusedError
from ..wording import shell
from . import history as trail
from .admission import REVOKED, Membership
from .database import Connection, Database
from .decisions import Decisions
from .denials import Denials
from .generation import advance_generation
from .registrations import pool_of
from .rows import VOUCHED

# What is known of a node in a network, one row each. What the node has under its new id already is newer.
_FACTS = ("node", "report", "drain", "member")


class Renames:
    """Those in the registry in ``store``. ``denials``: the list of nodes that are shut out."""

    def __init__(self, store: Database, denials: Denials) -> None:
        self._store = store
        self._denials = denials

    def rename(self, membership: Membership, old: str, new: str, salt_key: str, who: str, why: str) -> None:
        """
        Move key, addresses, reports and decisions of a node in one network to its new minion id, in one transaction.

        That the two are one machine is known from its Salt key, which it keeps when it is renamed. Raises RefusedError
        where it is another, or one of the two is revoked.

        :param membership: of the network, which has ``new`` already
        :param salt_key: the fingerprint of the accepted Salt key of ``new``
        :param who: who wants that, and ``why``
        """
        network = membership.network.name
        with self._store.write() as connection:
            decisions = Decisions(connection, self._denials)
            for each in (old, new):
                standing = decisions.of(network, each)
                if standing and standing.state == REVOKED:
                    raise RefusedError(f"{each} was revoked by {standing.who}, and a revocation holds under every id")
            _refuse_other_machine(connection, network, old, new, salt_key)
            _move(connection, network, old, new, salt_key)
            before, standing = decisions.of(network, old), decisions.of(network, new)
            if before and not standing:
                decisions.decide(network, new, before.state, who, why, before.expires)
            trail.write(connection, network, old, "renamed", who, why, to=new)
            trail.write(connection, network, new, "renamed", who, why, former=old)
            pool_of(connection, membership).assign(new)
            advance_generation(connection)


def _refuse_other_machine(connection: Connection, network: str, old: str, new: str, salt_key: str) -> None:
    """A serial is only noted for a statement that this Salt key signed. What is vouched for has none."""
    said = "SELECT 1 FROM serial WHERE (network, node, salt_key) = (?, ?, ?)"
    if not connection.execute(said, (network, old, salt_key)).fetchone():
        raise RefusedError(
            f"nothing that {old} said in network {network} was signed with the accepted Salt key of {new}, so they may"
            f" be two machines. Compare {shell('salt-key -f', new)} with that of {old}. A machine that was installed"
            f" anew has a new key: give it the addresses of {old} in the mesh file"
        )
    rows = "SELECT node FROM node WHERE network = ? AND node IN (?, ?) AND salt_key NOT IN (?, ?)"
    other = connection.execute(rows, (network, old, new, salt_key, VOUCHED)).fetchone()
    if other:
        raise RefusedError(f"{other[0]} has registered with another Salt key since: it is another machine by now")


def _move(connection: Connection, network: str, old: str, new: str, salt_key: str) -> None:
    ids = (new, network, old)
    for table in _FACTS:
        has = f"SELECT 1 FROM {table} WHERE (network, node) = (?, ?)"  # noqa: S608 - only fixed words
        if connection.execute(has, (network, new)).fetchone() is None:
            connection.execute(f"UPDATE {table} SET node = ? WHERE (network, node) = (?, ?)", ids)  # noqa: S608
        connection.execute(f"DELETE FROM {table} WHERE (network, node) = (?, ?)", (network, old))  # noqa: S608
    # What it was given under its new id goes back, as that of a node that is gone.
    connection.execute("UPDATE address SET node = '' WHERE (network, node) = (?, ?)", (network, new))
    connection.execute("UPDATE address SET node = ? WHERE (network, node) = (?, ?)", ids)
    returned = "UPDATE address SET node = ?, freed = coalesce(freed, ?) WHERE (network, node) = (?, '')"
    connection.execute(returned, (old, time.time(), network))
    for table in ("waiting", "asked", "deferred"):
        connection.execute(f"DELETE FROM {table} WHERE network = ? AND node IN (?, ?)", (network, old, new))  # noqa: S608
    both = "SELECT public_key FROM rejected WHERE (network, node) = (?, ?)"
    doubled = f"DELETE FROM rejected WHERE (network, node) = (?, ?) AND public_key IN ({both})"  # noqa: S608
    connection.execute(doubled, (network, new, network, old))
    connection.execute("UPDATE rejected SET node = ? WHERE (network, node) = (?, ?)", ids)
    # Those of the old id stay: its old statements must not count again.
    copied = (
        "SELECT kind, network, CAST(? AS TEXT), salt_key, value FROM serial WHERE (network, node, salt_key) = (?, ?, ?)"
    )
    connection.execute(f"INSERT INTO serial {copied} ON CONFLICT DO NOTHING", (*ids, salt_key))
    boots = "SELECT count(*) FROM boot WHERE (node, salt_key) = (?, ?)"
    if not connection.execute(boots, (new, salt_key)).fetchone()[0]:
        connection.execute("UPDATE boot SET node = ? WHERE (node, salt_key) = (?, ?)", (new, old, salt_key))
