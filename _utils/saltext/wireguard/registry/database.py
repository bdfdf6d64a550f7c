"""
What a registry lives in: transactions, and how they can fail. ``sqlite`` and ``postgresql`` are the two kinds.

All statements of this room run on both, and have ``?`` for values. They keep to what the two have in common: upserts
name their key, no scalar ``max``, no ``IS ?``, no ``LIMIT -1``. A toolkit that writes SQL for both would be needed by
every master, also by one that has a file.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from contextvars import ContextVar
from typing import Any, Protocol, TypeVar

from ..errors import RegistryError

# The limit of a query that has an offset only, which SQLite cannot say otherwise.
ALL_ROWS = 10**15

# The token of the lease by which this thread changes nodes, see ``leases``.
fence: ContextVar[int | None] = ContextVar("fence", default=None)

T = TypeVar("T")


class Cursor(Protocol):
    @property
    def rowcount(self) -> int: ...

    def fetchone(self) -> Any: ...

    def fetchall(self) -> list[Any]: ...

    def __iter__(self) -> Iterator[Any]: ...


class Connection(Protocol):
    """A transaction of a database."""

    def execute(self, sql: str, parameters: Sequence[Any] = ..., /) -> Cursor: ...

    def executemany(self, sql: str, parameters: Iterable[Sequence[Any]], /) -> Cursor: ...


class Database(ABC):
    """
    One that processes and threads may share. ``place``: where it is, without a password. All raise RegistryError for
    what fails in the database itself.
    """

    is_shared = False  # whether several machines can have it

    def __init__(self, place: str) -> None:
        self.place = place

    @abstractmethod
    def exists(self) -> bool:
        """Whether there is a registry in it."""

    @abstractmethod
    def identity(self, connection: Connection) -> int:
        """A number that another registry in the same place does not have."""

    @abstractmethod
    def now(self, connection: Connection) -> float:
        """The time in Unix seconds, by the one clock that counts for all masters."""

    @abstractmethod
    def software(self, connection: Connection) -> str:
        """What keeps it, and of which version."""

    @abstractmethod
    def size(self, connection: Connection) -> int:
        """In bytes."""

    @abstractmethod
    def read(self, query: Callable[[Connection], T], empty: T) -> T:
        """The answer of ``query``, which sees one state; ``empty`` while there is no registry."""

    @abstractmethod
    def write(self, durable: bool = True, replacing: bool = False) -> AbstractContextManager[Connection]:
        """
        One transaction, and one at a time: all of the block, or nothing of it when it raises.

        It survives a power cut. Without ``durable`` it may be undone by one, as if it had never been made. A registry
        that was moved away can only be replaced as a whole.
        """

    @abstractmethod
    def held(self) -> AbstractContextManager[None]:
        """Many changes within this block cost less."""

    def all(self, sql: str, values: Sequence[object] = ()) -> list[Any]:
        """All rows of a query; none while there is no registry."""
        empty: list[Any] = []
        return self.read(lambda connection: connection.execute(sql, values).fetchall(), empty)


def refuse_late(connection: Connection) -> None:
    """Raise RegistryError where another master has taken the lease meanwhile."""
    token = fence.get()
    if token is None:
        return
    master, present = connection.execute("SELECT master, token FROM lease").fetchone()
    if present != token:
        raise RegistryError(
            f"{master} has been changing nodes meanwhile, as this master stood still or was cut off from the registry"
            " for some seconds. Run the command again; nothing more was changed"
        )


def upsert(table: str, key: str, columns: str) -> str:
    """The statement that stores a row in place of the one with this key. Names of columns are separated by ", "."""
    names = f"{key}, {columns}"
    marks = ", ".join("?" * len(names.split(", ")))
    changes = ", ".join(f"{each} = excluded.{each}" for each in columns.split(", "))
    return f"INSERT INTO {table} ({names}) VALUES ({marks}) ON CONFLICT ({key}) DO UPDATE SET {changes}"  # noqa: S608
