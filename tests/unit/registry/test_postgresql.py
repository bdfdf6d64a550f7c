"""A registry in PostgreSQL: a real server, its end, and several processes that write."""

import contextlib
import os
import signal
import sys
import threading
import time

import pytest

from databases import execute, needs_postgresql, postgresql_registry, postgresql_uri
from factories import membership, network, registration
from registering import FORK, register, run
from saltext.wireguard.errors import ConfigError, RefusedError, RegistryError
from saltext.wireguard.registry import postgresql
from saltext.wireguard.registry.postgresql import PostgreSQL, without_password
from saltext.wireguard.registry.registry import Registry
from wglab.postgresql import Server

pytestmark = needs_postgresql

DEATHS = 3
NET = network(subnets="10.0.0.0/8, 'fd42::/64'")


@pytest.fixture
def registry(tmp_path):
    return postgresql_registry(tmp_path)


@pytest.fixture
def database(tmp_path):
    return PostgreSQL(postgresql_uri(tmp_path))


@pytest.fixture
def own_server():
    """One that a test may end."""
    own = Server().start()
    yield own
    own.remove()


def add(database, value):
    with database.write() as connection:
        connection.execute("INSERT INTO member VALUES ('net', ?)", [value])


def members(database):
    return sorted(node for (node,) in database.all("SELECT node FROM member"))


def test_a_transaction_is_stored_as_a_whole(database):
    with database.write() as connection:
        for node in ("a", "b"):
            connection.execute("INSERT INTO member VALUES ('net', ?)", [node])
        assert members(database) == []
    assert members(database) == ["a", "b"]


def test_a_transaction_that_raises_leaves_nothing_and_its_session_goes_on(database):
    add(database, "a")

    def fail():
        with database.write() as connection:
            connection.execute("DELETE FROM member")
            raise RefusedError("no")

    with pytest.raises(RefusedError):
        fail()
    add(database, "b")
    assert members(database) == ["a", "b"]


def test_an_error_of_the_server_is_one_of_ours_that_names_the_place(database):
    add(database, "a")
    with pytest.raises(RegistryError, match=r"the registry postgresql://wireguard@/postgres\?.* is not usable.*unique"):
        add(database, "a")


def test_a_reader_sees_one_state_while_others_write(database):
    add(database, "a")

    def read_twice(connection):
        before = connection.execute("SELECT count(*) FROM member").fetchone()
        add(database, "b")
        return before, connection.execute("SELECT count(*) FROM member").fetchone()

    before, after = database.read(read_twice, None)
    assert before == after == (1,)
    assert members(database) == ["a", "b"]


def test_a_reader_cannot_write(database):
    add(database, "a")
    with pytest.raises(RegistryError, match="read-only"):
        database.read(lambda connection: connection.execute("DELETE FROM member"), None)


def test_a_writer_waits_for_another_and_sees_what_it_did(database):
    add(database, "a")
    begun, waiting = threading.Event(), threading.Event()

    def hold():
        with database.write() as connection:
            begun.set()
            waiting.wait()
            connection.execute("INSERT INTO member VALUES ('net', 'first')")

    holder = threading.Thread(target=hold)
    holder.start()
    begun.wait()
    threading.Timer(0.2, waiting.set).start()
    with database.write() as connection:
        assert connection.execute("SELECT count(*) FROM member WHERE node = 'first'").fetchone() == (1,)
    holder.join()


def test_values_are_never_part_of_a_statement(database):
    hostile = ["x'); DROP TABLE member; --", '"', "%s {0} ?", "%(a)s", "\x1b[2J"]
    for each in hostile:
        add(database, each)
    assert members(database) == sorted(hostile)


def test_reading_makes_no_tables(database):
    assert database.exists() is False
    assert members(database) == []
    assert database.exists() is False


def test_tables_that_were_removed_are_an_empty_registry_that_is_made_again(registry, tmp_path):
    register(registry, registration("a"))
    assert set(registry.snapshot().rows) == {("net", "a")}
    schema = postgresql_uri(tmp_path).rpartition("%3D")[2]
    execute(registry, f"DROP SCHEMA {schema} CASCADE")
    postgresql_uri(tmp_path)
    assert dict(registry.snapshot().rows) == {}
    with pytest.raises(RegistryError, match="were removed; nothing was changed"):
        register(registry, registration("b"))
    register(registry, registration("b", serial=2))
    assert set(registry.snapshot().rows) == {("net", "b")}


def test_a_registry_of_a_newer_version_says_what_to_do(registry):
    register(registry, registration("a"))
    execute(registry, "UPDATE registry_format SET version = 99")
    for call in (registry.snapshot, lambda: register(registry, registration("b"))):
        with pytest.raises(RegistryError, match=r"has format 99, this software knows \d+"):
            call()


def test_a_process_uses_its_session_again(database, monkeypatch):
    add(database, "a")
    connected = []
    monkeypatch.setattr(PostgreSQL, "_connect", lambda self: connected.append(self))
    for _ in range(5):
        assert members(database) == ["a"]
    assert connected == []


def test_a_child_process_does_not_use_the_sessions_of_its_parent(registry):
    register(registry, registration("a"))
    run(register, registry, registration("b"))
    register(registry, registration("c"))
    assert {node for _, node in registry.snapshot().rows} == {"a", "b", "c"}


# --- the end of the server, and of masters


def test_a_server_that_restarts_is_noticed_by_nobody_who_calls_after_it(own_server, tmp_path):
    registry = Registry(own_server.uri(), str(tmp_path))
    register(registry, registration("a"))
    own_server.stop()
    own_server.start()
    assert set(registry.snapshot().rows) == {("net", "a")}
    own_server.stop()
    own_server.start()
    register(registry, registration("b"))
    assert set(registry.snapshot().rows) == {("net", "a"), ("net", "b")}


