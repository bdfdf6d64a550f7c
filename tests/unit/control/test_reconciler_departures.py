"""Nodes drop those that left when they are asked to, without a pillar, and sync only where that was not all."""

from dataclasses import replace

import pytest
import salt.utils.args

from answering import Fleet
from factories import mesh_text, public_key
from saltext.wireguard.fleet.steps import MOST_PEERS
from saltext.wireguard.master.settling import settle
from saltext.wireguard.rollout.staged import Stages

DROP, SYNC = "wireguard.delta", "wireguard.sync"
ALL = ["a", "b", "c", "d"]


@pytest.fixture
def fleet(tmp_path):
    return Fleet(tmp_path, "abcd")


def write_mesh(fleet, nodes):
    fleet.mesh.write_text(mesh_text(nodes))


def revoke(fleet, node="d"):
    fleet.master.registry.admissions.revoke("net", node, "alice", "")


@pytest.mark.parametrize(
    "leave",
    [
        revoke,
        lambda fleet: write_mesh(fleet, "a: {}, b: {}, c: {}"),
        lambda fleet: write_mesh(fleet, "'*': {}, d: {expires: 2001-01-01}"),
    ],
    ids=["revoked", "taken out of the mesh file", "expired"],
)
def test_the_others_drop_who_left_and_that_one_takes_its_interface_down_all_without_a_pillar(fleet, leave):
    leave(fleet)
    said = fleet.reconcile()
    assert fleet.functions == [(DROP, ALL)]
    assert (said["confirmed"], said["failed"], said["silent"]) == (ALL, {}, [])
    assert (fleet.has("a"), fleet.views["d"]) == (["b", "c"], None)


def test_a_node_without_a_salt_key_cannot_be_asked(fleet):
    fleet.delete_salt_key("d")
    assert fleet.reconcile()["confirmed"] == ["a", "b", "c"]
    assert fleet.functions == [(DROP, ["a", "b", "c"])]


def test_who_missed_something_else_syncs_after_the_drop(fleet):
    fleet.views["a"] = fleet.views["b"]  # as if somebody had put back what it had last year
    revoke(fleet)
    said = fleet.reconcile()
    assert fleet.functions == [(DROP, ALL), (SYNC, ["a"])]
    assert said["confirmed"] == ALL
    assert fleet.has("a") == ["b", "c"]


def test_when_more_changed_all_drop_first_and_sync_then(fleet):
    write_mesh(fleet, "a: {}, b: {}, c: {endpoint: c.example.com}")
    said = fleet.reconcile()
    assert fleet.functions == [(DROP, ALL), (SYNC, ["a", "b"])]
    assert said["confirmed"] == ALL


def test_who_was_out_of_date_already_syncs(fleet):
    fleet.off.add("a")
    fleet.register("c", endpoints=("192.0.2.7",))
    fleet.reconcile()
    fleet.off.clear()
    fleet.forget()
    revoke(fleet)
    assert fleet.reconcile()["silent"] == []
    assert fleet.functions == [(DROP, ["b", "c", "d"]), (SYNC, ["a"])]


def test_who_left_with_a_key_that_nobody_knows_needs_its_pillar(fleet):
    fleet.views["d"] = replace(fleet.views["d"], public_key=public_key("made by hand"))
    revoke(fleet)
    assert fleet.reconcile()["confirmed"] == ALL
    assert fleet.functions == [(DROP, ALL), (SYNC, ["d"])]
    assert fleet.views["d"] is None


def test_who_is_silent_is_asked_to_sync_by_the_next_reconcile(fleet):
    fleet.off.add("a")
    revoke(fleet)
    assert fleet.reconcile()["silent"] == ["a"]
    assert fleet.functions == [(DROP, ALL)]
    fleet.off.clear()
    fleet.forget()
    assert fleet.reconcile()["confirmed"] == ["a"]
    assert fleet.functions == [(SYNC, ["a"])]


def test_a_minion_whose_modules_are_too_old_for_it_syncs_and_that_is_no_failure(fleet):
    fleet.old.add("b")
    revoke(fleet)
    said = fleet.reconcile()
    assert fleet.functions == [(DROP, ALL), (SYNC, ["b"])]
    assert (said["confirmed"], said["failed"]) == (ALL, {})


def test_more_keys_than_a_job_should_carry_are_a_sync(fleet, monkeypatch):
    monkeypatch.setattr("saltext.wireguard.control.reconciler.MOST_PEERS", 1)
    monkeypatch.setattr("saltext.wireguard.fleet.steps.MOST_PEERS", 1)
    write_mesh(fleet, "a: {}, b: {}")
    fleet.reconcile()
    assert {function for function, _ in fleet.functions} == {SYNC}


def test_an_announced_key_goes_with_its_node(fleet):
    fleet.announce("d")
    fleet.reconcile(rotating=("net", "d"))
    revoke(fleet)
    assert settle(fleet.master) == {"net": [public_key("d"), public_key("next")]}
    assert settle(fleet.master) == {}


def test_the_keys_reach_the_nodes_whole_and_fit_into_a_job():
    """Salt takes a text that ends in "=", as these keys do, for the name of an argument."""
    peers = {"net": [public_key(number) for number in range(MOST_PEERS)]}
    assert salt.utils.args.parse_input([peers, "signed=True"], condition=True)[0] == peers
    assert len(str(peers)) < 4096


@pytest.mark.parametrize("careful", [{"stages": Stages(batch=2)}, {"forced": ("alice", "")}], ids=["stages", "forced"])
def test_an_operator_who_goes_carefully_or_by_force_asks_to_sync(fleet, careful):
    revoke(fleet)
    fleet.reconcile(**careful)
    assert {function for function, _ in fleet.functions} == {SYNC}
