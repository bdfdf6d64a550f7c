"""With the engine, everything reaches every node by itself: joins, edits of the mesh file, and what was missed."""

import re

import pytest

import forgery
import life
import steps

NODES = ["node1", "node2", "node3", "node4"]
ALL = [*NODES, "node5"]
PLAIN = {name: {} for name in ALL}
STREAM = ("node1", "node2")  # concerned by nothing that happens to the others


@pytest.fixture(scope="module")
def fleet(lab):
    """A mesh of four nodes by their names, with a place for a fifth."""
    lab.up(len(NODES), mesh=steps.mesh(ALL), trigger="engine")
    lab.recorder = steps.Recorder(lab)
    steps.build(lab, len(NODES))
    lab.members = ALL
    return lab


def port_at(lab, node, other):
    """The port at which ``node`` calls ``other``."""
    return steps.peers(lab, node)[steps.public_key(lab, other)]["endpoint"].rpartition(":")[2]


def test_a_join_reaches_everybody_by_one_job_without_a_command_or_a_pillar(fleet):
    before = len(life.jobs(fleet))
    with steps.stream(fleet, *STREAM) as packets:
        fleet.add("node5")
        steps.wait_until("node5 in sync with all others", lambda: steps.in_sync(fleet, *ALL))
        told = fleet.ping_json(wait=30)
    assert told["ok"]
    assert len(told["pairs"]) == len(ALL) * (len(ALL) - 1) * 2
    assert [each for each in life.jobs(fleet)[before:] if "node1" in each[1]] == [("wireguard.delta", NODES)]
    assert packets["lost"] == [], packets


def test_settings_in_the_mesh_file_reach_all_nodes_without_a_command(fleet):
    text = steps.mesh({**PLAIN, "node3": {"port": 51999}, "node4": {"endpoint": False}}, keepalive=25)
    with steps.stream(fleet, *STREAM) as packets, steps.other_mesh(fleet, text):
        steps.wait_until(
            "the new port of node3 at all others",
            lambda: {port_at(fleet, node, "node3") for node in ("node1", "node2", "node5")} == {"51999"},
        )
        steps.wait_until("everybody in sync", lambda: steps.in_sync(fleet, *ALL))
        assert {port_at(fleet, node, "node3") for node in ("node1", "node2", "node5")} == {"51999"}
        assert {peer["keepalive"] for peer in steps.peers(fleet, "node4").values()} == {"25"}
        assert {peer["keepalive"] for peer in steps.peers(fleet, "node1").values()} == {"off"}
        assert fleet.ping()
    steps.wait_until("everybody in sync", lambda: steps.in_sync(fleet, *ALL))
    assert fleet.ping()
    assert packets["lost"] == [], packets


def test_a_node_gets_other_addresses_when_that_is_forced(fleet):
    text = steps.mesh({**PLAIN, "node3": {"addresses": ["10.42.77.7", "fd42:42::77:7"]}})
    with steps.stream(fleet, *STREAM) as packets:
        with steps.other_mesh(fleet, text):
            code, said = steps.reconcile(fleet)
            assert code == 1
            assert "take this node's own address" in said["failed"]["node3"]
            assert steps.reconcile(fleet, "force=True", "reason=renumbered")[0] == 0
            steps.wait_until("everybody in sync", lambda: steps.in_sync(fleet, *ALL))
            assert steps.nodes(fleet)["node3"]["addresses"] == ["10.42.77.7", "fd42:42::77:7"]
            assert fleet.ping()
        assert steps.reconcile(fleet, "force=True", "reason=as before")[0] == 0
        steps.wait_until("everybody in sync", lambda: steps.in_sync(fleet, *ALL))
        assert fleet.ping()
    assert packets["lost"] == [], packets


def test_an_invalid_mesh_file_is_named_everywhere_and_harms_no_tunnel(fleet):
    before = {node: steps.configured(fleet, node) for node in ALL}
    with steps.stream(fleet, *STREAM) as packets:
        with steps.other_mesh(fleet, fleet.mesh_file.read_text() + "    nods: {}\n"):
            place = f"{fleet.mesh_file}:{len(fleet.mesh_file.read_text().splitlines())}"
            done = fleet.salt_run("wireguard.validate")
            assert done.returncode == 1
            assert place in done.stdout
            assert "nods" in done.stdout
            assert fleet.salt_run("wireguard.reconcile").returncode == 1
            for function in (["state.apply", "wireguard"], ["wireguard.sync"]):
                done = fleet.salt("node1", *function)
                assert done.returncode == 1
                said = " ".join(done.stdout.split())
                assert "the mesh file on the master is invalid, so this minion keeps what it has" in said
                assert "nods" not in said
            steps.wait_until(
                "the engine logged it", lambda: re.search(rf"ERROR .* wireguard: {place}", fleet.log("master"))
            )
            assert "Traceback" not in (fleet.dir / "hosts/master/var/log/console").read_text()
            assert {node: steps.configured(fleet, node) for node in ALL} == before
        assert fleet.salt_run("wireguard.validate").returncode == 0
        assert steps.failures(steps.state_apply(fleet, "node1")) == []
        assert steps.in_sync(fleet, *ALL)
    assert packets["lost"] == [], packets


