"""
External peers whose configuration the master exports: their keys and addresses.

Such a peer has a row once it has addresses. No view includes it until it has a key. Of its key pair, only the public
key is ever stored here.

Functions here work within the caller's transaction.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from ..errors import RefusedError
from ..model.addresses import Address
from . import history as trail
from .database import Connection


@dataclass(frozen=True)
class Export:
    """
    What a peer has from the registry. ``digest``: of the view that its configuration was made from; ``exported``: when,
    in Unix seconds. ``public_key`` None: it has addresses, and no configuration yet.
    """

    network: str
    peer: str
    public_key: str | None
    digest: str
    exported: float
    addresses: tuple[Address, ...] = ()


def read(
    connection: Connection, addresses: Mapping[tuple[str, str], Sequence[Address]]
) -> dict[tuple[str, str], Export]:
    """All of them. ``addresses``: (network, name) to those that the registry has given."""
    rows = connection.execute("SELECT network, peer, public_key, digest, exported FROM export")
    return {
        (network, peer): Export(network, peer, public_key, digest, exported, tuple(addresses.get((network, peer), ())))
        for network, peer, public_key, digest, exported in rows
    }


def names(connection: Connection, network: str) -> set[str]:
    """The peers of a network that have a row."""
    return {name for (name,) in connection.execute("SELECT peer FROM export WHERE network = ?", [network])}


def prepare(connection: Connection, network: str, peer: str) -> None:
    """Make the row of a peer, unless it has one."""
    connection.execute("INSERT INTO export VALUES (?, ?, NULL, '', 0) ON CONFLICT DO NOTHING", (network, peer))


def store(connection: Connection, before: Export, public_key: str, digest: str, who: str, why: str) -> None:
    """
    Note the key of a peer, and what it was given. ``before``: the peer as it was when this was prepared.

    Raises RefusedError for the key of another, and where the peer is not as before. A peer may have its key in several
    networks.
    """
    network, peer = before.network, before.peer
    refuse_taken(connection, peer, public_key)
    owner = connection.execute(
        "SELECT network, node FROM node WHERE public_key = ? OR next_key = ?", (public_key, public_key)
    ).fetchone()
    if owner:
        raise RefusedError(f"{public_key} is the public key of {owner[1]} in network {owner[0]}")
    done = connection.execute(
        "UPDATE export SET public_key = ?, digest = ?, exported = ?"
        " WHERE network = ? AND peer = ? AND coalesce(public_key, '') = ? AND exported = ?",
        (public_key, digest, time.time(), network, peer, before.public_key or "", before.exported),
    )
    if not done.rowcount:
        raise RefusedError(
            f"{peer} was exported or removed by somebody else at the same time; look, and export it again"
        )
    details = {"public_key": public_key, "old_public_key": before.public_key}
    trail.write(connection, network, peer, "exported", who, why, **details)


def refuse_taken(connection: Connection, name: str, public_key: str, network: str | None = None) -> None:
    """
    Raise RefusedError if another peer has the key. ``network``: the only one where the peer of this name may have it;
    None for all.
    """
    owners = connection.execute("SELECT network, peer FROM export WHERE public_key = ?", [public_key]).fetchall()
    for where, peer in owners:
        if peer != name or network not in (None, where):
            raise RefusedError(f"the public key {public_key} is that of the peer {peer} in network {where}", "key")


def forget(connection: Connection, network: str, peers: Collection[str]) -> None:
    """Drop peers that the mesh file does not have any more. Their addresses are freed like those of nodes."""
    for peer in sorted(peers):
        who = (network, peer)
        has_key = connection.execute(
            "SELECT 1 FROM export WHERE (network, peer) = (?, ?) AND public_key IS NOT NULL", who
        ).fetchone()
        connection.execute("DELETE FROM export WHERE (network, peer) = (?, ?)", who)
        if has_key:
            trail.write(connection, network, peer, "removed", "master", "not in the mesh file")
