"""The export of external peers' configurations. Each step is one transaction."""

from __future__ import annotations

from . import exports
from .admission import Membership
from .database import Database
from .exports import Export
from .generation import advance_generation
from .queries import read_addresses
from .registrations import pool_of


class Exporting:
    """Of the registry in ``store``."""

    def __init__(self, store: Database) -> None:
        self._store = store

    def prepare(self, membership: Membership, peer: str) -> Export:
        """
        Give a peer its addresses, as a node gets them; it keeps them. Raises PoolExhaustedError and RefusedError.
        """
        network = membership.network.name
        with self._store.write() as connection:
            exports.prepare(connection, network, peer)
            pool_of(connection, membership).assign(peer)
            advance_generation(connection)
            return exports.read(connection, read_addresses(connection))[network, peer]

    def store(self, before: Export, public_key: str, digest: str, who: str, why: str) -> None:
        """
        Store the key of a prepared peer, and the digest of its configuration. Raises RefusedError if another has the
        key, or the peer has changed since.
        """
        with self._store.write() as connection:
            exports.store(connection, before, public_key, digest, who, why)
            advance_generation(connection)

    def forget(self, network: str) -> None:
        """Drop the peers of a network that is gone from the mesh file."""
        with self._store.write() as connection:
            exports.forget(connection, network, exports.names(connection, network))
            advance_generation(connection)
