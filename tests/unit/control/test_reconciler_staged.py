"""A reconcile by canary and batches, with nodes that answer; and what it says in the end."""

import pytest

from answering import Fleet
from factories import public_key
from saltext.wireguard.rollout.staged import Stages


@pytest.fixture
def fleet(tmp_path):
    """Five nodes, of which none has what it must have; "b" is on the master's machine."""
    made = Fleet(tmp_path, "abcde", own_minion="b")
    made.change_everybody()
    return made


def test_the_canary_comes_first_and_the_masters_own_node_last(fleet):
    said = fleet.reconcile(stages=Stages(canary=("d",), batch=2))
    assert [nodes for _, nodes, _ in fleet.jobs] == [["d"], ["a", "c"], ["e"], ["b"]]
    assert (said["stopped"], said["not_asked"]) == (None, [])
    assert said["confirmed"] == ["a", "b", "c", "d", "e"]
    assert said["counts"] == {"confirmed": 5, "failed": 0, "silent": 0, "not_asked": 0}


def test_there_is_one_line_for_the_canary_and_for_each_batch(fleet):
    said = fleet.reconcile(stages=Stages(canary=("d",), batch=2))
    assert fleet.said == [
        "canary d ok: 1 of 5 nodes have it, 0 failed, 0 silent",
        "canary d ok; batch 1 of 3: 3 of 5 nodes have it, 0 failed, 0 silent",
        "canary d ok; batch 2 of 3: 4 of 5 nodes have it, 0 failed, 0 silent",
        "canary d ok; batch 3 of 3: 5 of 5 nodes have it, 0 failed, 0 silent",
    ]
    assert said["answer"] == fleet.said[-1]


def test_when_the_canary_fails_nobody_else_is_asked(fleet):
    fleet.broken["d"] = "no space left on device"
    said = fleet.reconcile(stages=Stages(canary=("d",)))
    assert fleet.asked == ["d"]
    assert said["failed"] == {"d": "no space left on device"}
    assert said["stopped"] == "1 failed, 0 silent; 4 not asked"
    assert said["not_asked"] == ["a", "b", "c", "e"]
    assert said["counts"] == {"confirmed": 0, "failed": 1, "silent": 0, "not_asked": 4}


def test_after_a_batch_with_too_many_failures_it_is_said_who_has_what(fleet):
    fleet.broken["c"] = "no space left on device"
    fleet.off.add("d")
    said = fleet.reconcile(stages=Stages(batch=3, stop_after=2))
    assert (said["confirmed"], list(said["failed"]), said["silent"], said["not_asked"]) == (
        ["a"],
        ["c"],
        ["d"],
        ["b", "e"],
    )


def test_the_next_reconcile_goes_on_where_it_stopped(fleet):
    fleet.broken["d"] = "no space left on device"
    fleet.reconcile(stages=Stages(canary=("a",), batch=2))
    fleet.broken.clear()
    assert fleet.reconcile()["confirmed"] == ["b", "d", "e"]


def test_where_all_are_in_sync_that_is_the_answer(fleet):
    fleet.reconcile()
    assert fleet.reconcile(stages=Stages(batch=2))["answer"] == "every node is in sync"
    assert fleet.reconcile(stages=Stages(canary=("a",)))["answer"] == "canary a in sync already"


def test_without_steps_the_masters_own_node_comes_last_as_well_and_the_answer_is_as_ever(fleet):
    said = fleet.reconcile()
    assert [nodes for _, nodes, _ in fleet.jobs] == [["a", "c", "d", "e"], ["b"]]
    assert list(said) == ["asked", "confirmed", "failed", "silent", "unregistered", "in_sync", "seconds"]


def test_members_that_never_registered_are_not_asked_in_steps(fleet):
    fleet.accept("f")
    said = fleet.reconcile(stages=Stages(batch=5))
    assert "f" not in fleet.asked
    assert said["unregistered"] == ["f"]


def test_a_node_that_joins_in_the_middle_is_asked_and_so_are_all_others_again(fleet):
    fleet.accept("f")
    fleet.on_publish = lambda: fleet.register("f") if len(fleet.jobs) == 2 else None
    said = fleet.reconcile(stages=Stages(canary=("d",), batch=2))
    assert said["confirmed"] == ["a", "b", "c", "d", "e", "f"]
    assert said["stopped"] is None
    assert fleet.reconcile()["asked"] == []


def test_who_is_revoked_on_the_way_is_dropped_by_all_at_once(fleet):
    """`revoke` waits for its turn: it was minutes until the last batch heard of it."""
    fleet.on_publish = lambda: (
        fleet.master.registry.admissions.revoke("net", "e", "bob", "") if len(fleet.jobs) == 1 else None
    )
    fleet.reconcile(stages=Stages(canary=("d",), batch=1))
    assert fleet.functions[:2] == [("wireguard.sync", ["d"]), ("wireguard.delta", ["a", "b", "c", "d", "e"])]
    gone, words = fleet.jobs[1][2]
    assert gone == words["withdrawn"] == {"net": [public_key("e")]}
    assert fleet.functions.count(("wireguard.delta", ["a", "b", "c", "d", "e"])) == 1
    assert fleet.reconcile()["asked"] == []


def test_force_and_its_reason_reach_the_nodes_whatever_the_reason_looks_like(fleet):
    """A text would be parsed as YAML by Salt, and arrive as a number, a mapping, or not at all."""
    fleet.reconcile(forced=("alice", "ticket: {12}"))
    for _, _, arguments in fleet.jobs:
        assert arguments == ["signed=True", {"__kwarg__": True, "force": True, "reason": "ticket: {12}"}]


def test_force_is_in_the_history_of_each_node_that_was_asked(fleet):
    fleet.broken["a"] = "no space left on device"
    fleet.reconcile(stages=Stages(canary=("a",)), forced=("alice", "half of it goes"))
    entries = [entry for entry in fleet.master.registry.audit.history() if entry.what == "forced"]
    assert [(entry.network, entry.node, entry.who, entry.why) for entry in entries] == [
        ("net", "a", "alice", "half of it goes")
    ]


def test_without_force_there_is_nothing_of_it(fleet):
    fleet.reconcile()
    assert {tuple(arguments) for _, _, arguments in fleet.jobs} == {("signed=True",)}
    assert "forced" not in {entry.what for entry in fleet.master.registry.audit.history()}
