"""
One owner for each public key: who has a key, when a second owner is refused, and when it replaces the first.

Functions here work within the caller's transaction. Only ``take_over`` deletes rows, and only for a registration that
its caller is about to accept.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..errors import RefusedError
from ..model.statements import Registration, Rotation
from ..wording import shell
from . import exports
from . import history as trail
from .admission import Membership
from .database import Connection
from .rows import VOUCHED


def refuse_foreign_key(connection: Connection, record: Registration, salt_key: str, membership: Membership) -> None:
    """
    Raise RefusedError if another node has the key of a registration. ``salt_key``: the key that proves the
    registration.

    A node may use its key in several networks, for example after a network was renamed. A minion that was renamed keeps
    its key: the Salt key shows that it is the same machine. An operator may vouch for another machine. None of these
    gets the key of a member, or of a node that an operator may readmit.
    """
    exports.refuse_taken(connection, record.node, record.public_key, record.network)
    for network, node, known_as in _owners(connection, record.node, record.public_key):
        is_here = network != record.network or node in membership or node in membership.suspended
        if is_here or salt_key not in (known_as, VOUCHED):
            raise _taken(record.node, record.public_key, network, node)


def refuse_foreign_next_key(connection: Connection, record: Rotation) -> None:
    """Raise RefusedError where a key that was announced is another's: who makes a new key has none that is known."""
    exports.refuse_taken(connection, record.node, record.next_key, record.network)
    for network, node, _ in _owners(connection, record.node, record.next_key):
        raise _taken(record.node, record.next_key, network, node)


def take_over(connection: Connection, record: Registration, who: str) -> None:
    """
    Delete the rows of others that have the key of a registration that is accepted, by ``who``'s doing.

    ``refuse_foreign_key`` has let it pass in the same transaction.
    """
    for network, node, _ in list(_owners(connection, record.node, record.public_key)):
        connection.execute("DELETE FROM node WHERE (network, node) = (?, ?)", (network, node))
        why = f"{record.node} has its public key now: the same machine under another minion id"
        trail.write(connection, network, node, "superseded", who, why, public_key=record.public_key, by=record.node)


def _owners(connection: Connection, node: str, public_key: str) -> Iterator[tuple[str, str, str]]:
    """(network, node, Salt key) of the others that have the key, or announced it."""
    sql = "SELECT network, node, salt_key FROM node WHERE (public_key = ? OR next_key = ?) AND node != ?"
    yield from connection.execute(sql, (public_key, public_key, node))


def _taken(node: str, public_key: str, network: str, owner: str) -> RefusedError:
    return RefusedError(
        f"its public key {public_key} is already that of {owner} in network {network}: a cloned machine?"
        f" Move the key file on {node} away and apply again; it makes a new key. Or, if {owner} is called {node} now:"
        f" {shell('salt-run wireguard.rename', owner, node)}",
        "key",
    )