def test_what_a_node_missed_while_it_was_off_reaches_it_when_it_starts(fleet):
    fleet.off("node4")
    try:
        with steps.other_mesh(fleet, steps.mesh({**PLAIN, "node5": {"port": 51998}})):
            steps.wait_until("node1 knows the new port", lambda: port_at(fleet, "node1", "node5") == "51998")
            fleet.on("node4", boot=True)
            steps.wait_until("node4 knows the new port", lambda: port_at(fleet, "node4", "node5") == "51998")
            steps.wait_until("everybody in sync", lambda: steps.in_sync(fleet, *ALL))
    finally:
        if fleet.status()["node4"]["power"] == "off":
            fleet.on("node4", boot=True)
    steps.wait_until("everybody in sync", lambda: steps.in_sync(fleet, *ALL))
    assert fleet.ping()


def test_a_device_that_does_not_come_up_at_boot_is_made_again_once_the_minion_has_started(fleet):
    """The master had the node in sync, so nobody asked it."""
    fleet.off("node4")
    fleet.on("node4")
    steps.wait_until("node4 has its device", lambda: steps.has_device(fleet, "node4"))
    steps.wait_until("everybody in sync", lambda: steps.in_sync(fleet, *ALL))
    assert fleet.ping()


def is_torn_down(fleet, node, key):
    """Whether nothing is left of a node's network but its key, under another name."""
    files = steps.wireguard_files(fleet, node)
    aside = [text for name, text in files.items() if name.startswith("wg0.key.removed-")]
    return not steps.has_device(fleet, node) and not {"wg0.conf", "wg0.key"} & set(files) and key in aside


def test_a_node_taken_out_of_the_mesh_file_is_dropped_by_all_and_tears_down_by_itself(fleet):
    gone = steps.public_key(fleet, "node5")
    private = steps.wireguard_files(fleet, "node5")["wg0.key"]
    with steps.stream(fleet, *STREAM) as packets, steps.other_mesh(fleet, steps.mesh(NODES)):
        steps.wait_until("dropped by all", lambda: not [n for n in NODES if gone in steps.peers(fleet, n)])
        steps.wait_until("torn down", lambda: is_torn_down(fleet, "node5", private))
        steps.wait_until("the others in sync", lambda: steps.in_sync(fleet, *NODES))
        assert steps.changes(steps.state_apply(fleet, "node5")) == {}
    assert packets["lost"] == [], packets


def test_a_node_put_back_into_the_mesh_file_has_its_addresses_again(fleet):
    addresses = {node: row["addresses"] for node, row in steps.nodes(fleet).items()}
    assert steps.failures(steps.state_apply(fleet, "node5")) == []
    steps.wait_until("everybody in sync", lambda: steps.in_sync(fleet, *ALL))
    assert {node: row["addresses"] for node, row in steps.nodes(fleet).items()} == addresses
    assert fleet.ping()


def test_a_node_that_was_taken_out_while_it_was_off_tears_down_when_it_is_back(fleet):
    private = steps.wireguard_files(fleet, "node4")["wg0.key"]
    left = [node for node in ALL if node != "node4"]
    with steps.other_mesh(fleet, steps.mesh(left)):
        fleet.off("node4")
        steps.wait_until("the others in sync", lambda: steps.in_sync(fleet, *left))
        fleet.on("node4", boot=True)
        steps.wait_until("torn down", lambda: is_torn_down(fleet, "node4", private))
    assert steps.failures(steps.state_apply(fleet, "node4")) == []
    steps.wait_until("everybody in sync", lambda: steps.in_sync(fleet, *ALL))


def test_forged_and_replayed_events_change_nothing(fleet):
    forgery.check(fleet, liar="node1", victim="node2")


def test_no_private_key_is_anywhere_but_on_its_node(fleet):
    assert len(fleet.recorder.events("wireguard/register")) > len(NODES)
    assert steps.leaks(fleet, steps.private_keys(fleet)) == []
