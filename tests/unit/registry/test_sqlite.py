"""The file of the registry: one transaction a change, whatever happens to the process that makes it."""

import contextlib
import os
import random
import signal
import sqlite3
import stat
import threading
import time
from ipaddress import ip_address

import pytest

from databases import sqlite_registry
from factories import membership, network, public_key, registration
from registering import DUAL, FORK, addresses, everybody, register, run
from saltext.wireguard.errors import RefusedError, RegistryError
from saltext.wireguard.model.statements import Report
from saltext.wireguard.registry.registry import Registry
from saltext.wireguard.registry.sqlite import SQLite
from saltext.wireguard.system import filesystem

KILLS = 20
WRITERS = 3


@pytest.fixture
def store(tmp_path):
    return SQLite(str(tmp_path / "registry.db"))


def add(store, value):
    with store.write() as connection:
        connection.execute("INSERT INTO member VALUES ('net', ?)", [value])


def members(store):
    return sorted(node for (node,) in store.all("SELECT node FROM member"))


def check_integrity(path):
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_a_transaction_is_stored_as_a_whole(store):
    with store.write() as connection:
        for node in ("a", "b"):
            connection.execute("INSERT INTO member VALUES ('net', ?)", [node])
        assert members(store) == []
    assert members(store) == ["a", "b"]


def test_a_transaction_that_raises_leaves_nothing(store):
    add(store, "a")

    def fail():
        with store.write() as connection:
            connection.execute("DELETE FROM member")
            raise RefusedError("no")

    with pytest.raises(RefusedError):
        fail()
    assert members(store) == ["a"]


def test_an_error_of_sqlite_is_one_of_ours_that_names_the_file(store):
    add(store, "a")
    with pytest.raises(RegistryError, match=f"the registry {store.place} is not usable.*UNIQUE.*nothing was changed"):
        add(store, "a")


def test_a_reader_sees_one_state_while_others_write(store):
    add(store, "a")

    def read_twice(connection):
        before = connection.execute("SELECT count(*) FROM member").fetchone()
        add(store, "b")
        return before, connection.execute("SELECT count(*) FROM member").fetchone()

    before, after = store.read(read_twice, None)
    assert before == after == (1,)
    assert members(store) == ["a", "b"]


def test_a_reader_cannot_write(store):
    add(store, "a")
    with pytest.raises(RegistryError, match="readonly"):
        store.read(lambda connection: connection.execute("DELETE FROM member"), None)


def test_a_writer_waits_for_another(store):
    add(store, "a")
    begun = threading.Event()

    def hold():
        with store.write() as connection:
            begun.set()
            time.sleep(0.5)
            connection.execute("INSERT INTO member VALUES ('net', 'first')")

    holder = threading.Thread(target=hold)
    holder.start()
    begun.wait()
    with store.write() as connection:
        assert connection.execute("SELECT count(*) FROM member WHERE node = 'first'").fetchone() == (1,)
    holder.join()


def test_while_it_is_held_changes_stay_in_the_log_and_all_can_see_them(store):
    add(store, "a")
    log = f"{store.place}-wal"
    with store.held():
        add(store, "b")
        assert os.path.getsize(log)
        assert members(store) == ["a", "b"]
    assert not os.path.exists(log)
    assert members(store) == ["a", "b"]


def test_a_file_that_is_not_there_yet_can_be_held_and_made(store):
    with store.held():
        add(store, "a")
    assert members(store) == ["a"]


def test_errors_within_the_block_are_those_of_the_block(store):
    add(store, "a")
    with pytest.raises(OSError, match="of the bus"), store.held():
        raise OSError("of the bus")


def test_an_unusable_file_cannot_be_held(tmp_path):
    (tmp_path / "registry.db").write_text("no database " * 100)
    with pytest.raises(RegistryError, match="not usable"), SQLite(str(tmp_path / "registry.db")).held():
        pass


def test_values_are_never_part_of_a_statement(store):
    hostile = ["x'); DROP TABLE member; --", '"', "\x00", "%s {0} ?", "\x1b[2J"]
    for each in hostile:
        add(store, each)
    assert members(store) == sorted(hostile)


# --- sudden death


def work(path, first, acknowledged, chance):
    """All that writes, as the processes of a master do it; each registration is acknowledged once it is stored."""
    registry = Registry(path)
    net = network(subnets="10.0.0.0/8, 'fd42::/64'")
    for number in range(first, first + 100_000):
        node = f"n{number}"
        registry.register(registration(node, number + 1), "f", membership(net, ()))
        os.write(acknowledged, b"%d\n" % number)
        what = chance.randrange(6)
        if what == 0:
            registry.audit.refuse("net", node, f"reason {number}")
        elif what == 1:
            registry.report(Report(node, "net", "digest", 1), "f")
        elif what == 2:
            registry.admissions.revoke("net", node, "alice", "because")
        elif what == 3:
            registry.audit.claim_history()


