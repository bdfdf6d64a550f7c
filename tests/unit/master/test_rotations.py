"""Rotations that are due, that broke off, and that of the secret of preshared keys."""

import sqlite3
import time
from dataclasses import replace

import pytest

from factories import accept, master_of, public_key, registration, salt_key
from saltext.wireguard.errors import ConfigError, RefusedError
from saltext.wireguard.master.intake import announce
from saltext.wireguard.master.rotations import ROTATE_AGAIN_SECONDS, due_for_rotation, renew_secret
from saltext.wireguard.master.status import UNFINISHED
from saltext.wireguard.model import statements
from saltext.wireguard.model.statements import Report, Rotation
from speaking import reasons, says, want_preshared_keys

DAY = 86400.0


def build(tmp_path, nodes, extra=""):
    """A master of two accepted minions."""
    made = master_of(tmp_path, nodes, extra)
    for name in "ab":
        accept(made, name)
    return made


def register(master, node, serial=1, key=None):
    assert says(master, registration(node, serial, public_key=public_key(key or node)))


def catch_up(master, serial):
    """Everybody applies and reports what it must have."""
    for (name, node), digest in master.moment().fleet().digests().items():
        assert says(master, Report(node, name, digest, serial))


def announces(master, node, serial=1, next_key="next"):
    statement = Rotation(node, "net", public_key(node), public_key(next_key), serial)
    signed = statements.sign(statement, salt_key(node).private_pem)
    assert announce(master, signed, ("net", node), "alice", "salt-run wireguard.rotate")


def whats(master, node):
    return [(entry.what, entry.who, entry.why) for entry in master.registry.audit.history(node)]


def test_a_node_with_an_announced_key_is_not_in_sync_so_that_a_reconcile_asks_it(tmp_path):
    master = build(tmp_path, "'*': {}")
    register(master, "a")
    register(master, "b")
    announces(master, "a")
    catch_up(master, 1)
    assert reasons(master) == {"a": UNFINISHED, "b": None}


def test_it_is_in_sync_again_once_it_registered_the_new_key(tmp_path):
    master = build(tmp_path, "'*': {}")
    register(master, "a")
    announces(master, "a")
    catch_up(master, 1)
    register(master, "a", 2, key="next")
    catch_up(master, 2)
    assert reasons(master)["a"] is None


def test_it_is_in_sync_again_once_the_announcement_is_forgotten(tmp_path):
    master = build(tmp_path, "'*': {}")
    register(master, "a")
    announces(master, "a")
    catch_up(master, 1)
    master.registry.forget_announced("net", "a")
    assert reasons(master)["a"] is None


def test_the_history_says_who_wanted_a_rotation_and_that_it_failed(tmp_path):
    master = build(tmp_path, "'*': {}")
    register(master, "a")
    announces(master, "a")
    master.registry.audit.note_failed_rotation("net", "a", "alice", "it does not answer")
    assert whats(master, "a")[1:] == [
        ("rotating", "alice", "salt-run wireguard.rotate"),
        ("rotation_failed", "alice", "it does not answer"),
    ]


def test_a_node_whose_rotation_failed_lets_others_go_first_for_a_while(tmp_path):
    master = build(tmp_path, "'*': {}", "rotate_every: 30d")
    register(master, "a")
    register(master, "b")
    catch_up(master, 1)
    with sqlite3.connect(master.registry.place) as connection:
        connection.execute("UPDATE node SET keyed = keyed - ?", [31 * DAY])
        connection.execute("UPDATE generation SET value = value + 1")
    assert sorted(node for _, node in due_for_rotation(master.moment())) == ["a", "b"]
    master.registry.audit.note_failed_rotation("net", "a", "master", "it does not answer")
    assert due_for_rotation(master.moment()) == [("net", "b")]
    later = replace(master.moment(), now=time.time() + ROTATE_AGAIN_SECONDS + 60)
    assert len(due_for_rotation(later)) == 2


def test_a_renewed_secret_makes_every_node_out_of_date(master):
    says(master, registration("a"))
    want_preshared_keys(master)
    before = master.moment().fleet().digests()
    assert master.moment().fleet().digests() == before
    renew_secret(master, "me", "an administrator left")
    assert master.moment().fleet().digests() != before
    last = master.registry.audit.history()[-1]
    assert (last.node, last.what, last.who, last.why) == ("a", "preshared", "me", "an administrator left")


def test_a_secret_that_nobody_uses_is_not_renewed(master):
    with pytest.raises(ConfigError, match=r"no network of .* has `preshared_keys: true`"):
        renew_secret(master, "me", "")


# --- answers of others


def signed_by(node, *, network="net", next_key="next", author=None):
    statement = Rotation(author or node, network, public_key(author or node), public_key(next_key), 1)
    return statements.sign(statement, salt_key(node).private_pem)


def test_an_announcement_of_another_than_the_one_asked_is_refused(tmp_path):
    """
    Whoever answered in a's place with its own announcement got its own key changed, and `rekey: manual` asked nobody:
    a key that was announced needs no decision.
    """
    master = build(tmp_path, "'*': {}", "rekey: manual")
    register(master, "a")
    register(master, "b")
    before = master.registry.snapshot()
    with pytest.raises(RefusedError, match="it is an announcement of b for network net, and a was asked"):
        announce(master, signed_by("b"), ("net", "a"), "alice", "")
    with pytest.raises(RefusedError, match="signature was not made with the accepted Salt key of a"):
        announce(master, signed_by("b", author="a"), ("net", "a"), "alice", "")
    assert master.registry.snapshot() is before


def test_an_announcement_for_another_network_than_the_one_asked_for_is_refused(tmp_path):
    master = build(tmp_path, "'*': {}")
    register(master, "a")
    with pytest.raises(RefusedError, match="it is an announcement of a for network other, and a was asked"):
        announce(master, signed_by("a", network="other"), ("net", "a"), "alice", "")


def test_an_announcement_of_the_key_of_another_node_puts_nobody_out(tmp_path):
    """It deleted the row of the other node, which was out, and was refused as a clone when it registered again."""
    master = build(tmp_path, "'*': {}")
    register(master, "a")
    register(master, "b")
    with pytest.raises(RefusedError, match="already that of b in network net"):
        announce(master, signed_by("a", next_key="b"), ("net", "a"), "alice", "")
    assert reasons(master).keys() == {"a", "b"}
    assert [peer.name for peer in master.moment().fleet().views("a")["net"].peers] == ["b"]


@pytest.mark.parametrize("answer", [None, {}, [], "signed", {"statement": "{}"}, {"statement": "["}])
def test_an_announcement_that_makes_no_sense_is_refused(tmp_path, answer):
    with pytest.raises(RefusedError, match=r"it is an announcement of \? for network \?"):
        announce(build(tmp_path, "'*': {}"), answer, ("net", "a"), "alice", "")
