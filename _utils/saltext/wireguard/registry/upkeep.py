"""A registry as a whole: what it is, backups, and its way from one database to another."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

from ..errors import ConfigError, NodeError, RegistryError
from ..system import files
from .admission import Standing
from .database import Connection, Database
from .denials import Denials
from .generation import advance_generation, current_generation, outgrow
from .queries import read_addresses, read_rows
from .rows import NodeId
from .schema import SCHEMA_VERSION, TABLE_NAMES
from .sqlite import SQLite

# In a backup only: what is beside the registry.
_KEPT_DENIALS = (
    "CREATE TABLE denied (network TEXT, node TEXT, state TEXT, since FLOAT8, who TEXT, why TEXT, expires FLOAT8,"
    " generation BIGINT)"
)
_KEPT_SECRET = "CREATE TABLE secret (content TEXT)"  # noqa: S105 - only a name
_NOTHING: tuple[dict[NodeId, Standing], str | None] = ({}, None)

# What was heard stays heard.
_NEWER_SERIAL = (
    "INSERT INTO serial VALUES (?, ?, ?, ?, ?) ON CONFLICT (kind, network, node, salt_key)"
    " DO UPDATE SET value = excluded.value WHERE serial.value < excluded.value"
)


@dataclass(frozen=True)
class Facts:
    """
    What a registry is. ``seconds``: how long reading all this took. ``moved_to``: where it is by now, None where it is
    still here.
    """

    software: str
    generation: int
    nodes: int
    history: int
    bytes: int
    moved_to: str | None
    seconds: float = 0.0
    format: int = SCHEMA_VERSION


class Upkeep:
    """Of the registry in ``store``, and of the list of denials beside it."""

    def __init__(self, store: Database, denials: Denials) -> None:
        self._store = store
        self._denials = denials

    def facts(self) -> Facts | None:
        """None while there is no registry."""
        started = time.monotonic()
        found = self._store.read(self._facts, None)
        return replace(found, seconds=time.monotonic() - started) if found else None

    def _facts(self, connection: Connection) -> Facts:
        nodes, history = (_count(connection, table) for table in ("node", "history"))
        size = self._store.size(connection)
        moved_to = connection.execute("SELECT max(place) FROM moved").fetchone()[0]
        generation = current_generation(connection)
        return Facts(self._store.software(connection), generation, nodes, history, size, moved_to)

    def move_to(self, target: Database) -> None:
        """
        Copy all to another database. From then on, this one can be read, and not changed. Raises ConfigError and
        RegistryError, also where the other one is in use.
        """
        if target.place == self._store.place:
            raise ConfigError(f"the registry is in {target.place} already")
        with self._store.write() as source:
            with target.write(replacing=True) as copied:
                _refuse_used(copied, target.place)
                _copy(source, copied)
                advance_generation(copied)
            source.execute("INSERT INTO moved VALUES (?, ?)", (target.place, time.time()))

    def back_up(self, path: str, secret: str | None) -> None:
        """
        Write all of it as it is at one moment into a new file for root only: also the list of denials, and the
        ``secret`` of preshared keys if it is given. Raises ConfigError and RegistryError.
        """
        if not os.path.isabs(path) or os.path.lexists(path) or not os.path.isdir(os.path.dirname(path)):
            raise ConfigError(
                f"file must be an absolute path, in a directory that is there, where nothing is yet; {path} is not"
            )
        with _new_file(path) as made:
            with SQLite(made).write(replacing=True) as copied:
                found = self._store.read(lambda connection: _copy(connection, copied), False)
                copied.execute(_KEPT_DENIALS)
                rows = [(*node, *each.__dict__.values()) for node, each in self._denials.read().items()]
                copied.executemany("INSERT INTO denied VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
                copied.execute(_KEPT_SECRET)
                copied.executemany("INSERT INTO secret VALUES (?)", [[secret]] if secret else [])
            if not found:
                raise RegistryError(f"there is no registry in {self._store.place} yet: no node has registered")

    def older(self, path: str) -> list[NodeId]:
        """The nodes of which a backup has another public key, Salt key or address than the present registry."""
        empty: dict[NodeId, object] = {}
        before, now = _backup(path).read(_content, empty), self._store.read(_content, empty)
        return [node for node in sorted({*before, *now}) if before.get(node) != now.get(node)]

    def restore(self, path: str) -> str | None:
        """
        Replace all by a backup, in one transaction, and return the secret of preshared keys that is in it.

        Serials and the generation do not go back, and neither does the list of denials: who was revoked since stays
        out. Raises ConfigError and RegistryError.
        """
        with self._store.write(replacing=True) as connection:
            generation = current_generation(connection)
            serials = connection.execute("SELECT kind, network, node, salt_key, value FROM serial").fetchall()
            denied, secret = _backup(path).read(lambda backup: _restored(backup, connection), _NOTHING)
            connection.executemany(_NEWER_SERIAL, serials)
            outgrow(connection, generation)
            advance_generation(connection)
            listed = self._denials.read()
            self._denials.note({node: each for node, each in denied.items() if node not in listed})
            return secret


def _count(connection: Connection, table: str) -> int:
    return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608 - of TABLE_NAMES


def _copy(source: Connection, target: Connection) -> bool:
    """All rows, in place of those that are there. A copy is where it is, and was not moved away."""
    for table in TABLE_NAMES:
        target.execute(f"DELETE FROM {table}")  # noqa: S608
        rows = source.execute(f"SELECT * FROM {table}").fetchall() if table != "moved" else []  # noqa: S608
        if rows:
            marks = ", ".join("?" * len(rows[0]))
            target.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)  # noqa: S608
    return True


def _restored(backup: Connection, connection: Connection) -> tuple[dict[NodeId, Standing], str | None]:
    """Copy the backup, and return the denials and the secret that it has. A copy of the file alone has neither."""
    _copy(backup, connection)
    if not backup.execute("SELECT 1 FROM sqlite_master WHERE name = 'denied'").fetchone():
        return _NOTHING
    rows = backup.execute("SELECT * FROM denied").fetchall()
    secret = backup.execute("SELECT content FROM secret").fetchone()
    return {(network, node): Standing(*rest) for network, node, *rest in rows}, secret[0] if secret else None


def _content(connection: Connection) -> dict[NodeId, object]:
    addresses = read_addresses(connection)
    rows = read_rows(connection, addresses)
    return {node: (row.public_key, row.salt_key, row.addresses) for node, row in rows.items()}


def _refuse_used(connection: Connection, place: str) -> None:
    """Raise RegistryError where the registry is in use. One that was moved away is none any more."""
    is_used = any(_count(connection, each) for each in ("node", "standing", "history"))
    if is_used and not _count(connection, "moved"):
        raise RegistryError(f"{place} has a registry already: remove it, or choose another place. Nothing was changed")


def _backup(path: str) -> SQLite:
    """Raises ConfigError where there is none, and RegistryError for a damaged one."""
    if not os.path.isabs(path) or not os.path.isfile(path):
        raise ConfigError(f"file must be the absolute path of a backup, and there is none at {path}")
    found = SQLite(path)
    problems = found.all("PRAGMA integrity_check")
    if problems != [("ok",)]:
        raise RegistryError(f"the backup {path} is damaged: {problems[0][0]}. Nothing was changed")
    return found


@contextlib.contextmanager
def _new_file(path: str) -> Iterator[str]:
    """The name of a file to make, which becomes ``path`` when it is complete."""
    directory, name = os.path.split(path)
    made = os.path.join(directory, f".{name}.unfinished")
    _remove(made)  # of a process that was killed
    try:
        yield made
        os.link(made, path)
        files.sync(directory)
    except (OSError, NodeError) as exc:
        raise ConfigError(
            f"the backup {path} could not be written: {exc}. Check the disk, and remove the file"
        ) from exc
    finally:
        _remove(made)


def _remove(path: str) -> None:
    for each in (path, f"{path}-wal", f"{path}-shm"):
        with contextlib.suppress(OSError):
            os.unlink(each)
