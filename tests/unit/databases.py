"""
The databases that a registry can be in. What the tests that use BACKENDS hold is the contract for each of them.

PostgreSQL is a real server, which the first test that needs it starts, and the end of the session ends.
"""

import functools
import hashlib
import os
import sys
from pathlib import Path

import pytest

from saltext.wireguard.registry import postgresql
from saltext.wireguard.registry.registry import Registry

sys.path.insert(0, str(Path(__file__).parents[2] / "lab"))

from wglab.postgresql import Server, programs


@functools.cache
def server():
    return Server().start()


def remove_server():
    if server.cache_info().currsize:
        server().remove()


def close_sessions():
    """Each schema has one, and a server takes only so many."""
    while postgresql._idle:
        for session in postgresql._idle.popitem()[1]:
            session.close()


def missing():
    """What of PostgreSQL this machine lacks."""
    try:
        import psycopg  # noqa: F401
    except ImportError:
        return "psycopg is not installed"
    return None if programs() else "PostgreSQL is not installed"


needs_postgresql = pytest.mark.skipif(missing() is not None, reason=str(missing()))


def sqlite_registry(directory):
    return Registry(str(directory / "wireguard" / "registry.db"))


def postgresql_uri(directory):
    """Of a schema of its own for each directory."""
    import psycopg

    schema = "t" + hashlib.sha256(os.fsencode(directory)).hexdigest()[:16]
    uri = server().uri(schema)
    with psycopg.connect(uri, autocommit=True) as session:
        session.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
    return uri


def postgresql_registry(directory):
    return Registry(postgresql_uri(directory), str(directory / "wireguard"))


def execute(registry, sql, *values):
    """A statement that is none of the registry's own; the rows, where it has some."""
    with registry._store.write() as connection:
        cursor = connection.execute(sql, *values)
        return cursor.fetchall() if sql.startswith("SELECT") else []


PLACES = [
    pytest.param(lambda directory: str(directory / "registry.db"), id="sqlite"),
    pytest.param(postgresql_uri, id="postgresql", marks=needs_postgresql),
]
BACKENDS = [
    pytest.param(sqlite_registry, id="sqlite"),
    pytest.param(postgresql_registry, id="postgresql", marks=needs_postgresql),
]