def test_nothing_acknowledged_is_lost_and_nothing_broken_by_twenty_sudden_deaths_of_all_writers(tmp_path):
    """Each time, three processes write and are killed at a moment that nobody chose."""
    chance = random.Random(20)
    path = str(tmp_path / "wireguard" / "registry.db")
    expected = set()
    for death in range(KILLS):
        reader, writer = os.pipe()
        firsts = [(death * WRITERS + part) * 100_000 for part in range(WRITERS)]
        processes = [FORK.Process(target=work, args=(path, first, writer, random.Random(first))) for first in firsts]
        for process in processes:
            process.start()
        os.close(writer)
        seen = os.read(reader, 1)  # one has begun
        time.sleep(chance.uniform(0, 0.3))
        for process in processes:
            os.kill(process.pid, signal.SIGKILL)
        for process in processes:
            process.join()
        with os.fdopen(reader, "rb") as lines:
            seen += lines.read()
        expected |= {int(number) for number in seen.split()}
        check_integrity(path)
        rows = Registry(path).snapshot().rows
        assert {f"n{number}" for number in expected} <= {node for _, node in rows}
    assert len(expected) >= KILLS
    assert {(row.node, row.public_key, row.serial) for row in rows.values()} == {
        (node, public_key(node), int(node[1:]) + 1) for _, node in rows
    }
    given = [address for row in rows.values() for address in row.addresses]
    assert len(set(given)) == len(given) == 2 * len(rows)
    entries = [entry.node for entry in Registry(path).audit.history(limit=10**6) if entry.what == "registered"]
    assert sorted(entries) == sorted(node for _, node in rows)


# --- the registry in it ---------------------------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path):
    return sqlite_registry(tmp_path)


def execute(registry, sql):
    connection = sqlite3.connect(registry.place)
    with contextlib.closing(connection), connection:
        return connection.execute(sql).fetchall()


def test_files_are_for_their_owner_only(file):
    register(file, registration("a"))
    connection = sqlite3.connect(file.place)
    with contextlib.closing(connection):
        connection.execute("SELECT * FROM node").fetchall()  # as long as a connection is open, so are WAL and index
        directory = os.path.dirname(file.place)
        modes = {name: stat.S_IMODE(os.stat(os.path.join(directory, name)).st_mode) for name in os.listdir(directory)}
    assert set(modes) == {"registry.db", "registry.db-wal", "registry.db-shm"}
    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE(os.stat(directory).st_mode) == 0o700


def test_files_are_for_their_owner_only_whatever_the_umask(file):
    before = os.umask(0)
    try:
        register(file, registration("a"))
    finally:
        os.umask(before)
    assert stat.S_IMODE(os.stat(file.place).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(os.path.dirname(file.place)).st_mode) == 0o700


@pytest.mark.parametrize("read", ["snapshot", "applied", "deferred"])
def test_reading_never_makes_the_file(file, tmp_path, read):
    getattr(file, read)()
    assert os.listdir(tmp_path) == []


def test_nothing_is_left_of_making_the_file(file):
    register(file, registration("a"))
    assert [name for name in os.listdir(os.path.dirname(file.place)) if not name.startswith("registry.db")] == []


def test_the_file_appears_only_when_it_is_complete(file, monkeypatch):
    """There was a moment in which it was empty, and another in which it was locked."""
    link = os.link
    seen = []

    def look_and_link(source, target):
        seen.append((file.snapshot().rows, os.path.exists(target)))
        link(source, target)
        seen.append((dict(file.snapshot().rows), execute(file, "PRAGMA journal_mode")))

    monkeypatch.setattr(os, "link", look_and_link)
    register(file, registration("a"))
    assert seen == [({}, False), ({}, [("wal",)])]


def test_who_comes_second_in_making_the_file_uses_that_of_the_first(file, monkeypatch):
    link = os.link

    def too_late(source, target):
        monkeypatch.setattr(os, "link", link)
        register(file, registration("b"))
        link(source, target)

    monkeypatch.setattr(os, "link", too_late)
    register(file, registration("a"))
    assert set(file.snapshot().rows) == {("net", "a"), ("net", "b")}


READS_AND_WRITES = {
    "snapshot": lambda registry: registry.snapshot(),
    "applied": lambda registry: registry.applied(),
    "refusals": lambda registry: registry.audit.refusals(),
    "register": lambda registry: register(registry, registration("b")),
    "settle": lambda registry: registry.settle(membership(network(), everybody())),
    "report": lambda registry: registry.report(Report("a", "net", "digest", 1), "f"),
    "refuse": lambda registry: registry.audit.refuse("net", "a", "reason"),
}
each_call = pytest.mark.parametrize("call", READS_AND_WRITES.values(), ids=READS_AND_WRITES)


@each_call
def test_a_registry_of_a_newer_version_says_what_to_do(file, call):
    register(file, registration("a"))
    execute(file, "PRAGMA user_version = 99")
    with pytest.raises(RegistryError, match=r"has format 99, this software knows \d+: update saltext-wireguard on"):
        call(file)


