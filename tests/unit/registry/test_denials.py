"""Who was shut out stays so with an older registry, with a new one, and after a power cut at any point."""

import contextlib
import json
import os
import stat
import time

import pytest

from databases import PLACES, execute, sqlite_registry
from factories import membership, network, registration
from saltext.wireguard.errors import RefusedError, RegistryError
from saltext.wireguard.registry import generation
from saltext.wireguard.registry.admission import ADMITTED, REVOKED, UNDECIDED, Standing, excluded
from saltext.wireguard.registry.denials import Denials, combined
from saltext.wireguard.registry.registry import Registry

MANUAL = network(extra="admit: manual")


@pytest.fixture
def registry(tmp_path):
    return sqlite_registry(tmp_path)


def register(registry, node="a", serial=1, net=None):
    return registry.register(registration(node, serial), f"salt key of {node}", membership(net or network(), "ab"))


def take(registry):
    """A backup, as `sqlite3 .backup` makes it."""
    with open(registry.place, "rb") as handle:
        return handle.read()


def restore(registry, backup):
    """As the manual says: stop, put back, remove what belongs to the other; without a backup, a new registry."""
    for suffix in ("", "-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(registry.place + suffix)
    if backup:
        with open(registry.place, "wb") as handle:
            handle.write(backup)


def list_of(registry):
    return os.path.join(os.path.dirname(registry.place), "denials.json")


def is_out(registry, node="a"):
    return excluded(None, registry.snapshot().standings.get(("net", node)), time.time())


@pytest.mark.parametrize("lost", [True, False], ids=["new registry", "backup"])
def test_who_was_revoked_after_the_backup_is_shut_out_by_what_is_put_back(registry, lost):
    """The documented restore let every node in that was revoked since, without a word; and so did a new registry."""
    register(registry)
    backup = take(registry)
    registry.admissions.revoke("net", "a", "alice", "stolen")
    restore(registry, None if lost else backup)
    assert is_out(registry) == "revoked by alice"
    assert registry.standings()["net", "a"].why == "stolen"
    with pytest.raises(RefusedError, match="a was revoked by alice"):
        register(registry, serial=time.time_ns())
    assert is_out(registry) == "revoked by alice"
    assert set(registry.snapshot().unrecorded) == {("net", "a")}


def test_who_was_revoked_again_after_a_readmission_that_the_backup_has_is_shut_out(registry):
    register(registry)
    registry.admissions.revoke("net", "a", "alice", "stolen")
    registry.admissions.readmit("net", "a", "alice", "found")
    backup = take(registry)
    registry.admissions.revoke("net", "a", "alice", "stolen again")
    restore(registry, backup)
    assert is_out(registry)


@pytest.mark.parametrize("lost", [True, False], ids=["new registry", "backup"])
def test_a_guest_who_was_let_in_for_a_time_is_no_member_for_ever_after_a_restore(registry, lost):
    register(registry)
    backup = take(registry)
    registry.admissions.admit(membership(network(), "a"), "a", "salt key of a", "alice", expires=1000.0)
    restore(registry, None if lost else backup)
    assert is_out(registry) == "expired"


def test_the_list_lets_nobody_in(registry):
    """A guest who was admitted for a time would have been let in by a registry that knows of no admission."""
    registry.admissions.admit(membership(MANUAL, "a"), "a", "salt key of a", "alice", expires=time.time() + 3600)
    restore(registry, None)
    register(registry, serial=2, net=MANUAL)
    assert registry.snapshot().rows == {}
    assert registry.snapshot().waiting["net", "a"].question == "admit"


def test_to_readmit_takes_the_denial_back_and_a_later_restore_does_not_bring_it_again(registry):
    register(registry)
    backup = take(registry)
    registry.admissions.revoke("net", "a", "alice", "stolen")
    registry.admissions.readmit("net", "a", "bob", "found")
    restore(registry, backup)
    assert not is_out(registry)
    assert register(registry, serial=2) is False  # no news


def test_to_readmit_works_in_a_registry_that_does_not_know_of_the_revocation(registry):
    register(registry)
    backup = take(registry)
    registry.admissions.revoke("net", "a", "alice", "stolen")
    restore(registry, backup)
    registry.admissions.readmit("net", "a", "bob", "found")
    assert not is_out(registry)
    assert registry.snapshot().unrecorded == {}


def test_to_revoke_again_writes_it_into_a_registry_that_does_not_have_it(registry):
    registry.admissions.revoke("net", "a", "alice", "stolen")
    restore(registry, None)
    registry.admissions.revoke("net", "a", "bob", "")
    assert registry.snapshot().unrecorded == {}
    assert registry.snapshot().standings["net", "a"].why == "stolen"
    assert [(entry.what, entry.who) for entry in registry.audit.history()] == [("revoked", "bob")]


def test_a_list_that_was_deleted_is_made_again_by_the_next_settling(registry):
    register(registry)
    backup = take(registry)
    registry.admissions.revoke("net", "a", "alice", "stolen")
    os.unlink(list_of(registry))
    assert is_out(registry)
    registry.settle(membership(network(), "b"))
    restore(registry, backup)
    assert is_out(registry)


def test_a_registry_from_a_backup_that_still_denies_does_so(registry):
    registry.admissions.revoke("net", "a", "alice", "stolen")
    backup = take(registry)
    registry.admissions.readmit("net", "a", "alice", "")
    restore(registry, backup)
    assert is_out(registry)


@pytest.mark.parametrize("verb", ["revoke", "readmit"])
def test_a_power_cut_between_list_and_registry_shuts_out(registry, monkeypatch, verb):
    """Whichever of the two writes was the last one: the node is out, and the command can be given again."""
    register(registry)
    if verb == "readmit":
        registry.admissions.revoke("net", "a", "alice", "stolen")
    note = Denials.note

    def cut(denials, decided):
        note(denials, decided)
        raise KeyboardInterrupt  # so the transaction is not committed

    with monkeypatch.context() as patched:
        patched.setattr(Denials, "note", cut)
        with pytest.raises(KeyboardInterrupt):
            getattr(registry.admissions, verb)("net", "a", "bob", "")
    assert is_out(registry)
    getattr(registry.admissions, verb)("net", "a", "bob", "")
    assert bool(is_out(registry)) is (verb == "revoke")


@pytest.mark.parametrize("step", ["fsync", "rename"])
def test_a_disk_that_fails_while_the_list_is_written_revokes_nobody_and_says_so(registry, monkeypatch, step):
    register(registry)

    def fail(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, step, fail)
        with pytest.raises(RegistryError, match=r"list of nodes that are shut out.*No space left"):
            registry.admissions.revoke("net", "a", "alice", "stolen")
    assert not is_out(registry)
    assert [entry.what for entry in registry.audit.history()] == ["registered"]


def test_a_decision_of_one_node_leaves_those_of_others_in_the_list(registry):
    for node in "ab":
        registry.admissions.revoke("net", node, "alice", "")
    registry.admissions.readmit("net", "a", "alice", "")
    restore(registry, None)
    assert (is_out(registry, "a"), is_out(registry, "b")) == (None, "revoked by alice")


@pytest.mark.parametrize("damage", ["", "[", "{}x", '[{"network": "net"}]', '[{"node": "a"}]', "[3]", "null", '"a"'])
def test_a_damaged_list_is_an_error_and_not_an_empty_one(registry, damage):
    register(registry)
    registry.admissions.revoke("net", "a", "alice", "")
    with open(list_of(registry), "w") as handle:
        handle.write(damage)
    for look in (registry.snapshot, registry.standings, lambda: register(registry, "b")):
        with pytest.raises(RegistryError, match=r"the list of nodes that are shut out, .*denials.json, is not usable"):
            look()


def test_the_list_is_for_its_owner_only_and_can_be_read_by_a_person(registry):
    registry.admissions.revoke("net", "a", "alice", "stolen")
    assert stat.S_IMODE(os.stat(list_of(registry)).st_mode) == 0o600
    with open(list_of(registry)) as handle:
        (each,) = json.load(handle)
    assert (each["network"], each["node"], each["state"], each["who"], each["why"]) == (
        *("net", "a", "revoked", "alice"),
        "stolen",
    )
    assert sorted(os.listdir(os.path.dirname(registry.place))) == ["denials.json", "registry.db"]


def test_a_list_that_another_process_changed_gives_a_new_snapshot(registry):
    register(registry)
    before = registry.snapshot()
    Denials(list_of(registry)).note({("net", "a"): Standing(REVOKED, 1.0, "alice", "")})
    assert registry.snapshot() is not before
    assert registry.snapshot() is registry.snapshot()
    assert is_out(registry)


def test_snapshots_of_a_registry_that_is_not_there_are_the_same_object(registry):
    registry.admissions.revoke("net", "a", "alice", "")
    restore(registry, None)
    assert registry.snapshot() is registry.snapshot()


IN = Standing(ADMITTED, 1.0, "alice", "")
OUT = Standing(REVOKED, 2.0, "bob", "")
GUEST = Standing(ADMITTED, 3.0, "carol", "", 50.0)


@pytest.mark.parametrize(
    ("recorded", "denied", "state", "expires"),
    [
        (None, None, None, None),
        (IN, None, ADMITTED, None),
        (IN, OUT, REVOKED, None),
        (None, OUT, REVOKED, None),
        (OUT, OUT, REVOKED, None),
        (OUT, GUEST, REVOKED, 50.0),
        (GUEST, OUT, REVOKED, 50.0),
        (None, GUEST, UNDECIDED, 50.0),
        (IN, GUEST, ADMITTED, 50.0),
        (Standing(ADMITTED, 9.0, "dave", "", 70.0), GUEST, ADMITTED, 50.0),
    ],
)
def test_of_two_different_decisions_the_one_holds_that_denies_more(recorded, denied, state, expires):
    found = combined(recorded, denied)
    assert (found.state, found.expires) == (state, expires) if found else (state, expires) == (None, None)


# --- several masters, each with a list of its own


@pytest.fixture(params=PLACES)
def masters(request, tmp_path):
    place = request.param(tmp_path)
    return [Registry(place, str(tmp_path / name)) for name in ("master1", "master2")]


def test_a_revocation_on_one_master_holds_on_the_other_and_comes_into_its_list(masters):
    one, other = masters
    register(one)
    one.admissions.revoke("net", "a", "alice", "stolen")
    assert other.standings()["net", "a"].state == REVOKED
    other.settle(membership(network(), "b"))
    execute(other, "DELETE FROM standing")
    assert other.standings()["net", "a"].state == REVOKED


def test_what_one_master_took_back_is_taken_back_on_the_other(masters):
    """The list of the other one went on shutting the node out, and the masters had two views of the mesh."""
    one, other = masters
    register(one)
    one.admissions.revoke("net", "a", "alice", "stolen")
    other.admissions.readmit("net", "a", "bob", "found")
    assert one.standings()["net", "a"].state == ADMITTED
    assert one.snapshot().unrecorded == {}
    one.settle(membership(network(), "ab"))
    assert one._denials.read() == {}


def test_a_decision_is_later_than_what_the_list_of_its_master_has_whatever_the_clock_says(masters, monkeypatch):
    one, other = masters
    register(one)
    one.admissions.revoke("net", "a", "alice", "stolen")
    other.settle(membership(network(), "b"))
    execute(one, "DELETE FROM standing")
    execute(one, "UPDATE generation SET value = 1")
    monkeypatch.setattr(generation.time, "time_ns", lambda: 1)
    one.admissions.readmit("net", "a", "alice", "found")
    assert one.standings()["net", "a"].state == other.standings()["net", "a"].state == ADMITTED
