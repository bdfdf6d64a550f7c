"""A slip in the mesh file that would remove most nodes is told to nobody, until an operator says that it is meant."""

import pytest

import life
import steps

pytestmark = pytest.mark.slow

NODES = ["node1", "node2", "node3", "node4", "node5"]
GONE = NODES[1:]
SLIP = steps.mesh({"node1": {}, "nide*": {}})
MESSAGE = "network backbone would lose 4 of its 5 nodes at once"


@pytest.fixture(scope="module")
def fleet(lab):
    """A mesh of five nodes that a glob lets in, and an engine that follows every edit."""
    lab.up(len(NODES), mesh=steps.mesh({"node*": {}}), trigger="engine")
    assert steps.failures(steps.state_apply(lab)) == []
    code, said = steps.reconcile(lab)
    assert code == 0, said
    return lab


def flat(done):
    """The output in one line: Salt breaks long ones."""
    return " ".join(done.stdout.split())


def test_a_mistyped_glob_harms_no_tunnel_and_is_named_everywhere(fleet):
    before = {node: steps.configured(fleet, node) for node in NODES}
    with steps.stream(fleet, "node2", "node3") as packets, steps.other_mesh(fleet, SLIP):
        place = f"the mesh file ({fleet.mesh_file}:4) does not list node2, node3, node4, node5"
        steps.wait_until("the engine logged it", lambda: MESSAGE in fleet.log("master"))
        for function in (["reconcile"], ["nodes"], ["dropped", "node2"]):
            done = fleet.salt_run(f"wireguard.{function[0]}", *function[1:])
            assert (done.returncode, f"{MESSAGE}: {place}" in flat(done)) == (1, True), done.stdout
        for node in ("node1", "node2"):
            for function in (["state.apply", "wireguard"], ["wireguard.sync"]):
                done = fleet.salt(node, *function)
                assert (done.returncode, MESSAGE in flat(done)) == (1, True), done.stdout
        assert {node: steps.configured(fleet, node) for node in NODES} == before
    assert packets["lost"] == [], packets


def test_corrected_in_time_it_has_changed_nothing(fleet):
    code, said = steps.reconcile(fleet)
    assert (code, said["failed"], said["silent"]) == (0, {}, [])
    assert fleet.ping()


def test_forced_it_passes_and_the_history_says_by_whom_and_why(fleet):
    with steps.other_mesh(fleet, SLIP):
        code, said = steps.reconcile(fleet, "force=True", "reason=moved away")
        assert isinstance(said, dict), said
        assert (code, said["failed"], said["silent"]) == (0, {}, [])
        assert not any(steps.has_device(fleet, node) for node in GONE)
        assert steps.peers(fleet, "node1") == {}
        assert steps.in_sync(fleet, "node1")
        assert steps.failures(steps.state_apply(fleet, "node1")) == []
        assert steps.reconcile(fleet)[1]["asked"] == []
        history = life.ask(fleet, "history")[1]["history"]
        removed = [(entry["node"], entry["who"], entry["why"]) for entry in history if entry["what"] == "removed"]
        assert removed == [(node, "root", "not in the mesh file; moved away") for node in GONE]
