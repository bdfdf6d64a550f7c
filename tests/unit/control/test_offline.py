"""A plan from copies of what a master has; the registry and the keys are real."""

import shutil
import sqlite3

import pytest

from factories import accept, master_of, mesh_text, registration
from saltext.wireguard.control.offline import Copies, plan
from saltext.wireguard.errors import ConfigError
from speaking import says

NODES = "a: {}, b: {}, c: {}"


@pytest.fixture
def live(tmp_path):
    """The mesh file of a master with three registered nodes, whose registry and keys are copied."""
    master = master_of(tmp_path, NODES)
    for node in "abc":
        accept(master, node)
        says(master, registration(node))
    (tmp_path / "copy").mkdir()
    with sqlite3.connect(master.registry.place) as registry, sqlite3.connect(tmp_path / "copy/registry.db") as copied:
        registry.backup(copied)
    shutil.copytree(master.keys_dir, tmp_path / "keys")
    shutil.rmtree(master.state_dir)
    return tmp_path / "mesh.yml"


@pytest.fixture
def copies(live):
    return Copies(str(live.parent / "copy"), str(live.parent / "keys"))


def planned(copies, live, text):
    new = live.parent / "new.yml"
    new.write_text(text)
    return plan(copies, str(live), str(new))


def test_the_same_file_changes_nothing(copies, live):
    said = planned(copies, live, live.read_text())
    assert said.get("retcode", 0) == 0
    assert said["changes"] == []
    assert said["answer"].startswith("0 nodes would change; no node was asked")


def test_a_change_is_told_for_each_node_and_how_many_sessions_it_ends_is_not_known(copies, live):
    said = planned(copies, live, mesh_text("a: {}, b: {}"))
    assert said["retcode"] == 2
    gone = {(each["node"], each["subject"], each["disturbs"]) for each in said["changes"] if each["kind"] == "peer"}
    assert gone == {("a", "peer c", None), ("b", "peer c", None)}
    assert "c" in {each["node"] for each in said["changes"]}


def test_an_invalid_file_is_an_error_with_its_place(copies, live):
    said = planned(copies, live, live.read_text().replace("subnets", "subnet"))
    assert said["retcode"] == 1
    assert said["errors"][0]["where"].endswith("new.yml:2")


def test_what_only_the_registry_shows_is_an_error_too(copies, live):
    said = planned(copies, live, mesh_text(NODES, subnets="10.42.0.0/31"))
    assert said["retcode"] == 1
    assert said["errors"]


def test_a_plan_with_preshared_keys_needs_no_secret_and_writes_none(copies, live):
    live.write_text(mesh_text(NODES, extra="preshared_keys: true"))
    assert planned(copies, live, mesh_text("a: {}, b: {}", extra="preshared_keys: true"))["retcode"] == 2
    assert not list((live.parent / "copy").glob("preshared*"))


@pytest.mark.parametrize("missing", ["copy/registry.db", "keys"])
def test_a_copy_that_is_missing_is_no_empty_fleet(copies, live, missing):
    (live.parent / missing).rename(live.parent / "elsewhere")
    with pytest.raises(ConfigError, match=f"{missing} does not exist; copy it from the master"):
        planned(copies, live, mesh_text(NODES))


def test_nodegroups_are_not_known_from_copies_and_match_nobody(copies, live):
    """The live mesh file counted as invalid, though the new one with the same nodegroup was not."""
    live.write_text(mesh_text(f"{NODES}, 'N@web': {{groups: [web]}}"))
    assert planned(copies, live, live.read_text())["changes"] == []
