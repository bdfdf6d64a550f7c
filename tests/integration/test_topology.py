"""Hubs, links and networks behind nodes, followed live by a mesh that has none of them at first."""

import pytest
import steps

NODES = ["node1", "node2", "node3", "node4"]
BEHIND = "192.168.44.1"
STAR = steps.mesh({"*": {}, "node1": {"hub": True}, "node4": {"routes": ["192.168.44.0/24"]}}, links=[["node1", "*"]])


@pytest.fixture(scope="module")
def fleet(lab):
    """Four nodes, first all with all, then behind a hub; node4 has an address of a network behind it."""
    lab.up(len(NODES), mesh=steps.mesh({"*": {}}), trigger="engine")
    steps.build(lab, len(NODES))
    lab.must("exec", "node4", "ip", "address", "add", f"{BEHIND}/32", "dev", "lo")
    steps.edit_mesh(lab, STAR)
    code, said = steps.reconcile(lab)
    assert (code, said["failed"], said["silent"]) == (0, {}, [])
    return lab


def peers(fleet, node):
    """The names of a node's peers, as its pillar has them."""
    return sorted(fleet.salt_run_json("wireguard.view", node)["networks"][steps.NETWORK]["peers"])


def address(fleet, node):
    return steps.nodes(fleet)[node]["addresses"][0]


def test_spokes_have_the_hub_as_their_only_peer(fleet):
    assert {node: peers(fleet, node) for node in NODES} == {
        "node1": ["node2", "node3", "node4"],
        "node2": ["node1"],
        "node3": ["node1"],
        "node4": ["node1"],
    }


def test_spokes_reach_each_other_through_the_hub(fleet):
    fleet.must("exec", "node2", "ping", "-c", "1", "-W", "5", address(fleet, "node3"))
    assert fleet.ping()


def test_a_network_behind_a_spoke_is_reached_through_the_hub(fleet):
    fleet.must("exec", "node2", "ping", "-c", "1", "-W", "5", BEHIND)


def test_nothing_of_another_spoke_is_in_a_spokes_pillar(fleet):
    told = fleet.salt_run("wireguard.view", "node2", "--out=json").stdout
    assert steps.nodes(fleet)["node1"]["public_key"] in told
    assert steps.nodes(fleet)["node3"]["public_key"] not in told
    assert f'"{address(fleet, "node3")}/' not in told


def test_a_hub_forwards_from_boot_on_from_its_file_alone(fleet):
    fleet.off("node1")
    fleet.on("node1", boot=True)
    read = fleet.exec("node1", "cat", "/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv6/conf/all/forwarding")
    assert read.stdout.split() == ["1", "1"]


def test_a_reconcile_finds_nothing_to_do_then(fleet):
    code, said = steps.reconcile(fleet, "everybody=True")
    assert (code, said["failed"], said["silent"]) == (0, {}, [])
