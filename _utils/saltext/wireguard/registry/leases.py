"""
One master at a time changes nodes: by a lease, which ends by itself when its master does, with a fencing token.

Each new lease has a higher token. Within ``held``, a change of the registry is refused once another master has taken
the lease, so a master that stood still for a while writes nothing that it decided before.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from ..errors import RegistryError
from .database import Connection, Database, fence, upsert

# How long a lease goes on that nobody renews, and how often it is renewed; how often and long another master tries.
LEASE_SECONDS = 8.0
RENEW_SECONDS = 2.0
TRY_SECONDS = 0.2
PATIENCE_SECONDS = 600.0

# A master that was not seen for so long is off, and what it had does not count.
FORGOTTEN_SECONDS = 120.0
NOTED_SECONDS = 30.0

_STORE = upsert("master", "name", "sources, modules, seen")


@dataclass(frozen=True)
class Inputs:
    """What a master computes views from besides the registry: digests of mesh file and secret, and of its modules."""

    sources: str
    modules: str


class Leases:
    """The lease in the registry in ``store``, and the masters that were seen there."""

    def __init__(self, store: Database) -> None:
        self._store = store

    @property
    def is_shared(self) -> bool:
        """Whether there can be other masters."""
        return self._store.is_shared

    @contextmanager
    def held(self, master: str) -> Iterator[None]:
        """Wait for the lease, and hold it within the block. Raises RegistryError where that takes too long."""
        token = self._wait_for(master)
        over = threading.Event()
        keeper = threading.Thread(target=self._renew, args=[token, over], name="wireguard lease", daemon=True)
        keeper.start()
        before = fence.set(token)
        try:
            yield
        finally:
            fence.reset(before)
            over.set()
            keeper.join()
            with contextlib.suppress(RegistryError):  # it ends by itself
                self._set_until(token, 0.0)

    def _wait_for(self, master: str) -> int:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            token = None if self._holder(master) else self._take(master)
            if token is not None:
                return token
            if time.monotonic() > deadline:
                raise RegistryError(f"another master has been changing nodes for {PATIENCE_SECONDS:g} s; try again")
            time.sleep(TRY_SECONDS)

    def _holder(self, master: str) -> str | None:
        """The other master that holds the lease. A look costs less than a transaction that writes."""
        return self._store.read(lambda connection: self._other(connection, master), None)

    def _other(self, connection: Connection, master: str) -> str | None:
        """By the clock of the database alone."""
        holder, until = connection.execute("SELECT master, until FROM lease").fetchone()
        return holder if holder != master and until > self._store.now(connection) else None

    def _take(self, master: str) -> int | None:
        """The token; None where another master was first."""
        with self._store.write() as connection:
            if self._other(connection, master):
                return None
            until = self._store.now(connection) + LEASE_SECONDS
            connection.execute("UPDATE lease SET master = ?, token = token + 1, until = ?", (master, until))
            return int(connection.execute("SELECT token FROM lease").fetchone()[0])

    def _renew(self, token: int, over: threading.Event) -> None:
        while not over.wait(RENEW_SECONDS):
            with contextlib.suppress(RegistryError):
                self._set_until(token, LEASE_SECONDS)

    def _set_until(self, token: int, seconds: float) -> None:
        with self._store.write(durable=False) as connection:
            until = self._store.now(connection) + seconds
            connection.execute("UPDATE lease SET until = ? WHERE token = ?", (until, token))

    def note(self, master: str, inputs: Inputs) -> None:
        """What this master has, and that it is there; once in a while, where nothing has changed."""
        if self._store.read(lambda connection: self._is_noted(connection, master, inputs), False):
            return
        with self._store.write(durable=False) as connection:
            connection.execute(_STORE, (master, inputs.sources, inputs.modules, self._store.now(connection)))

    def _is_noted(self, connection: Connection, master: str, inputs: Inputs) -> bool:
        since = self._store.now(connection) - NOTED_SECONDS
        sql = "SELECT 1 FROM master WHERE (name, sources, modules) = (?, ?, ?) AND seen > ?"
        return bool(connection.execute(sql, (master, inputs.sources, inputs.modules, since)).fetchone())

    def others(self, master: str) -> dict[str, Inputs]:
        """What the other masters have that were there a moment ago."""
        empty: dict[str, Inputs] = {}
        return self._store.read(lambda connection: self._others(connection, master), empty)

    def _others(self, connection: Connection, master: str) -> dict[str, Inputs]:
        since = self._store.now(connection) - FORGOTTEN_SECONDS
        sql = "SELECT name, sources, modules FROM master WHERE name != ? AND seen > ? ORDER BY name"
        return {name: Inputs(*rest) for name, *rest in connection.execute(sql, (master, since))}
