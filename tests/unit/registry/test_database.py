"""The file of the registry: one transaction a change, whatever happens to the process that makes it."""

import contextlib
import multiprocessing
import os
import random
import signal
import sqlite3
import threading
import time

import pytest

from factories import membership, network, public_key, registration
from saltext.wireguard.errors import RefusedError, RegistryError
from saltext.wireguard.model.statements import Report
from saltext.wireguard.registry.database import Database
from saltext.wireguard.registry.registry import Registry

FORK = multiprocessing.get_context("fork")
KILLS = 20
WRITERS = 3


@pytest.fixture
def store(tmp_path):
    return Database(str(tmp_path / "registry.db"))


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
    with pytest.raises(RegistryError, match=f"the registry {store.path} is not usable.*UNIQUE.*nothing was changed"):
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
    log = f"{store.path}-wal"
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
    with pytest.raises(RegistryError, match="not usable"), Database(str(tmp_path / "registry.db")).held():
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
