"""A registry in a file: SQLite, readable by its owner only, one transaction a change."""

from __future__ import annotations

import contextlib
import functools
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import RegistryError
from ..system import files, filesystem
from .database import Connection, Database, T, refuse_late
from .schema import SCHEMA_VERSION, TABLES, refuse_moved, refuse_version

BUSY_SECONDS = 30.0

_TABLES = TABLES.format(number="INTEGER PRIMARY KEY", kept_by_key="WITHOUT ROWID")


class SQLite(Database):
    """The database in the file at ``place``. Holds no connection."""

    def exists(self) -> bool:
        """Whether there is a file. Raises RegistryError if that cannot be determined."""
        with self._errors():
            return _exists(self.place)

    def identity(self, connection: Connection) -> int:
        return os.stat(self.place).st_ino

    def now(self, connection: Connection) -> float:
        return time.time()

    def software(self, connection: Connection) -> str:
        return f"SQLite {sqlite3.sqlite_version}"

    def size(self, connection: Connection) -> int:
        """With the log of changes."""
        paths = (self.place, f"{self.place}-wal")
        return sum(os.path.getsize(path) for path in paths if os.path.exists(path))

    def read(self, query: Callable[[Connection], T], empty: T) -> T:
        with self._errors():
            if not _exists(self.place):
                return empty
            return self._read(query)

    def _read(self, query: Callable[[Connection], T]) -> T:
        connection = sqlite3.connect(f"{Path(self.place).as_uri()}?mode=ro", uri=True, timeout=BUSY_SECONDS)
        try:
            # one transaction, so that the generation and the rows read after it belong together
            connection.execute("BEGIN")
            _check_version(connection)
            return query(connection)
        finally:
            connection.close()

    @contextmanager
    def held(self) -> Iterator[None]:
        """
        Keep the file open within the block. The last one to close it writes the log of changes back into the file, and
        waits for the disk several times. Hold the file while making many changes, as each opens and closes it.
        """
        with contextlib.ExitStack() as stack:
            with self._errors():
                if _exists(self.place):
                    connection = sqlite3.connect(self.place, timeout=BUSY_SECONDS)
                    stack.callback(connection.close)
                    _check_version(connection)  # the first query is what opens the file
            yield

    @contextmanager
    def write(self, durable: bool = True, replacing: bool = False) -> Iterator[Connection]:
        with self._errors():
            if not _exists(self.place):
                _create(self.place)
            connection = sqlite3.connect(self.place, timeout=BUSY_SECONDS, isolation_level=None)
            try:
                connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
                connection.execute("BEGIN IMMEDIATE")
                _check_version(connection)
                if not replacing:
                    refuse_moved(connection.execute("SELECT max(place) FROM moved").fetchone()[0])
                refuse_late(connection)
                yield connection
                connection.execute("COMMIT")
            finally:
                connection.close()  # without COMMIT this rolls back

    @contextmanager
    def _errors(self) -> Iterator[None]:
        _refuse_shared(self.place)
        try:
            yield
        except (sqlite3.Error, OSError) as exc:
            raise RegistryError(
                f"the registry {self.place} is not usable: {exc}. Check its owner, its mode and the free disk space;"
                " nothing was changed"
            ) from exc


@functools.cache
def _refuse_shared(path: str) -> None:
    """Raise RegistryError where SQLite's locks do not hold; looked up once, as that does not change while Salt runs."""
    kind = filesystem.kind_of(path)
    if kind in filesystem.SHARED:
        raise RegistryError(
            f"the registry {path} is on {kind}, where several machines could write to it, and SQLite cannot keep them"
            " apart. Write the absolute path of a file on a local disk, or postgresql://..., as `registry` into the"
            " master's configuration (ext_pillar, wireguard); `salt-run wireguard.restore` takes the old file"
        )


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
            connection.executescript(f"BEGIN; {_TABLES} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")
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
    refuse_version(version)
