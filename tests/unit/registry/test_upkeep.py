"""A registry as a whole: what it is, backups, and its way from one database to another."""

import json
import os
import stat
from pathlib import Path

import pytest

from databases import PLACES, execute, needs_postgresql
from factories import membership, network, registration
from registering import everybody, whats
from saltext.wireguard.errors import ConfigError, RefusedError, RegistryError
from saltext.wireguard.registry.admission import REVOKED
from saltext.wireguard.registry.registry import Registry, database_at
from saltext.wireguard.registry.schema import TABLE_NAMES

WAYS = [
    pytest.param(*(each.values[0] for each in pair), id=f"{pair[0].id} to {pair[1].id}", marks=needs_postgresql)
    for pair in [(PLACES[0], PLACES[0]), (PLACES[0], PLACES[1]), (PLACES[1], PLACES[0]), (PLACES[1], PLACES[1])]
]


@pytest.fixture(params=PLACES)
def registry(request, tmp_path):
    return filled(Registry(request.param(tmp_path), str(tmp_path / "state")))


def register(registry, node, serial=1, **changes):
    return registry.register(
        registration(node, serial, **changes), f"salt key of {node}", membership(network(), everybody())
    )


def filled(registry):
    for node in "abc":
        register(registry, node)
    registry.audit.note_members("net", "abc", lambda node: "")
    registry.admissions.revoke("net", "c", "alice", "stolen")
    registry.audit.refuse("net", "d", "it is a stranger", "stranger")
    return registry


def content(registry):
    return {table: sorted(execute_read(registry, table), key=str) for table in TABLE_NAMES if table != "generation"}


def execute_read(registry, table):
    return registry._store.all(f"SELECT * FROM {table}")


# --- what it is


def test_the_facts_of_a_registry(registry):
    facts = registry.upkeep.facts()
    assert facts.nodes == 3
    assert facts.history == len(registry.audit.history(limit=1000))
    assert facts.generation == registry.snapshot().generation
    assert facts.bytes > 1000
    assert facts.seconds > 0
    assert facts.moved_to is None
    assert facts.software.split()[0] in ("SQLite", "PostgreSQL")


@pytest.mark.parametrize("place", PLACES)
def test_a_registry_that_is_not_there_has_none(place, tmp_path):
    assert Registry(place(tmp_path)).upkeep.facts() is None


# --- its way to another database


@pytest.mark.parametrize(("here", "there"), WAYS)
def test_a_registry_moves_with_all_that_is_in_it(here, there, tmp_path):
    (tmp_path / "new").mkdir()
    old = filled(Registry(here(tmp_path), str(tmp_path / "state")))
    place = there(tmp_path / "new")
    before, generation = content(old), old.snapshot().generation
    old.upkeep.move_to(database_at(place))
    new = Registry(place, str(tmp_path / "state"))
    assert content(new) == before
    assert new.snapshot().generation > generation
    assert new.snapshot().rows == old.snapshot().rows
    register(new, "d")
    assert whats(new, "d")[-1] == "registered"
    assert [each.id for each in new.audit.history(limit=1000)] == [*range(1, new.upkeep.facts().history + 1)]


def test_a_registry_that_was_moved_can_be_read_and_not_changed(registry, tmp_path):
    """What a master wrote that was not restarted yet would be lost, and an address given twice."""
    target = database_at(str(tmp_path / "elsewhere" / "registry.db"))
    registry.upkeep.move_to(target)
    assert set(registry.snapshot().rows) == {("net", node) for node in "abc"}
    assert registry.upkeep.facts().moved_to == target.place
    for change in (
        lambda: register(registry, "d"),
        lambda: registry.settle(membership(network(), "ab")),
        lambda: registry.admissions.revoke("net", "a", "alice", ""),
    ):
        with pytest.raises(RegistryError, match=f"was moved to {target.place}: write `registry: {target.place}` into"):
            change()


def test_a_registry_can_move_back(registry, tmp_path):
    target = Registry(str(tmp_path / "elsewhere" / "registry.db"), str(tmp_path / "state"))
    registry.upkeep.move_to(target._store)
    register(target, "d")
    target.upkeep.move_to(registry._store)
    register(registry, "e")
    assert {node for _, node in registry.snapshot().rows} == set("abcde")


def test_a_registry_moves_to_no_place_that_has_one(registry, tmp_path):
    other = filled(Registry(str(tmp_path / "elsewhere" / "registry.db")))
    before = content(other)
    with pytest.raises(RegistryError, match="has a registry already: remove it"):
        registry.upkeep.move_to(other._store)
    assert content(other) == before
    register(registry, "d")


def test_a_registry_does_not_move_to_where_it_is(registry):
    with pytest.raises(ConfigError, match="already"):
        registry.upkeep.move_to(registry._store)
    assert content(registry)["moved"] == []


# --- backup and restore


@pytest.fixture
def backup(registry, tmp_path):
    path = str(tmp_path / "backup")
    registry.upkeep.back_up(path, "the secret of preshared keys")
    return path


