"""
A registry in PostgreSQL, for several masters. The driver, psycopg 3, is imported where it is first needed.

Writers are one at a time, as with a file: each transaction begins with a lock that no other writer can have, and takes
its snapshot after that. So none fails because of another, and none has to be made again. A master that stops in the
middle, or is cut off, loses the lock with its session.
"""

from __future__ import annotations

import functools
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ..errors import ConfigError, RegistryError
from .database import Connection, Cursor, Database, T, refuse_late
from .schema import SCHEMA_VERSION, TABLE_NAMES, TABLES, refuse_moved, refuse_version

if TYPE_CHECKING:
    import psycopg

SCHEMES = ("postgresql://", "postgres://")

BUSY_SECONDS = 30  # how long a writer waits for others
IDLE_SECONDS = 20  # how long a transaction may stand still, because its master does, or is cut off
CONNECT_SECONDS = 3

_TABLES = TABLES.format(number="BIGINT PRIMARY KEY", kept_by_key="")
_FORMAT = "CREATE TABLE registry_format (version BIGINT NOT NULL)"
_VERSION = "SELECT version FROM registry_format"
_READ = f"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {_VERSION}"
_WRITE = (
    "BEGIN ISOLATION LEVEL SERIALIZABLE; LOCK TABLE generation IN EXCLUSIVE MODE;"
    f" SET LOCAL synchronous_commit = {{}}; {_VERSION}"
)
_MAKE = "BEGIN; SELECT pg_advisory_xact_lock(hashtext('saltext.wireguard'))"
_SETTINGS = f"SET lock_timeout = '{BUSY_SECONDS}s'; SET idle_in_transaction_session_timeout = '{IDLE_SECONDS}s'"

# A master that is gone without a word is noticed after so many seconds.
_KEEPALIVE = {"keepalives_idle": 5, "keepalives_interval": 3, "keepalives_count": 3, "tcp_user_timeout": 15_000}

_lock = threading.Lock()
_idle: dict[str, list[psycopg.Connection[Any]]] = {}  # URI -> sessions that nobody uses just now
_inherited: list[dict[str, list[psycopg.Connection[Any]]]] = []  # of the parent process, which still uses them
_made: set[str] = set()  # URIs where the tables are known to be
_unreachable: dict[str, tuple[float, str]] = {}  # URI -> until when nobody tries again, and why


def _leave_sessions_to_parent() -> None:
    global _idle, _lock
    _inherited.append(_idle)
    _idle, _lock = {}, threading.Lock()


os.register_at_fork(after_in_child=_leave_sessions_to_parent)