@each_call
@pytest.mark.parametrize("damage", ["noise", "text", "truncated"])
def test_a_damaged_file_is_an_error_and_not_an_empty_registry(file, call, damage):
    register(file, registration("a"))
    with open(file.place, "rb") as handle:
        whole = handle.read()
    with open(file.place, "wb") as handle:
        damaged = {"noise": os.urandom(len(whole)), "text": b"not a database\n" * 999, "truncated": whole[:5000]}
        handle.write(damaged[damage])
    with pytest.raises(RegistryError, match=f"the registry {file.place} is not usable"):
        call(file)


@each_call
def test_an_empty_file_is_an_error_and_not_an_empty_registry(file, call):
    """Taken for an empty registry, it would have told every node that it has no peers."""
    os.makedirs(os.path.dirname(file.place))
    with open(file.place, "wb"):
        pass
    with pytest.raises(RegistryError, match="is an empty file: restore it from a backup, or delete it"):
        call(file)


@each_call
def test_a_directory_that_may_not_be_searched_is_an_error_and_not_an_empty_registry(file, call, monkeypatch):
    """`os.path.exists` says False there, so whoever had no right to look believed that no node had registered."""

    def denied(path, *_, **__):
        raise PermissionError(13, "Permission denied")

    register(file, registration("a"))
    monkeypatch.setattr(os, "stat", denied)
    with pytest.raises(RegistryError, match=r"is not usable: .*Permission denied.*Check its owner, its mode"):
        call(file)


def test_a_directory_that_cannot_be_made_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RegistryError, match="is not usable"):
        register(Registry(str(tmp_path / "file" / "wireguard" / "registry.db")), registration("a"))


@pytest.mark.parametrize("name", ["with space", "50%", "question?mark=1", "h#sh", "\u00fcml\u00e4ut"])
def test_the_directory_may_have_any_name(tmp_path, name):
    registry = sqlite_registry(tmp_path / name)
    register(registry, registration("a"))
    assert addresses(registry) == ["10.42.0.1"]


def test_a_registry_put_back_from_a_backup_is_seen_even_if_as_much_was_changed_since(file):
    """It had the generation of the other one after as many changes, so a running master would not have looked."""
    register(file, registration("a"))
    with open(file.place, "rb") as handle:
        backup = handle.read()
    register(file, registration("b"))
    assert ("net", "b") in file.snapshot().rows
    for suffix in ("-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(file.place + suffix)
    with open(file.place, "r+b") as handle:  # in place, as `cp` does: the same inode
        handle.write(backup)
        handle.truncate()
    run(register, file, registration("c"))
    assert set(file.snapshot().rows) == {("net", "a"), ("net", "c")}


def test_a_registry_that_was_deleted_is_an_empty_one(file):
    register(file, registration("a"))
    file.snapshot()
    for suffix in ("", "-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(file.place + suffix)
    assert dict(file.snapshot().rows) == {}
    register(file, registration("b"))
    assert set(file.snapshot().rows) == {("net", "b")}


def test_a_unique_key_is_enforced_by_the_file_itself(file):
    register(file, registration("a"))
    register(file, registration("b"))
    with pytest.raises(sqlite3.IntegrityError):
        execute(file, "UPDATE node SET public_key = (SELECT public_key FROM node WHERE node = 'a')")


def test_who_registers_has_no_list_of_addresses_read_for_it(file, monkeypatch):
    """SQLite read the whole network for each node, although there is an index: it was said not to be worth it."""
    statements = []
    connect = sqlite3.connect

    def traced(*args, **kwargs):
        connection = connect(*args, **kwargs)
        connection.set_trace_callback(statements.append)
        return connection

    register(file, registration("a"))
    monkeypatch.setattr(sqlite3, "connect", traced)
    register(file, registration("b"))
    looked_up = [each for each in statements if each.startswith("SELECT") and " FROM address " in each]
    plans = [execute(file, f"EXPLAIN QUERY PLAN {each}")[0][-1] for each in looked_up]
    assert plans
    assert [plan for plan in plans if "(network=? AND " not in plan] == []


def test_addresses_are_kept_as_text_that_can_be_read_back(file):
    register(file, registration("a"), network(subnets=DUAL))
    assert execute(file, "SELECT address, node FROM address ORDER BY address") == [("10.42.0.1", "a"), ("fd42::1", "a")]
    assert file.snapshot().rows["net", "a"].addresses == (ip_address("10.42.0.1"), ip_address("fd42::1"))


@each_call
@pytest.mark.parametrize("kind", ["nfs4", "fuse.glusterfs"])
def test_a_file_that_other_machines_could_write_to_is_refused_with_a_way_out(file, call, kind, monkeypatch):
    """SQLite's log needs memory that all writers share, which those of two machines do not; the file gets damaged."""
    monkeypatch.setattr(filesystem, "kind_of", lambda path: kind)
    with pytest.raises(RegistryError, match=f"is on {kind}, where several machines .* or postgresql://"):
        call(file)
    assert not os.path.exists(file.place)
