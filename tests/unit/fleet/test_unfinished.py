"""A mesh file that somebody is still writing removes nobody: most of what a cut leaves of a file is valid."""

import os
import time

import pytest

from answering import Fleet as Nodes
from factories import accepted, mesh_text, row
from saltext.wireguard.errors import LossError, MeshError
from saltext.wireguard.fleet import losses
from saltext.wireguard.fleet.fleet import Fleet
from saltext.wireguard.master import settling
from saltext.wireguard.master.settling import settle
from saltext.wireguard.meshfile.load import load_mesh
from saltext.wireguard.registry.rows import Snapshot

NODES = [f"web{number}" for number in range(1, 9)] + ["db1", "db2"]
TEXT = """\
networks:
  backbone:
    subnets: [10.42.0.0/16]
    keepalive: 30
    nodes:
      'web*': {groups: [web]}
      db1:
        groups: [db]
        endpoint: db1.example.com
      db2: {groups: [db]}
    links:
      - [web, db]
  second:
    interface: wg1
    port: 51821
    subnets: [10.43.0.0/16]
    nodes:
      'db*': {}
      web1: {}
"""
NOTED = {"backbone": frozenset(NODES), "second": frozenset({"db1", "db2", "web1"})}


@pytest.fixture(autouse=True)
def slow_copies(monkeypatch, mesh_files_are_complete):
    monkeypatch.setattr(losses, "SETTLE_SECONDS", 2.0)
    monkeypatch.setattr(losses, "SETTLE_SECONDS_FOR_MANY", 10.0)


def joined(path, seconds):
    """The fleet so long after the file was last changed; None for an invalid file."""
    rows = {("backbone", node): row(node, network="backbone") for node in NODES}
    try:
        mesh = load_mesh(str(path))
    except MeshError:
        return None
    return Fleet(mesh, Snapshot(rows=rows, noted=NOTED), accepted(*NODES), mesh.changed_at + seconds)


def lost(fleet):
    networks = {name: fleet.mesh.network(name) for name in NOTED}
    return {
        (name, node)
        for name, noted in NOTED.items()
        for node in noted
        if networks[name] is None or networks[name].settings(node) is None
    }


def held(fleet):
    return {(each.network, node) for each in fleet.unfinished for node in each.unlisted}


def test_no_cut_of_a_mesh_file_removes_a_node_while_it_may_still_be_written(tmp_path):
    """A slow copy was acted on within a second: of 606 cuts of a file, 50 removed nodes without a word."""
    path = tmp_path / "mesh.yml"
    valid_and_lossy = 0
    for cut in range(len(TEXT)):
        path.write_text(TEXT[:cut])
        fleet = joined(path, 1.0)
        if fleet and lost(fleet):
            valid_and_lossy += 1
            assert held(fleet) == lost(fleet), TEXT[:cut]
            assert all(fleet.losses_of(node) for _, node in lost(fleet))
    assert valid_and_lossy > 20


def test_what_was_cut_off_within_a_line_removes_nobody_however_old_it_is(tmp_path):
    path = tmp_path / "mesh.yml"
    for cut in range(len(TEXT)):
        path.write_text(TEXT[:cut])
        fleet = joined(path, 3600.0)
        if fleet and not TEXT[:cut].endswith("\n"):
            assert held(fleet) == lost(fleet), TEXT[:cut]


@pytest.mark.parametrize(("gone", "seconds"), [("      db2", 2.0), ("      'web*'|    links|      - ", 10.0)])
def test_a_file_that_was_left_alone_counts_as_it_is_and_one_that_removes_many_later(tmp_path, gone, seconds):
    path = tmp_path / "mesh.yml"
    path.write_text("".join(line for line in TEXT.splitlines(True) if not line.startswith(tuple(gone.split("|")))))
    assert held(joined(path, seconds - 0.1))
    assert joined(path, seconds - 0.1).valid_until == pytest.approx(load_mesh(str(path)).changed_at + seconds)
    assert not held(joined(path, seconds + 0.1))


def test_a_file_that_removes_nobody_counts_at_once(tmp_path):
    path = tmp_path / "mesh.yml"
    path.write_text(TEXT + "# and no line break at the end")
    assert not joined(path, 0.0).unfinished


def test_a_clock_that_is_wrong_holds_nothing_up_for_long(tmp_path):
    path = tmp_path / "mesh.yml"
    path.write_text(TEXT.replace("      db2: {groups: [db]}\n", ""))
    os.utime(path, (time.time() + 3600, time.time() + 3600))
    assert not joined(path, -3600.0).unfinished


# -- what follows


@pytest.fixture
def nodes(tmp_path):
    return Nodes(tmp_path, "abcd")


def test_nobody_is_told_and_nothing_is_noted_before_the_file_has_settled(nodes):
    before = nodes.master.registry.audit.history()
    nodes.mesh.write_text(mesh_text("a: {}, b: {}, c: {}"))
    with pytest.raises(LossError, match=r"would lose 1 node, and the mesh file was changed a moment ago.* d\. In a mo"):
        settle(nodes.master)
    with pytest.raises(LossError, match="changed a moment ago") as caught:
        nodes.master.moment().views("a")
    assert " d" not in str(caught.value)
    assert nodes.master.registry.audit.history() == before
    os.utime(nodes.mesh, (time.time() - 3, time.time() - 3))
    assert settle(nodes.master)["net"]


def test_a_reconcile_waits_until_the_file_has_settled(nodes, monkeypatch):
    slept = []

    def sleep(seconds):
        slept.append(seconds)
        os.utime(nodes.mesh, (time.time() - 3, time.time() - 3))

    monkeypatch.setattr(settling.time, "sleep", sleep)
    nodes.mesh.write_text(mesh_text("a: {}, b: {}, c: {}"))
    nodes.reconcile()
    assert slept
    assert "d" not in nodes.has("a")


def test_an_operator_who_forces_does_not_wait(nodes):
    nodes.mesh.write_text(mesh_text("a: {}, b: {}, c: {}").rstrip())
    assert settle(nodes.master, ("alice", "I wrote it"))["net"]
