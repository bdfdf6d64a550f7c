"""A hub dies, and nobody revokes it: what stops, what goes on, and what an operator does about it."""

from pathlib import Path

import pytest

import steps

pytestmark = pytest.mark.slow

STAR = (Path(__file__).parents[2] / "examples" / "hub-and-spoke.yml").read_text()
OTHER_HUB_FIRST = STAR.replace("hub1.example.com, hub: true", "hub1.example.com, hub: true, priority: 20")
BEHIND = "192.168.44.1"
ROUTED = STAR.replace("    links:", "      spoke2: {routes: [192.168.44.0/24]}\n    links:")
NODES = ["hub1", "hub2", "spoke1", "spoke2"]


@pytest.fixture(scope="module")
def fleet(lab):
    """The example, with one spoke behind NAT."""
    lab.up(0, mesh=STAR)
    lab.must("site", "office")
    lab.add("hub1", "hub2", "spoke1@office", "spoke2")
    for hub in ("hub1", "hub2"):
        lab.must("point", f"{hub}.example.com", hub)
    steps.reconcile(lab)
    steps.wait_until("all in sync", lambda: steps.in_sync(lab, *NODES))
    lab.addresses = {name: row["addresses"][0] for name, row in steps.nodes(lab).items()}
    return lab


def reaches(fleet, sender, address):
    return fleet.exec(sender, "ping", "-n", "-c1", "-W2", address).returncode == 0


def spokes_meet(fleet):
    return reaches(fleet, "spoke1", fleet.addresses["spoke2"]) and reaches(fleet, "spoke2", fleet.addresses["spoke1"])


def test_a_network_behind_a_spoke_is_reached_through_the_hub(fleet):
    fleet.must("exec", "spoke2", "ip", "address", "add", f"{BEHIND}/32", "dev", "lo")
    with steps.other_mesh(fleet, ROUTED):
        assert steps.reconcile(fleet)[0] == 0
        assert reaches(fleet, "spoke1", BEHIND)
    assert steps.reconcile(fleet)[0] == 0


def test_a_hub_forwards_from_boot_on_from_its_file_alone(fleet):
    fleet.off("hub1")
    fleet.on("hub1", boot=True)
    read = fleet.exec("hub1", "cat", "/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv6/conf/all/forwarding")
    assert read.stdout.split() == ["1", "1"]
    steps.wait_until("spokes meet", lambda: spokes_meet(fleet))


def test_when_the_first_hub_dies_spokes_lose_each_other_until_the_file_says_that_another_is_first(fleet):
    with steps.stream(fleet, "spoke1", "spoke2") as seen:
        fleet.off("hub1")
        assert not spokes_meet(fleet)
        assert reaches(fleet, "spoke1", fleet.addresses["hub2"])
        steps.edit_mesh(fleet, OTHER_HUB_FIRST)
        code, said = steps.reconcile(fleet)
        assert spokes_meet(fleet)
    assert (code, set(said["asked"]), set(said["confirmed"])) == (0, {"spoke1", "spoke2"}, {"spoke1", "spoke2"})
    assert seen["lost"]
    assert seen["lost"][-1] < seen["sent"] - 100, "the last second came through"


def test_a_hub_that_comes_back_is_not_used_until_the_file_says_so(fleet):
    fleet.on("hub1", boot=True)
    assert steps.reconcile(fleet)[0] == 0
    assert spokes_meet(fleet)
    steps.edit_mesh(fleet, STAR)
    assert steps.reconcile(fleet)[0] == 0
    assert spokes_meet(fleet)


def test_a_hub_that_is_revoked_is_replaced(fleet):
    fleet.off("hub1")
    fleet.salt_run("wireguard.revoke", "hub1", "reason=dead", "timeout=5")
    steps.wait_until("spokes meet", lambda: spokes_meet(fleet))
