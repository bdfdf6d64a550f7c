"""A change of peers is told to the others by one job, without a pillar, where that leads to what they should have."""

import json

import pytest

from answering import Fleet, serials
from factories import mesh_text, public_key, registration
from saltext.wireguard.master import deltas
from saltext.wireguard.model.statements import REGISTER_TAG
from saltext.wireguard.rollout.staged import Stages

DELTA, SYNC = "wireguard.delta", "wireguard.sync"


@pytest.fixture
def fleet(tmp_path):
    return Fleet(tmp_path, "abcd")


def join(fleet, node="e"):
    """A node that has just applied its first view."""
    fleet.accept(node)
    fleet.register(node)
    fleet.views[node] = fleet.master.moment().views(node)["net"]
    (signed,) = fleet._report(node)["wireguard/report"]
    fleet.hear(signed)


def with_mesh(tmp_path, **settings):
    made = Fleet(tmp_path, "abcd")
    made.mesh.write_text(mesh_text("'*': {}", **settings))
    made.reconcile()
    made.forget()
    return made


def test_a_node_that_joins_is_told_to_the_others_by_one_job(fleet):
    join(fleet)
    said = fleet.reconcile()
    assert fleet.functions == [(DELTA, ["a", "b", "c", "d"])]
    assert (said["confirmed"], said["failed"], said["silent"]) == (["a", "b", "c", "d"], {}, [])
    assert fleet.has("a") == ["b", "c", "d", "e"]


def test_the_job_has_the_new_peer_alone_and_the_generation_of_the_registry(fleet):
    join(fleet)
    fleet.reconcile()
    ((_, _, (drop, words, signed)),) = fleet.jobs
    assert (drop, signed) == ({}, "signed=True")
    assert words["peers"]["net"].keys() == {"e"}
    assert words["peers"]["net"]["e"]["public_key"] == public_key("e")
    assert words["generation"] >= fleet.master.registry.snapshot().generation


@pytest.mark.parametrize(
    "changes",
    [
        {"endpoints": ("192.0.2.77",)},
        {"public_key": public_key("another")},
        {"port": 4000, "endpoints": ("192.0.2.8",)},
    ],
    ids=["endpoint", "key", "port"],
)
def test_what_changed_of_a_node_is_told_to_the_others(fleet, changes):
    fleet.keys["d"] = "another" if "public_key" in changes else "d"
    fleet.say(REGISTER_TAG, registration("d", next(serials), **{"public_key": public_key("d"), **changes}))
    said = fleet.reconcile()
    assert [names for function, names in fleet.functions if function == DELTA] == [["a", "b", "c"]]
    assert {name for function, names in fleet.functions if function == SYNC for name in names} <= {"d"}
    assert (said["failed"], said["silent"]) == ({}, [])


def test_one_job_tells_who_came_and_who_left(fleet):
    join(fleet)
    fleet.master.registry.admissions.revoke("net", "d", "alice", "")
    said = fleet.reconcile()
    told = [
        (drop, words.get("peers", {}).get("net", {}).keys())
        for function, nodes, (drop, words, _) in fleet.jobs
        if "a" in nodes
    ]
    assert told == [({"net": [public_key("d")]}, {"e"})]
    assert fleet.has("a") == ["b", "c", "e"]
    assert said["silent"] == []


def test_a_job_never_has_more_than_what_all_minions_may_know(tmp_path):
    """Salt publishes a job to all minions: with links, not every node may know every other."""
    for number, settings in enumerate(
        ({"extra": "links: [['*', '*']]"}, {"extra": "preshared_keys: true"}, {"extra": "hosts: true"})
    ):
        directory = tmp_path / str(number)
        directory.mkdir()
        fleet = with_mesh(directory, **settings)
        join(fleet)
        fleet.reconcile()
        assert {function for function, _ in fleet.functions} == {SYNC}
        assert public_key("e") not in json.dumps([arguments for _, _, arguments in fleet.jobs])


def test_a_node_that_has_something_else_syncs(fleet):
    fleet.views["a"] = fleet.views["b"]
    (signed,) = fleet._report("a")["wireguard/report"]
    fleet.hear(signed)
    join(fleet)
    fleet.reconcile()
    assert sorted(fleet.functions) == [(DELTA, ["b", "c", "d"]), (SYNC, ["a"])]


