"""
The file that the registry lives in: SQLite, readable by its owner only, one transaction a change.

It knows connections, the schema and how both can fail. What the rows mean is left to ``registry``.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from ..errors import RefusedError, RegistryError
from ..model.statements import MAX_AHEAD_NS
from ..system import files


def advance_generation(connection: sqlite3.Connection) -> None:
    """
    The time is in it so that a registry put back from a backup does not come to a generation that others know. The one
    after the present one is that of views which nobody has settled yet; see ``Fleet.generation``.
    """
    connection.execute("UPDATE generation SET value = max(value + 2, ?)", [time.time_ns()])


def is_older(connection: sqlite3.Connection, generation: int) -> bool:
    """Whether the registry can not have given out this generation."""
    return bool(connection.execute("SELECT value + 1 < ? FROM generation", [generation]).fetchone()[0])


def refuse_future(generation: int) -> None:
    """Raise RefusedError for a generation, which is a time, that this registry is not to come to for long."""
    if generation > time.time_ns() + MAX_AHEAD_NS:
        raise RefusedError(f"its generation {generation} is more than a day ahead of the master's clock", "future")


def outgrow(connection: sqlite3.Connection, generation: int) -> None:
    """
    Come to a generation later than this one, which a node has heeded already: a registry that was put back from a
    backup is older than what it gave out, and nodes refuse what is older than what they have.
    """
    connection.execute("UPDATE generation SET value = max(value, ?, ?)", [generation + 1, time.time_ns()])


T = TypeVar("T")

SCHEMA_VERSION = 1
BUSY_SECONDS = 30.0

_SCHEMA = """
CREATE TABLE generation (value INTEGER NOT NULL);
INSERT INTO generation VALUES (1);
CREATE TABLE node (
    network TEXT NOT NULL, node TEXT NOT NULL,
    public_key TEXT NOT NULL, endpoints TEXT NOT NULL, port INTEGER NOT NULL,
    serial INTEGER NOT NULL, salt_key TEXT NOT NULL, registered REAL NOT NULL,
    next_key TEXT, keyed REAL NOT NULL,
    PRIMARY KEY (network, node), UNIQUE (network, public_key)
) WITHOUT ROWID;
CREATE INDEX vouched ON node (network, node) WHERE salt_key = 'vouched';
CREATE INDEX node_of_key ON node (public_key);
CREATE INDEX node_of_next_key ON node (next_key) WHERE next_key IS NOT NULL;
CREATE TABLE address (
    network TEXT NOT NULL, address TEXT NOT NULL, node TEXT NOT NULL, freed REAL,
    PRIMARY KEY (network, address)
) WITHOUT ROWID;
CREATE INDEX address_of_node ON address (network, node, freed);
CREATE INDEX address_freed ON address (network, freed) WHERE freed IS NOT NULL;
CREATE TABLE pool (
    network TEXT NOT NULL, subnet TEXT NOT NULL, untouched TEXT NOT NULL,
    PRIMARY KEY (network, subnet)
) WITHOUT ROWID;
CREATE TABLE settled (sources TEXT NOT NULL);
INSERT INTO settled VALUES ('');
CREATE TABLE looked (time REAL NOT NULL);
INSERT INTO looked VALUES (0);
CREATE TABLE serial (
    kind TEXT NOT NULL, network TEXT NOT NULL, node TEXT NOT NULL, salt_key TEXT NOT NULL, value INTEGER NOT NULL,
    PRIMARY KEY (kind, network, node, salt_key)
) WITHOUT ROWID;
CREATE TABLE report (
    network TEXT NOT NULL, node TEXT NOT NULL, digest TEXT NOT NULL, salt_key TEXT NOT NULL, reported REAL NOT NULL,
    rollback TEXT, obstacles TEXT NOT NULL,
    PRIMARY KEY (network, node)
) WITHOUT ROWID;
CREATE TABLE standing (
    network TEXT NOT NULL, node TEXT NOT NULL, state TEXT NOT NULL, since REAL NOT NULL, who TEXT NOT NULL,
    why TEXT NOT NULL, expires REAL,
    PRIMARY KEY (network, node)
) WITHOUT ROWID;
CREATE TABLE waiting (
    network TEXT NOT NULL, node TEXT NOT NULL, question TEXT NOT NULL, public_key TEXT NOT NULL,
    record TEXT NOT NULL, salt_key TEXT NOT NULL, since REAL NOT NULL,
    PRIMARY KEY (network, node)
) WITHOUT ROWID;
CREATE TABLE asked (
    network TEXT NOT NULL, node TEXT NOT NULL, first TEXT NOT NULL, changed INTEGER NOT NULL, shown TEXT,
    PRIMARY KEY (network, node)
) WITHOUT ROWID;
CREATE TABLE deferred (
    network TEXT NOT NULL, node TEXT NOT NULL, record TEXT NOT NULL, salt_key TEXT NOT NULL, since REAL NOT NULL,
    PRIMARY KEY (network, node)
) WITHOUT ROWID;
CREATE TABLE budget (
    name TEXT NOT NULL, node TEXT NOT NULL, spent REAL NOT NULL, at REAL NOT NULL,
    PRIMARY KEY (name, node)
) WITHOUT ROWID;
CREATE TABLE rejected (
    network TEXT NOT NULL, node TEXT NOT NULL, public_key TEXT NOT NULL, since REAL NOT NULL, who TEXT NOT NULL,
    PRIMARY KEY (network, node, public_key)
) WITHOUT ROWID;
CREATE TABLE member (
    network TEXT NOT NULL, node TEXT NOT NULL,
    PRIMARY KEY (network, node)
) WITHOUT ROWID;
CREATE TABLE export (
    network TEXT NOT NULL, peer TEXT NOT NULL, public_key TEXT, digest TEXT NOT NULL, exported REAL NOT NULL,
    PRIMARY KEY (network, peer), UNIQUE (network, public_key)
) WITHOUT ROWID;
CREATE TABLE drain (
    network TEXT NOT NULL, node TEXT NOT NULL, since REAL NOT NULL, who TEXT NOT NULL, why TEXT NOT NULL, until REAL,
    automatic INTEGER NOT NULL,
    PRIMARY KEY (network, node)
) WITHOUT ROWID;
CREATE TABLE boot (
    node TEXT NOT NULL, salt_key TEXT NOT NULL, boot TEXT NOT NULL, state TEXT NOT NULL, seen REAL NOT NULL,
    PRIMARY KEY (node, salt_key, boot)
) WITHOUT ROWID;
CREATE TABLE history (
    id INTEGER PRIMARY KEY AUTOINCREMENT, time REAL NOT NULL, network TEXT NOT NULL, node TEXT NOT NULL,
    what TEXT NOT NULL, who TEXT NOT NULL, why TEXT NOT NULL, details TEXT NOT NULL, announced INTEGER NOT NULL,
    kind TEXT, times INTEGER NOT NULL, last REAL NOT NULL
);
CREATE INDEX history_by_itself ON history (node, id) WHERE who = node;
CREATE INDEX history_of_refusals ON history (kind, node, id) WHERE kind IS NOT NULL;
CREATE INDEX history_of_node ON history (node, id);
CREATE INDEX history_not_announced ON history (id) WHERE announced = 0;
"""


class Database:
    """The database in the file at ``path``. Holds no connection, so it may be shared by processes and threads."""

    def __init__(self, path: str) -> None:
        self.path = path

    def exists(self) -> bool:
        """Whether there is a file. Raises RegistryError if that cannot be determined."""
        with self._errors():
            return _exists(self.path)

    def read(self, query: Callable[[sqlite3.Connection], T], empty: T) -> T:
        """The answer of ``query``, or ``empty`` while nobody has registered yet."""
        with self._errors():
            if not _exists(self.path):
                return empty
            return self._read(query)

    def _read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        connection = sqlite3.connect(f"{Path(self.path).as_uri()}?mode=ro", uri=True, timeout=BUSY_SECONDS)
        try:
            # one transaction, so that the generation and the rows read after it belong together
            connection.execute("BEGIN")
            _check_version(connection)
            return query(connection)
        finally:
            connection.close()

    def all(self, sql: str, values: Sequence[object] = ()) -> list[Any]:
        """All rows of a query; none while there is no file."""
        empty: list[Any] = []
        return self.read(lambda connection: connection.execute(sql, values).fetchall(), empty)

    @contextmanager
    def held(self) -> Iterator[None]:
        """
        Keep the file open within the block. The last one to close it writes the log of changes back into the file, and
        waits for the disk several times. Hold the file while making many changes, as each opens and closes it.
        """
        with contextlib.ExitStack() as stack:
            with self._errors():
                if _exists(self.path):
                    connection = sqlite3.connect(self.path, timeout=BUSY_SECONDS)
                    stack.callback(connection.close)
                    _check_version(connection)  # the first query is what opens the file
            yield

    @contextmanager
    def write(self, durable: bool = True) -> Iterator[sqlite3.Connection]:
        """
        One transaction: all of the block, or nothing of it when it raises.

        It survives a power cut. Without ``durable`` it may be undone by one, as if it had never been made.
        """
        with self._errors():
            if not _exists(self.path):
                _create(self.path)
            connection = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None)
            try:
                connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
                connection.execute("BEGIN IMMEDIATE")
                _check_version(connection)
                yield connection
                connection.execute("COMMIT")
            finally:
                connection.close()  # without COMMIT this rolls back

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as exc:
            raise RegistryError(
                f"the registry {self.path} is not usable: {exc}. Check its owner, its mode and the free disk space;"
                " nothing was changed"
            ) from exc


def _exists(path: str) -> bool:
    """Unlike os.path.exists, it raises OSError if the file cannot be looked up, so that it is not taken for missing."""
    try:
        os.stat(path)
    except FileNotFoundError:
        return False
    return True


def _create(path: str) -> None:
    """
    Make an empty registry that is complete as soon as others can see it. If another process was first, its file stays.

    Switching a file to WAL takes an exclusive lock for which SQLite does not wait, so processes must not meet there.
    """
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    with files.temporary(path, "") as made:
        with contextlib.closing(sqlite3.connect(made, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")
        with contextlib.suppress(FileExistsError):
            os.link(made, path)


def _check_version(connection: sqlite3.Connection) -> None:
    """Raise RegistryError for a file that later software made, and for an empty one."""
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version == 0:
        raise RegistryError(
            "the registry is an empty file: restore it from a backup, or delete it, and every node registers anew when"
            " it next runs state.apply"
        )
    if version > SCHEMA_VERSION:
        raise RegistryError(
            f"the registry has format {version}, this software knows {SCHEMA_VERSION}: update saltext-wireguard on the"
            " master, or restore the registry from a backup"
        )
