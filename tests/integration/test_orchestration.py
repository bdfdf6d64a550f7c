"""The orchestrations that come with the states: a rollout by a canary, and the end of nodes."""

import json

import pytest

import life
import steps

NODES = ["node1", "node2", "node3"]


@pytest.fixture(scope="module")
def fleet(lab):
    """A mesh of three nodes, without engine or reactor."""
    lab.up(len(NODES), mesh=steps.mesh(NODES), trigger="none")
    lab.recorder = steps.Recorder(lab)
    assert steps.reconcile(lab)[0] == 0
    return lab


def orchestrate(fleet, name, **given):
    """Run one with these variables; gives its exit code, the steps that succeeded, in order, and all that it said."""
    pillar = json.dumps({"wireguard": {name: given}})
    done = fleet.salt_run("--out=json", "state.orchestrate", f"orch.wireguard.{name}", f"pillar={pillar}")
    (states,) = steps.documents(done.stdout)[-1]["data"].values()
    found = sorted(states.values(), key=lambda state: state["__run_num__"])
    said = {state["__id__"].removeprefix("wireguard_"): state for state in found}
    return done.returncode, [name for name, state in said.items() if state["result"]], said


def asked(fleet):
    """The nodes of each sync of a reconcile so far."""
    jobs = [data for tag, data in fleet.recorder.all() if tag.startswith("salt/job/") and tag.endswith("/new")]
    return [sorted(job["minions"]) for job in jobs if "signed" in str(job["arg"])]


STEPS = ["validate", "plan", "canary", "wait", "canary_lives", "rest", "wait_again", "report"]


def test_a_rollout_goes_to_the_canary_then_to_the_others_and_reports(fleet):
    before = len(asked(fleet))
    steps.edit_mesh(fleet, steps.mesh(NODES, mtu=1300))
    code, done, said = orchestrate(fleet, "rollout", canary="node2", batch=1, wait=0.5)
    assert (code, done) == (0, STEPS)
    assert asked(fleet)[before:] == [["node2"], ["node1"], ["node3"]]
    assert {row["in_sync"] for row in said["report"]["changes"]["return"]["nodes"]} == {True}
    assert fleet.salt_run_json("wireguard.nodes")["warnings"] == []  # nothing is on hold


def test_a_rollout_ends_at_a_canary_that_fails_and_the_change_stays_on_hold(fleet):
    before = len(asked(fleet))
    fleet.must("exec", "node2", "mount", "-o", "remount,bind,ro", "/etc/wireguard")
    steps.edit_mesh(fleet, steps.mesh(NODES, mtu=1310))
    code, done, said = orchestrate(fleet, "rollout", canary=["node2"], wait=0)
    fleet.must("exec", "node2", "mount", "-o", "remount,bind,rw", "/etc/wireguard")
    assert (code, done, asked(fleet)[before:]) == (1, STEPS[:2], [["node2"]])
    assert said["canary"]["changes"]["return"]["not_asked"] == ["node1", "node3"]
    (warning,) = fleet.salt_run_json("wireguard.nodes")["warnings"]
    assert warning.startswith("changes are on hold")


def test_a_rollout_of_a_mesh_file_with_errors_asks_nobody(fleet):
    before = len(asked(fleet))
    with steps.other_mesh(fleet, steps.mesh(NODES, prot=1)):
        assert orchestrate(fleet, "rollout", canary="node2")[:2] == (1, [])
    assert orchestrate(fleet, "rollout")[:2] == (1, [])  # no canary
    assert asked(fleet)[before:] == []
    code, done, _ = orchestrate(fleet, "rollout", canary="node*", wait=0)
    assert (code, done) == (0, STEPS)


@pytest.mark.parametrize(
    "given", [{}, {"nodes": []}, {"nodes": "node3"}, {"all": True}, {"nodes": ["node3"], "all": True, "reason": "x"}]
)
def test_whom_to_take_down_must_be_said_in_one_way(fleet, given):
    assert orchestrate(fleet, "take_down", **given)[:2] == (1, [])


def test_a_node_that_the_mesh_file_still_has_is_not_taken_down(fleet):
    code, done, said = orchestrate(fleet, "take_down", nodes=["node3"])
    assert (code, done) == (1, ["validate"])
    assert "take it out of the mesh file" in said["dropped_1"]["changes"]["return"]
    assert steps.has_device(fleet, "node3")


def test_a_node_is_taken_down_when_all_others_have_dropped_it(fleet):
    steps.edit_mesh(fleet, steps.mesh(NODES[:2]))
    code, done, _ = orchestrate(fleet, "take_down", nodes=["node3"], purge=True)
    assert (code, done) == (0, ["validate", "dropped_1", "clean", "report"])
    assert steps.wireguard_files(fleet, "node3") == {}
    assert not steps.has_device(fleet, "node3")
    assert steps.in_sync(fleet, "node1", "node2")


def test_while_a_peer_has_not_confirmed_nothing_is_cleaned(fleet):
    steps.edit_mesh(fleet, steps.mesh(NODES[:1]))
    fleet.off("node1")
    code, done, _ = orchestrate(fleet, "take_down", nodes=["node2"])
    fleet.on("node1")
    life.await_answer(fleet, "node1")
    assert (code, done) == (1, ["validate"])


def test_the_whole_mesh_is_taken_down(fleet):
    steps.edit_mesh(fleet, "networks: {backbone: {subnets: [10.42.0.0/16], nodes: {}}}\n")
    code, done, _ = orchestrate(fleet, "take_down", all=True, reason="moved", purge=True)
    assert (code, done) == (0, ["validate", "dropped", "clean", "report"])
    for node in NODES:
        assert steps.wireguard_files(fleet, node) == {}
        assert not steps.has_device(fleet, node)