def test_a_backup_is_one_file_for_root_only(registry, backup, tmp_path):
    assert stat.S_IMODE(os.stat(backup).st_mode) == 0o600
    assert [each for each in os.listdir(tmp_path) if "backup" in each] == ["backup"]


def test_a_backup_has_the_secret_only_by_choice(registry, backup, tmp_path):
    registry.upkeep.back_up(str(tmp_path / "without"), None)
    assert b"the secret of preshared keys" in Path(backup).read_bytes()
    assert b"the secret of preshared keys" not in (tmp_path / "without").read_bytes()


@pytest.mark.parametrize("name", ["relative", "{}/backup", "{}/missing/backup"])
def test_a_backup_overwrites_nothing_and_makes_no_directory(registry, backup, tmp_path, name):
    before = Path(backup).read_bytes()
    with pytest.raises(ConfigError):
        registry.upkeep.back_up(name.format(tmp_path), None)
    assert Path(backup).read_bytes() == before
    assert not (tmp_path / "missing").exists()


def test_what_a_killed_backup_left_behind_is_in_nobodys_way(registry, tmp_path):
    (tmp_path / ".later.unfinished").write_text("half")
    registry.upkeep.back_up(str(tmp_path / "later"), None)
    assert not (tmp_path / ".later.unfinished").exists()


@pytest.mark.parametrize("place", PLACES)
def test_there_is_no_backup_of_a_registry_that_is_not_there(place, tmp_path):
    with pytest.raises(RegistryError, match="no node has registered"):
        Registry(place(tmp_path), str(tmp_path)).upkeep.back_up(str(tmp_path / "backup"), None)
    assert not (tmp_path / "backup").exists()


def test_a_lost_registry_is_restored_with_its_denials_and_the_secret(backup, tmp_path):
    for number, place in enumerate(PLACES):
        (tmp_path / str(number)).mkdir()
        other = Registry(place.values[0](tmp_path / str(number)), str(tmp_path / f"other {number}"))
        assert other.upkeep.older(backup) == [("net", node) for node in "abc"]
        assert other.upkeep.restore(backup) == "the secret of preshared keys"
        assert other.standings()["net", "c"].state == REVOKED
        assert {node: row.addresses for (_, node), row in other.snapshot().rows.items()}.keys() == set("abc")
        execute(other, "DELETE FROM standing")
        assert other.standings()["net", "c"].state == REVOKED


def test_what_came_after_the_backup_is_named_and_a_restore_takes_it_back(registry, backup):
    register(registry, "d")
    register(registry, "a", 2, public_key=registration("e").public_key)
    assert registry.upkeep.older(backup) == [("net", "a"), ("net", "d")]
    generation = registry.snapshot().generation
    registry.upkeep.restore(backup)
    assert registry.upkeep.older(backup) == []
    assert {node for _, node in registry.snapshot().rows} == set("abc")
    assert registry.snapshot().generation > generation


def test_who_was_revoked_since_the_backup_stays_out(registry, backup):
    registry.admissions.revoke("net", "a", "alice", "stolen")
    registry.upkeep.restore(backup)
    assert registry.standings()["net", "a"].state == REVOKED
    assert ("net", "a") in registry.snapshot().unrecorded


def test_what_was_heard_since_the_backup_cannot_be_heard_again(registry, backup):
    """A statement from before the restore could have been replayed."""
    register(registry, "a", 7)
    registry.upkeep.restore(backup)
    with pytest.raises(RefusedError, match="serial 6 is not newer than 7"):
        register(registry, "a", 6)


def test_a_copy_of_the_file_alone_can_be_restored(tmp_path):
    registry = filled(Registry(str(tmp_path / "registry.db")))
    copy = tmp_path / "copy.db"
    copy.write_bytes((tmp_path / "registry.db").read_bytes())
    register(registry, "d")
    assert registry.upkeep.restore(str(copy)) is None
    assert {node for _, node in registry.snapshot().rows} == set("abc")


@pytest.mark.parametrize("damage", ["nothing", "text", "cut", "later"])
def test_a_backup_that_cannot_be_read_replaces_nothing(registry, backup, damage):
    whole = Path(backup).read_bytes()
    before = content(registry)
    if damage == "nothing":
        os.unlink(backup)
    elif damage == "later":
        execute(Registry(backup), "PRAGMA user_version = 99")
    else:
        Path(backup).write_bytes({"text": b"no database" * 999, "cut": whole[: len(whole) // 2]}[damage])
    with pytest.raises((ConfigError, RegistryError)):
        registry.upkeep.restore(backup)
    assert content(registry) == before


def test_a_moved_registry_can_be_replaced_by_a_backup(registry, backup, tmp_path):
    registry.upkeep.move_to(database_at(str(tmp_path / "elsewhere" / "registry.db")))
    registry.upkeep.restore(backup)
    register(registry, "d")
    assert json.loads(json.dumps(registry.upkeep.facts().moved_to)) is None