def test_without_the_server_nobody_is_let_in_or_taken_out(own_server, tmp_path, monkeypatch):
    """All raise; nothing counts as an empty registry."""
    registry = Registry(own_server.uri(), str(tmp_path))
    register(registry, registration("a"))
    own_server.stop()
    for call in (
        registry.snapshot,
        registry.exists,
        registry.applied,
        registry.standings,
        lambda: register(registry, registration("b")),
        lambda: registry.settle(membership(network(), "a")),
        lambda: registry.audit.refuse("net", "a", "reason"),
    ):
        with pytest.raises(RegistryError, match=r"is not usable: .*Check the server, its log, and `registry`"):
            call()
    monkeypatch.setattr(postgresql, "_unreachable", {})
    own_server.start()
    assert set(registry.snapshot().rows) == {("net", "a")}


def test_while_the_server_is_out_of_reach_nobody_waits_for_it_twice(own_server, tmp_path, monkeypatch):
    """Each pillar tried to connect, and waited, while the workers of the master had nothing else to do."""
    import psycopg

    registry = Registry(own_server.uri(), str(tmp_path))
    own_server.stop()
    tried = []
    connect = psycopg.connect
    monkeypatch.setattr(psycopg, "connect", lambda *args, **kwargs: (tried.append(1), connect(*args, **kwargs))[1])
    for _ in range(5):
        with pytest.raises(RegistryError, match="is not usable"):
            registry.snapshot()
    assert len(tried) == 1


def stop_in_the_middle(uri, begun):
    with PostgreSQL(uri).write() as connection:
        connection.execute("INSERT INTO member VALUES ('net', 'half')")
        os.write(begun, b"x")
        os.kill(os.getpid(), signal.SIGSTOP)


def test_a_writer_that_stands_still_loses_its_lock_and_what_it_wrote(tmp_path, monkeypatch):
    monkeypatch.setattr(postgresql, "_SETTINGS", postgresql._SETTINGS.replace("20s", "1s"))
    uri = postgresql_uri(tmp_path)
    database = PostgreSQL(uri)
    add(database, "a")
    reader, writer = os.pipe()
    process = FORK.Process(target=stop_in_the_middle, args=(uri, writer))
    process.start()
    try:
        os.read(reader, 1)
        add(database, "b")
        assert members(database) == ["a", "b"]
    finally:
        process.kill()
        process.join()


def write_many(uri, state_dir, first, acknowledged):
    registry = Registry(uri, state_dir)
    for number in range(first, first + 100_000):
        with contextlib.suppress(RegistryError):
            registry.register(registration(f"n{number}", number + 1), "f", membership(NET, ()))
            os.write(acknowledged, b"%d\n" % number)


def test_nothing_acknowledged_is_lost_and_no_address_given_twice_when_server_and_writers_crash(own_server, tmp_path):
    uri, expected = own_server.uri(), set()
    for death in range(DEATHS):
        reader, writer = os.pipe()
        firsts = [(death * 3 + part) * 100_000 for part in range(3)]
        processes = [FORK.Process(target=write_many, args=(uri, str(tmp_path), each, writer)) for each in firsts]
        for process in processes:
            process.start()
        os.close(writer)
        seen = os.read(reader, 1)
        time.sleep(0.2)
        own_server.stop(signal.SIGQUIT)
        own_server.start()
        for process in processes:
            os.kill(process.pid, signal.SIGKILL)
            process.join()
        with os.fdopen(reader, "rb") as lines:
            seen += lines.read()
        expected |= {f"n{int(number)}" for number in seen.split()}
        rows = Registry(uri, str(tmp_path)).snapshot().rows
        assert expected <= {node for _, node in rows}
    given = [address for row in rows.values() for address in row.addresses]
    assert len(set(given)) == len(given) == 2 * len(rows)


def test_masters_that_make_the_tables_at_once_make_one_registry(tmp_path):
    uri = postgresql_uri(tmp_path)
    registries = [Registry(uri, str(tmp_path / str(number))) for number in range(4)]
    jobs = [
        FORK.Process(target=register, args=(each, registration(name)))
        for name, each in zip("abcd", registries, strict=True)
    ]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()
    assert [job.exitcode for job in jobs] == [0] * 4
    assert len(registries[0].snapshot().rows) == 4


# --- words


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("postgresql://wg:secret@db.example.com:5432/wg", "postgresql://wg@db.example.com:5432/wg"),
        ("postgresql://wg@db1,db2/wg?sslmode=verify-full", "postgresql://wg@db1,db2/wg?sslmode=verify-full"),
        ("postgresql://db/wg?user=wg&password=secret&sslpassword=secret", "postgresql://db/wg?user=wg"),
        ("postgresql:///wg?host=/run/postgresql", "postgresql:///wg?host=/run/postgresql"),
    ],
)
def test_no_message_has_the_password(uri, shown):
    assert PostgreSQL(uri).place == without_password(uri) == shown


@pytest.mark.parametrize("password", ["se@cret", "se/cret", "se?cret", "se#cret"])
def test_a_uri_that_would_show_a_part_of_the_password_is_refused(password):
    with pytest.raises(ConfigError, match="must be percent-encoded") as raised:
        PostgreSQL(f"postgresql://wg:{password}@db/wg")
    assert "cret" not in str(raised.value)


def test_without_the_driver_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(RegistryError, match="needs psycopg 3 on the master: `salt-pip install"):
        PostgreSQL("postgresql://db/wg").exists()