class PostgreSQL(Database):
    """The tables at ``uri``, in the first schema of the search path there."""

    is_shared = True

    def __init__(self, uri: str) -> None:
        super().__init__(without_password(uri))
        self._uri = uri

    def exists(self) -> bool:
        return self.read(lambda _: True, False)

    def identity(self, connection: Connection) -> int:
        return int(connection.execute("SELECT CAST('generation' AS regclass)::oid").fetchone()[0])

    def now(self, connection: Connection) -> float:
        sql = "SELECT CAST(extract(epoch FROM clock_timestamp()) AS float8)"
        return float(connection.execute(sql).fetchone()[0])

    def software(self, connection: Connection) -> str:
        return f"PostgreSQL {connection.execute('SHOW server_version').fetchone()[0]}"

    def size(self, connection: Connection) -> int:
        """With the indexes."""
        sql = "SELECT pg_total_relation_size(CAST(? AS regclass))"
        return sum(int(connection.execute(sql, [table]).fetchone()[0]) for table in TABLE_NAMES)

    def read(self, query: Callable[[Connection], T], empty: T) -> T:
        with self._errors(), self._transaction(_READ) as session:
            return empty if session is None else query(_Statements(session))

    @contextmanager
    def write(self, durable: bool = True, replacing: bool = False) -> Iterator[Connection]:
        if self._uri not in _made:
            self._make()
        with self._errors(), self._transaction(_WRITE.format("on" if durable else "off")) as session:
            if session is None:
                _made.discard(self._uri)
                raise RegistryError(f"the tables of the registry {self.place} were removed; nothing was changed")
            statements = _Statements(session)
            if not replacing:
                refuse_moved(statements.execute("SELECT max(place) FROM moved").fetchone()[0])
            refuse_late(statements)
            yield statements

    @contextmanager
    def held(self) -> Iterator[None]:
        """Sessions are kept anyway."""
        yield

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[psycopg.Connection[Any] | None]:
        """A session in which a transaction has begun; None while there are no tables."""
        session, found = self._begin(begin)
        try:
            yield session if found else None
            session.commit()
        finally:
            self._give_back(session)

    def _begin(self, begin: str) -> tuple[psycopg.Connection[Any], bool]:
        """Sessions that an end of the server left behind are replaced here, where nothing is lost with them."""
        from psycopg import OperationalError
        from psycopg.errors import UndefinedTable

        while True:
            session, is_new = self._take()
            try:
                cursor = session.execute(begin.encode())
                while cursor.nextset():
                    pass
                (version,) = cursor.fetchone() or (0,)
                refuse_version(version)
                return session, True
            except UndefinedTable:
                session.rollback()
                return session, False
            except OperationalError:
                self._give_back(session)
                if is_new or not session.closed:
                    raise
            except BaseException:
                self._give_back(session)
                raise

    def _make(self) -> None:
        """Make the tables, unless another master was first."""
        with self._errors():
            session, _ = self._take()
            try:
                session.execute(_MAKE.encode())
                if session.execute("SELECT to_regclass('registry_format')").fetchone() == (None,):
                    session.execute(f"{_TABLES} {_FORMAT}".encode())
                    session.execute("INSERT INTO registry_format VALUES (%s)", [SCHEMA_VERSION])
                session.commit()
            finally:
                self._give_back(session)
        _made.add(self._uri)

    def _take(self) -> tuple[psycopg.Connection[Any], bool]:
        """A session, and whether it is a new one."""
        with _lock:
            idle = _idle.setdefault(self._uri, [])
            if idle:
                return idle.pop(), False
        return self._connect(), True

    def _connect(self) -> psycopg.Connection[Any]:
        """Where the server is out of reach, all fail at once for some seconds: pillars must not queue up behind it."""
        driver = _driver()
        until, why = _unreachable.get(self._uri, (0.0, ""))
        if time.monotonic() < until:
            raise self._unusable(why)
        try:
            session: psycopg.Connection[Any] = driver.connect(
                self._uri, autocommit=True, connect_timeout=CONNECT_SECONDS, **_KEEPALIVE
            )
            session.execute(_SETTINGS.encode())
        except driver.OperationalError as exc:
            _unreachable[self._uri] = (time.monotonic() + CONNECT_SECONDS, str(exc))
            raise
        return session

    def _give_back(self, session: psycopg.Connection[Any]) -> None:
        """Roll back what was not committed, and keep the session, unless it is broken."""
        import psycopg

        try:
            session.rollback()
        except psycopg.Error:
            session.close()
        if not session.closed:
            with _lock:
                _idle.setdefault(self._uri, []).append(session)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        psycopg = _driver()
        try:
            yield
        except psycopg.Error as exc:
            raise self._unusable(str(exc)) from exc

    def _unusable(self, why: str) -> RegistryError:
        return RegistryError(
            f"the registry {self.place} is not usable: {' '.join(why.split())}. Check the server, its log, and"
            " `registry` in the master's configuration; unless the connection broke at the very end, nothing was"
            " changed"
        )


class _Statements:
    """A session that takes statements as SQLite does."""

    def __init__(self, session: psycopg.Connection[Any]) -> None:
        self._session = session

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> Cursor:
        return self._session.execute(_translated(sql), parameters)

    def executemany(self, sql: str, parameters: Iterable[Sequence[Any]], /) -> Cursor:
        cursor = self._session.cursor()
        cursor.executemany(_translated(sql), parameters)
        return cursor


@functools.lru_cache(maxsize=256)
def _translated(sql: str) -> bytes:
    return sql.replace("%", "%%").replace("?", "%s").encode()


def _driver() -> ModuleType:
    try:
        import psycopg
    except ImportError as exc:
        raise RegistryError(
            "a registry in PostgreSQL needs psycopg 3 on the master: `salt-pip install 'psycopg[binary]'`, or the"
            f" package python3-psycopg where Salt runs with the system's Python ({exc})"
        ) from exc
    return psycopg


def without_password(uri: str) -> str:
    """
    The URI as messages may have it. Raises ConfigError for one in which it is not clear where the password ends; the
    driver would show a part of it.
    """
    parts = urlsplit(uri)
    if "@" in parts.path + parts.query + parts.fragment or parts.netloc.count("@") > 1 or "#" in uri:
        raise ConfigError(
            "`registry` in the master's configuration is no valid URI of PostgreSQL: special characters of user and"
            " password must be percent-encoded, as @ is by %40, / by %2F, ? by %3F and # by %23"
        )
    user, at, host = parts.netloc.rpartition("@")
    options = [each for each in parts.query.split("&") if "password" not in each]
    query = "?" + "&".join(options) if any(options) else ""
    return f"{parts.scheme}://{user.partition(':')[0]}{at}{host}{parts.path}{query}"