def test_a_node_that_does_not_come_to_it_syncs(fleet):
    """The device, not the job, is what counts: another digest than the wanted one is followed by a pillar."""
    fleet.views["a"] = fleet.views["b"]  # as if somebody had put that back since its last report
    join(fleet)
    said = fleet.reconcile()
    assert fleet.functions == [(DELTA, ["a", "b", "c", "d"]), (SYNC, ["a"])]
    assert said["confirmed"] == ["a", "b", "c", "d"]


def test_a_minion_whose_modules_are_too_old_for_it_syncs(fleet):
    fleet.old.add("b")
    join(fleet)
    said = fleet.reconcile()
    assert fleet.functions == [(DELTA, ["a", "b", "c", "d"]), (SYNC, ["b"])]
    assert (said["failed"], said["silent"]) == ({}, [])


def test_a_node_that_was_silent_syncs_with_the_next_reconcile(fleet):
    fleet.off.add("a")
    join(fleet)
    assert fleet.reconcile()["silent"] == ["a"]
    fleet.off.clear()
    fleet.forget()
    assert fleet.reconcile()["confirmed"] == ["a"]
    assert fleet.functions == [(SYNC, ["a"])]


def test_a_process_that_does_not_know_what_the_nodes_had_has_them_sync(fleet):
    deltas._earlier.clear()
    join(fleet)
    assert fleet.reconcile()["confirmed"] == ["a", "b", "c", "d"]
    assert fleet.functions == [(SYNC, ["a", "b", "c", "d"])]


def test_who_joins_while_the_others_are_told_is_told_by_another_job(fleet):
    join(fleet)
    fleet.on_publish = lambda: (setattr(fleet, "on_publish", lambda: None), join(fleet, "f"))
    fleet.reconcile()
    assert {function for function, _ in fleet.functions} == {DELTA}
    assert fleet.has("a") == ["b", "c", "d", "e", "f"]


def test_a_peer_whose_endpoint_is_a_name_comes_by_the_pillar_which_has_the_schedule_to_look_it_up(fleet):
    fleet.mesh.write_text(mesh_text("'*': {}, d: {endpoint: d.example.com}"))
    fleet.reconcile()
    assert {function for function, _ in fleet.functions} == {SYNC}


def test_what_changes_the_interface_itself_comes_by_the_pillar(fleet):
    fleet.change_everybody()
    fleet.reconcile()
    assert fleet.functions == [(SYNC, ["a", "b", "c", "d"])]


@pytest.mark.parametrize(
    "careful",
    [{"stages": Stages(batch=2)}, {"forced": ("alice", "")}, {"suspects": "*"}],
    ids=["stages", "forced", "all"],
)
def test_an_operator_who_is_careful_has_them_sync(fleet, careful):
    join(fleet)
    fleet.reconcile(**careful)
    assert {function for function, _ in fleet.functions} == {SYNC}


def test_more_peers_than_a_job_should_carry_come_by_the_pillar(fleet, monkeypatch):
    monkeypatch.setattr("saltext.wireguard.fleet.steps.MOST_PEERS", 1)
    join(fleet)
    join(fleet, "f")
    fleet.reconcile()
    assert DELTA not in {function for function, names in fleet.functions if "a" in names}


def test_of_many_different_changes_those_that_concern_few_come_by_the_pillar(fleet, monkeypatch):
    monkeypatch.setattr(deltas, "MOST_JOBS", 0)
    join(fleet)
    fleet.reconcile()
    assert {function for function, _ in fleet.functions} == {SYNC}


def test_a_delta_is_no_work_for_the_master_so_all_are_asked_at_once(fleet, monkeypatch):
    monkeypatch.setattr("saltext.wireguard.rollout.reconcile.WINDOW", 2)
    join(fleet)
    fleet.reconcile()
    assert fleet.functions == [(DELTA, ["a", "b", "c", "d"])]


def test_a_node_in_two_networks_is_told_of_both_by_one_job(fleet):
    fleet.mesh.write_text(
        mesh_text("'*': {}")
        + "  two:\n    subnets: [10.43.0.0/24]\n    interface: wg1\n    port: 51821\n    nodes: {z: {}}\n"
    )
    fleet.reconcile()
    fleet.forget()
    join(fleet)
    fleet.reconcile()
    assert fleet.functions == [(DELTA, ["a", "b", "c", "d"])]
