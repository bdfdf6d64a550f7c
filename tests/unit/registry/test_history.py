"""The audit trail: complete, in order, and announced once."""

import json

import pytest

from saltext.wireguard.registry import history
from saltext.wireguard.registry.history import Entry
from saltext.wireguard.registry.sqlite import SQLite


@pytest.fixture
def store(tmp_path):
    return SQLite(str(tmp_path / "registry.db"))


def write(store, node="a", what="joined", network="net", who="alice", why="because", **details):
    with store.write() as connection:
        history.write(connection, network, node, what, who, why, **details)


def read(store, node=None, limit=1000):
    return store.read(lambda connection: history.read(connection, node, limit), [])


def claim(store):
    with store.write() as connection:
        return history.claim(connection)


def test_an_entry_is_read_as_it_was_written(store):
    write(store, public_key="key", old_public_key=None)
    (entry,) = read(store)
    assert (entry.network, entry.node, entry.what, entry.who, entry.why) == ("net", "a", "joined", "alice", "because")
    assert entry.details == {"public_key": "key", "old_public_key": None}


def test_entries_come_oldest_first_and_of_too_many_the_newest(store):
    for number in range(5):
        write(store, why=str(number))
    assert [entry.why for entry in read(store)] == ["0", "1", "2", "3", "4"]
    assert [entry.why for entry in read(store, limit=2)] == ["3", "4"]


def test_the_entries_of_one_node_are_its_own(store):
    for node in ("a", "b", "a' OR 1=1 --", "a"):
        write(store, node)
    assert [entry.node for entry in read(store, "a")] == ["a", "a"]
    assert [entry.node for entry in read(store, "a' OR 1=1 --")] == ["a' OR 1=1 --"]


def test_a_change_that_is_not_made_is_not_in_the_history(store):
    write(store)

    def change_and_fail():
        with store.write() as connection:
            history.write(connection, "net", "b", "joined", "alice", "")
            raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011
        change_and_fail()
    assert [entry.node for entry in read(store)] == ["a"]


def test_each_entry_is_claimed_once(store):
    write(store, "a")
    write(store, "b")
    assert [entry.node for entry in claim(store)] == ["a", "b"]
    assert claim(store) == []
    write(store, "c")
    assert [entry.node for entry in claim(store)] == ["c"]
    assert len(read(store)) == 3


@pytest.mark.parametrize(
    ("network", "tag"),
    [
        ("backbone", "wireguard/backbone/node/refused"),
        ("a-b_c.9", "wireguard/a-b_c.9/node/refused"),
        ("?", "wireguard/_/node/refused"),
        ("../salt/key", "wireguard/.._salt_key/node/refused"),
        ("a/node/joined", "wireguard/a_node_joined/node/refused"),
        ("a b\n*", "wireguard/a_b__/node/refused"),
    ],
)
def test_a_name_that_somebody_made_up_cannot_make_up_a_tag(network, tag):
    assert Entry(1, 1.0, network, "a", "refused", "master", "", {}).tag == tag


def test_an_entry_travels_as_plain_data(store):
    write(store, expires=5.0)
    told = read(store)[0].to_dict()
    assert json.loads(json.dumps(told)) == told
    assert set(told) == {"id", "time", "network", "node", "what", "who", "why", "details"}
