"""The master loses its power while nodes join: what was written down stays, what was lost is done again."""

import subprocess

import pytest

import steps

pytestmark = pytest.mark.slow

NODES = ["node1", "node2", "node3"]


@pytest.fixture(scope="module")
def fleet(lab):
    """A lab of three fresh minions."""
    lab.up(len(NODES), trigger="engine")
    return lab


def restart_master(fleet):
    fleet.off("master")
    fleet.on("master")


def test_after_a_restart_in_the_middle_of_joins_one_reconcile_completes_the_mesh(fleet):
    registry = fleet.dir / "hosts/master/var/cache/salt/master/wireguard/registry.db"
    applying = subprocess.Popen(
        fleet.argv("salt", "*", "state.apply", "wireguard"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    steps.wait_until("the first registration", registry.exists)
    restart_master(fleet)
    applying.wait()
    code, said = steps.reconcile(fleet)
    assert code == 0, said
    assert said["unregistered"] == []
    assert steps.in_sync(fleet, *NODES)
    assert steps.unique_addresses(fleet)
    assert fleet.ping()


def test_tunnels_and_addresses_outlive_the_master(fleet):
    before = {node: row["addresses"] for node, row in steps.nodes(fleet).items()}
    with steps.stream(fleet, "node1", "node2") as packets:
        restart_master(fleet)
    assert packets["lost"] == [], packets
    assert {node: row["addresses"] for node, row in steps.nodes(fleet).items()} == before
    assert steps.reconcile(fleet)[1]["asked"] == []


def test_a_node_that_comes_after_a_restart_joins(fleet):
    restart_master(fleet)
    fleet.add("node4")
    steps.wait_until("node4 in sync with all others", lambda: steps.in_sync(fleet, *NODES, "node4"))
    assert steps.unique_addresses(fleet)
    assert fleet.ping()
