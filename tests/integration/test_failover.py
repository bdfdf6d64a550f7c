"""A hub is drained, dies, and forwards nothing: what the spokes lose, and that they come back by themselves."""

import time
from pathlib import Path

import pytest

import steps

pytestmark = pytest.mark.slow

STAR = (Path(__file__).parents[2] / "examples" / "hub-and-spoke.yml").read_text()
MESH = STAR.replace("    nodes:", "    failover: auto\n    failback: 1m\n    nodes:")
SPOKES = ["spoke1", "spoke2", "spoke3"]
NODES = ["hub1", "hub2", *SPOKES]


@pytest.fixture(scope="module")
def fleet(lab):
    """The example with three spokes and the engine."""
    lab.up(0, mesh=MESH, trigger="engine")
    lab.add(*NODES)
    for hub in ("hub1", "hub2"):
        lab.must("point", f"{hub}.example.com", hub)
    steps.reconcile(lab)
    steps.wait_until("all in sync", lambda: steps.in_sync(lab, *NODES))
    lab.addresses = {name: row["addresses"][0] for name, row in steps.nodes(lab).items()}
    steps.wait_until("spokes meet", lambda: meet(lab))
    return lab


def meet(fleet):
    pairs = [("spoke1", "spoke2"), ("spoke2", "spoke3"), ("spoke3", "spoke1")]
    return all(
        fleet.exec(one, "ping", "-n", "-c1", "-W1", fleet.addresses[other]).returncode == 0 for one, other in pairs
    )


def last(fleet, node):
    """The last thing that happened to a node."""
    return fleet.salt_run_json("wireguard.history", node)["history"][-1]


def test_a_hub_is_drained_and_undrained_and_no_packet_between_spokes_is_lost(fleet):
    with steps.stream(fleet, "spoke1", "spoke2") as packets:
        for verb, to in (("drain", "hub2"), ("undrain", "hub1")):
            said = fleet.salt_run_json(f"wireguard.{verb}", "hub1", "reason=disks")
            assert (said["answer"], said["missing"]) == (f"3 nodes moved to {to}", []), said
            assert meet(fleet)
    assert packets["lost"] == [], packets


def test_a_drill_touches_nothing_and_says_what_takes_over(fleet):
    said = fleet.salt_run_json("wireguard.drill", "off=hub1")
    assert [(row["to"], row["nodes"]) for row in said["takes_over"]] == [("hub2", SPOKES)]
    assert said["lost"] == []
    assert "drained" not in fleet.salt_run("wireguard.nodes").stdout


def test_a_dead_hub_is_left_by_all_spokes(fleet):
    fleet.off("hub1")
    began = time.monotonic()
    steps.wait_until("spokes meet through the other hub", lambda: meet(fleet))
    print(f"dead hub left after {time.monotonic() - began:.1f} s")
    entry = last(fleet, "hub1")
    assert (entry["what"], entry["who"]) == ("failed_over", "failover")
    assert "hub1 is drained in network backbone since" in fleet.salt_run("wireguard.nodes").stdout


def test_they_come_back_when_it_is_well_again(fleet):
    fleet.on("hub1", boot=True)
    steps.wait_until("hub1 is used again", lambda: last(fleet, "hub1")["what"] == "failed_back", seconds=180)
    steps.wait_until("spokes meet", lambda: meet(fleet))


def test_a_hub_that_answers_and_forwards_nothing_is_left(fleet):
    forwarding = "net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"
    for name in forwarding:
        assert fleet.exec("hub1", "sysctl", "-w", f"{name}=0").returncode == 0
    began = time.monotonic()
    steps.wait_until("spokes meet through the other hub", lambda: meet(fleet))
    print(f"hub that forwards nothing left after {time.monotonic() - began:.1f} s")
    assert fleet.exec("spoke1", "ping", "-n", "-c1", "-W2", fleet.addresses["hub1"]).returncode == 0
    assert last(fleet, "hub1")["what"] == "failed_over"
