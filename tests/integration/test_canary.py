"""A change goes to one node first, then to the others in batches, and stops where nodes fail."""

import json

import pytest

import life
import steps

pytestmark = pytest.mark.slow

NODES = ["node1", "node2", "node3", "node4", "node5"]
OTHERS = ["node1", "node3", "node4", "node5"]


@pytest.fixture(scope="module")
def fleet(lab):
    """A mesh of five nodes, with the engine."""
    lab.up(len(NODES), mesh=steps.mesh(NODES), trigger="engine")
    lab.recorder = steps.Recorder(lab)
    steps.build(lab, len(NODES))
    return lab


def mtus(fleet):
    """The MTU of each node's device."""
    shown = {node: fleet.must("exec", node, "ip", "-json", "link", "show", "wg0") for node in NODES}
    return {node: json.loads(text)[0]["mtu"] for node, text in shown.items()}


def syncs(fleet):
    """The nodes of each ``wireguard.sync`` that was asked for, and its arguments."""
    jobs = [data for tag, data in fleet.recorder.all() if tag.startswith("salt/job/") and tag.endswith("/new")]
    return [(sorted(job["minions"]), job["arg"]) for job in jobs if job["fun"] == "wireguard.sync"]


def make_read_only(fleet, node, mode="ro"):
    fleet.must("exec", node, "mount", "-o", f"remount,bind,{mode}", "/etc/wireguard")


def test_when_the_canary_fails_nobody_else_is_changed_and_the_answer_says_so(fleet):
    before = mtus(fleet)
    files = {node: steps.wireguard_files(fleet, node) for node in OTHERS}
    asked = len(syncs(fleet))
    make_read_only(fleet, "node2")
    assert life.ask(fleet, "hold")[0] == 0
    steps.edit_mesh(fleet, steps.mesh(NODES, mtu=1300))
    code, said = steps.reconcile(fleet, "canary=node2", "batch=50%")
    assert code == 1
    assert list(said["failed"]) == ["node2"]
    assert "Read-only file system" in said["failed"]["node2"]
    assert said["stopped"] == "1 failed, 0 silent; 4 not asked"
    assert said["counts"] == {"confirmed": 0, "failed": 1, "silent": 0, "not_asked": 4}
    assert said["not_asked"] == OTHERS
    assert [nodes for nodes, _ in syncs(fleet)[asked:]] == [["node2"]]
    assert {node: steps.wireguard_files(fleet, node) for node in OTHERS} == files
    assert {node: mtu for node, mtu in mtus(fleet).items() if node in OTHERS} == {
        node: mtu for node, mtu in before.items() if node in OTHERS
    }


def test_after_that_nothing_else_brings_the_change_to_anybody(fleet):
    before = mtus(fleet)
    fleet.off("master")
    fleet.on("master")
    fleet.recorder = steps.Recorder(fleet)
    for node in NODES:
        life.await_answer(fleet, node)  # each of them started, which the engine hears
    code, said = steps.reconcile(fleet)
    assert code == 1
    assert said["held"].startswith("changes are on hold since ")
    assert fleet.salt_run_json("wireguard.nodes")["warnings"] == [said["held"]]
    assert mtus(fleet) == before


def test_when_the_reason_is_gone_the_canary_goes_first_and_the_others_follow_in_batches(fleet):
    make_read_only(fleet, "node2", "rw")
    asked = len(syncs(fleet))
    done = fleet.salt_run("wireguard.reconcile", "canary=node2", "batch=40%")
    assert done.returncode == 0, done.stdout
    assert [nodes for nodes, _ in syncs(fleet)[asked:]] == [["node2"], ["node1", "node3"], ["node4", "node5"]]
    assert [line for line in done.stdout.splitlines() if line.startswith("canary")] == [
        "canary node2 ok: 1 of 5 nodes have it, 0 failed, 0 silent",
        "canary node2 ok; batch 1 of 2: 3 of 5 nodes have it, 0 failed, 0 silent",
        "canary node2 ok; batch 2 of 2: 5 of 5 nodes have it, 0 failed, 0 silent",
    ]
    assert set(mtus(fleet).values()) == {1300}
    assert fleet.ping()


def test_a_node_that_is_off_stops_it_before_the_next_batch_and_release_brings_it_to_all(fleet):
    fleet.off("node1")
    life.ask(fleet, "hold")
    steps.edit_mesh(fleet, steps.mesh(NODES, mtu=1310))
    code, said = steps.reconcile(fleet, "batch=2", "timeout=10")
    assert code == 1
    assert (said["confirmed"], said["silent"], said["not_asked"]) == (["node2"], ["node1"], ["node3", "node4", "node5"])
    assert said["stopped"] == "0 failed, 1 silent; 3 not asked"
    fleet.on("node1", boot=True)
    life.await_answer(fleet, "node1")
    assert life.ask(fleet, "release")[0] == 0
    assert set(mtus(fleet).values()) == {1310}


def test_without_a_hold_the_engine_brings_an_edit_to_all_as_ever(fleet):
    steps.edit_mesh(fleet, steps.mesh(NODES, mtu=1320))
    steps.wait_until("all have it", lambda: set(mtus(fleet).values()) == {1320}, life.UNTOLD_SECONDS)
    life.settle(fleet, *NODES)


def test_a_canary_that_is_in_sync_is_said_to_be(fleet):
    code, said = steps.reconcile(fleet, "canary=node1")
    assert (code, said["asked"], said["answer"]) == (0, [], "canary node1 in sync already")


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (["canary=node9"], "canary: no registered node matches 'node9'; see `salt-run wireguard.nodes`"),
        (["batch=x%"], "batch: 'x%' is neither a number of nodes from 1 on nor a percentage, such as 10%"),
        (["force=True"], "force=True needs a reason, for the history: reason='...'"),
    ],
)
def test_what_makes_no_sense_is_one_line_and_asks_nobody(fleet, words, answer):
    before = len(syncs(fleet))
    assert steps.reconcile(fleet, *words) == (1, answer)
    assert len(syncs(fleet)) == before


def test_no_private_key_is_anywhere_but_on_its_node(fleet):
    assert steps.leaks(fleet, steps.private_keys(fleet)) == []
