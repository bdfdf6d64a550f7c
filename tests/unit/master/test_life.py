"""What operators decide about nodes, and rotations that broke off: master and registry."""

import sqlite3
import time

import pytest

from factories import accept, master_of, network, public_key, registration, salt_key
from saltext.wireguard.errors import ConfigError
from saltext.wireguard.master.rotations import ROTATE_AGAIN_SECONDS
from saltext.wireguard.master.status import UNFINISHED
from saltext.wireguard.model import statements
from saltext.wireguard.model.statements import REGISTER_TAG, REPORT_TAG, Report, Rotation

DAY = 86400.0


def build(tmp_path, nodes, extra=""):
    """A master of two accepted minions."""
    made = master_of(tmp_path, nodes, extra)
    for name in "ab":
        accept(made, name)
    return made


def says(master, tag, statement):
    signed = statements.sign(statement, salt_key(statement.node).private_pem)
    assert master.hear(tag, {"id": statement.node, "data": {"signed": signed}})


def register(master, node, serial=1, key=None):
    says(master, REGISTER_TAG, registration(node, serial, public_key=public_key(key or node)))


def catch_up(master, serial):
    """Everybody applies and reports what it must have."""
    for (name, node), digest in master.fleet().digests().items():
        says(master, REPORT_TAG, Report(node, name, digest, serial))


def announce(master, node, serial=1, next_key="next"):
    statement = Rotation(node, "net", public_key(node), public_key(next_key), serial)
    assert master.announce(statements.sign(statement, salt_key(node).private_pem), "alice", "salt-run wireguard.rotate")


def reasons(master):
    return {status.member.node: status.reason for status in master.status()}


def whats(master, node):
    return [(entry.what, entry.who, entry.why) for entry in master.registry.history(node)]


# --- names


def test_a_mistyped_name_is_no_node_although_a_glob_would_let_it_in(tmp_path):
    master = build(tmp_path, "'*': {}")
    with pytest.raises(ConfigError, match="there is no weeb7"):
        master.networks_of("weeb7")


@pytest.mark.parametrize(("nodes", "node"), [("'*': {}", "a"), ("z: {}", "z"), ("'*': {}, z: {}", "z")])
def test_an_accepted_minion_and_a_node_of_the_mesh_file_are_known_before_they_register(tmp_path, nodes, node):
    assert build(tmp_path, nodes).networks_of(node) == ["net"]


def test_a_node_is_known_after_its_salt_key_was_deleted(tmp_path):
    master = build(tmp_path, "'*': {}")
    register(master, "a")
    (tmp_path / "minions" / "a").unlink()
    assert master.networks_of("a") == ["net"]


def test_a_node_that_was_revoked_before_it_ever_registered_is_known(tmp_path):
    master = build(tmp_path, "'*': {}")
    master.registry.revoke("net", "a", "alice", "")
    (tmp_path / "minions" / "a").unlink()
    assert master.networks_of("a") == ["net"]


# --- revoking


def test_who_revokes_a_second_time_changes_neither_the_reason_nor_the_history(tmp_path):
    registry = build(tmp_path, "'*': {}").registry
    registry.revoke("net", "a", "alice", "stolen")
    before = registry.snapshot(), registry.history()
    registry.revoke("net", "a", "bob", "")
    registry.revoke("net", "a", "bob", "stolen")
    assert (registry.snapshot(), registry.history()) == before


def test_another_reason_replaces_the_first_and_is_in_the_history(tmp_path):
    master = build(tmp_path, "'*': {}")
    master.registry.revoke("net", "a", "alice", "stolen")
    master.registry.revoke("net", "a", "bob", "and sold")
    assert whats(master, "a") == [("revoked", "alice", "stolen"), ("revoked", "bob", "and sold")]


# --- rotations that broke off


def test_a_node_with_an_announced_key_is_not_in_sync_so_that_a_reconcile_asks_it(tmp_path):
    master = build(tmp_path, "'*': {}")
    register(master, "a")
    register(master, "b")
    announce(master, "a")
    catch_up(master, 1)
    assert reasons(master) == {"a": UNFINISHED, "b": None}


def test_it_is_in_sync_again_once_it_registered_the_new_key(tmp_path):
    master = build(tmp_path, "'*': {}")
    register(master, "a")
    announce(master, "a")
    catch_up(master, 1)
    register(master, "a", 2, key="next")
    catch_up(master, 2)
    assert reasons(master)["a"] is None


def test_it_is_in_sync_again_once_the_announcement_is_forgotten(tmp_path):
    master = build(tmp_path, "'*': {}")
    register(master, "a")
    announce(master, "a")
    catch_up(master, 1)
    master.registry.forget_announced("net", "a")
    assert reasons(master)["a"] is None


def test_the_history_says_who_wanted_a_rotation_and_that_it_failed(tmp_path):
    master = build(tmp_path, "'*': {}")
    register(master, "a")
    announce(master, "a")
    master.registry.note_failed_rotation("net", "a", "alice", "it does not answer")
    assert whats(master, "a")[1:] == [
        ("rotating", "alice", "salt-run wireguard.rotate"),
        ("rotation_failed", "alice", "it does not answer"),
    ]


def test_a_node_whose_rotation_failed_lets_others_go_first_for_a_while(tmp_path):
    master = build(tmp_path, "'*': {}", "rotate_every: 30d")
    register(master, "a")
    register(master, "b")
    catch_up(master, 1)
    with sqlite3.connect(master.registry.path) as connection:
        connection.execute("UPDATE node SET keyed = keyed - ?", [31 * DAY])
        connection.execute("UPDATE generation SET value = value + 1")
    now = time.time()
    assert sorted(node for _, node in master.due_for_rotation(now)) == ["a", "b"]
    master.registry.note_failed_rotation("net", "a", "master", "it does not answer")
    assert master.due_for_rotation(now) == [("net", "b")]
    assert len(master.due_for_rotation(now + ROTATE_AGAIN_SECONDS + 60)) == 2


def test_a_key_that_waits_for_admission_is_no_row_yet(tmp_path):
    registry = build(tmp_path, "'*': {}", "admit: manual").registry
    registry.register(registration("a"), "salt key of a", network(extra="admit: manual"), {"a"})
    assert dict(registry.snapshot().rows) == {}
    assert registry.snapshot().waiting["net", "a"].question == "admit"
