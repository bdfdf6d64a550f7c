"""What the operator sees of a living fleet: nodes, pairs, and both of their ends."""

import json
import re

import pytest

import life
import steps

NODES = ["node1", "node2", "node3"]


@pytest.fixture(scope="module")
def fleet(lab):
    """A mesh of three nodes, without engine or reactor."""
    lab.up(len(NODES), mesh=steps.mesh(NODES), trigger="none")
    assert steps.reconcile(lab)[0] == 0
    assert lab.ping()
    return lab


def states(answer):
    return {(row["a"], row["b"]): row["state"] for row in answer["pairs"]}


def test_all_pairs_are_up_as_seen_from_both_ends(fleet):
    code, answer = life.ask(fleet, "status")
    assert code == 0
    assert answer["answer"] == "3 of 3 nodes in sync; pairs: 3 up"
    for row in answer["pairs"]:
        assert row["a_sees"]["state"] == row["b_sees"]["state"] == "up"
        assert not row["disagree"]
        assert row["handshake_age"] < 180
        assert row["a_sees"]["received"] > 0
        assert row["a_sees"]["roamed"] is False


def test_the_text_is_a_table_for_people(fleet):
    said = fleet.must("salt-run", "wireguard.status", "node=node1")
    assert "  network   a      b      state  last handshake  a sees" in said
    assert "node3" in said


def test_a_device_that_somebody_removed_shows_on_its_node_and_its_pairs_are_known_by_the_other_ends(fleet):
    fleet.must("exec", "node3", "ip", "link", "delete", "wg0")
    _, answer = life.ask(fleet, "status")
    assert {row["node"]: row["problem"] for row in answer["nodes"]}["node3"] == "wg0 is not set up"
    ends = {(row["a"], row["b"]): row["b_sees"]["state"] for row in answer["pairs"]}
    assert ends["node1", "node3"] == "unknown"
    assert states(answer)["node1", "node3"] == "up"  # as far as node1 knows
    assert steps.reconcile(fleet, "everybody=True")[0] == 0


def test_a_peer_that_somebody_removed_makes_the_ends_disagree(fleet):
    assert fleet.ping()
    fleet.must("exec", "node1", "wg", "set", "wg0", "peer", steps.public_key(fleet, "node2"), "remove")
    _, answer = life.ask(fleet, "status", "node=node1")
    worst = answer["pairs"][0]
    assert (worst["a"], worst["b"], worst["state"], worst["disagree"]) == ("node1", "node2", "down", True)
    assert worst["a_sees"]["lacks_peer"]
    assert steps.reconcile(fleet, "everybody=True")[0] == 0


def test_packets_come_through_on_all_paths_at_both_ip_versions(fleet):
    code, answer = life.ask(fleet, "matrix")
    assert (code, answer["answer"], answer["problems"]) == (0, "6 of 6 paths without loss", [])
    for row in answer["paths"]:
        for version in ("ipv4", "ipv6"):
            assert (row[version]["sent"], row[version]["received"]) == (5, 5)
            assert row[version]["rtt_ms"] > 0


def test_a_matrix_of_a_few_nodes_fits_into_a_terminal(fleet):
    said = fleet.must("salt-run", "wireguard.matrix", "count=1", env={"COLUMNS": "100"})
    assert "  network   from   node1" in said


def test_a_path_on_which_nothing_comes_back_is_named_and_waited_for(fleet):
    fleet.must("exec", "node2", "ip", "link", "set", "wg0", "mtu", "1420", "down")
    code, answer = life.ask(fleet, "wait", "until=reachable", "timeout=2")
    assert code == 1
    assert {"node1 to node2", "node3 to node2"} <= set(answer["missing"])
    assert steps.reconcile(fleet, "everybody=True")[0] == 0
    assert life.ask(fleet, "wait", "until=reachable", "timeout=60")[0] == 0


def test_a_report_has_what_the_nodes_see_and_how_their_pings_came_back(fleet, tmp_path):
    file = tmp_path / "mesh.html"
    code, answer = life.ask(fleet, "report", f"file={file}", "probe=True")
    assert (code, answer["changes"]) == (0, [])
    data = re.search(r'id="data">(.*?)</script>', file.read_text())[1]
    (network,) = json.loads(data)["networks"]
    assert network["names"] == NODES
    assert network["states"] == ".uu" + "u.u" + "uu."
    assert [loss for loss in network["loss"] if loss >= 0] == [0] * 6
    assert all(rtt > 0 for rtt in network["rtt"] if rtt >= 0)


def test_a_drawing_goes_into_a_pipe(fleet):
    said = fleet.must("salt-run", "wireguard.graph", "format=svg")
    assert said.startswith("<svg")
    assert said.count('class="node"') == len(NODES)


def test_why_says_that_all_is_well_or_what_is_not(fleet):
    code, answer = life.ask(fleet, "why", "node1", "node2")
    assert (code, answer["cause"]) == (0, "none"), answer
    fleet.must("exec", "node2", "wg", "set", "wg0", "peer", steps.public_key(fleet, "node1"), "remove")
    code, answer = life.ask(fleet, "why", "node1", "node2")
    assert (code, answer["cause"]) == (1, "drift")
    assert answer["remedy"] == "`salt node2 wireguard.sync`"
    assert steps.reconcile(fleet, "everybody=True")[0] == 0


def test_what_is_in_sync_is_not_waited_for(fleet):
    code, answer = life.ask(fleet, "wait", "timeout=20")
    assert (code, answer["answer"], answer["missing"]) == (0, "in_sync", [])


def test_waiting_for_a_node_that_is_off_fails_and_names_it(fleet):
    fleet.off("node3")
    steps.edit_mesh(fleet, steps.mesh(NODES, mtu=1300))
    code, answer = life.ask(fleet, "wait", "timeout=3", "node=node3")
    fleet.on("node3")
    assert (code, answer["missing"]) == (1, ["node3"])
