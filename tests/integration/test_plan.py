"""A plan says what a reconcile then does, and what was changed by hand, and touches nothing itself."""

import json

import pytest

import steps

NODES = ["node1", "node2", "node3", "node4"]


@pytest.fixture(scope="module")
def fleet(lab):
    """A mesh of four nodes in sync, without engine or reactor; the commands of node1 and node2 are watched."""
    lab.up(len(NODES), mesh=steps.mesh(NODES[:3]))
    steps.reconcile(lab)
    steps.wait_until("all in sync", lambda: steps.reconcile(lab)[0] == 0)
    addresses = {node: row["addresses"][0] for node, row in steps.nodes(lab).items()}
    for node, other in (("node1", "node2"), ("node1", "node3"), ("node2", "node3")):
        lab.must("exec", node, "ping", "-n", "-c1", "-W10", addresses[other])
    for node in ("node1", "node2"):
        steps.spy_on(lab, node)
    return lab


def plan(lab, *args):
    """Exit code and answer; proves that neither registry nor devices were touched."""
    registry = lab.dir / "hosts/master/var/cache/salt/master/wireguard/registry.db"
    before = registry.read_bytes(), registry.stat().st_mtime_ns
    for node in ("node1", "node2"):
        steps.commands(lab, node)
    done = lab.salt_run("wireguard.plan", "--out=json", *args)
    assert (registry.read_bytes(), registry.stat().st_mtime_ns) == before
    for node in ("node1", "node2"):
        assert steps.writing(steps.commands(lab, node)) == []
    return done.returncode, json.loads(done.stdout)


def subjects(rows):
    """(node, subject) of rows, without the file that every change of a node writes."""
    return {(row["node"], row["subject"]) for row in rows if row["kind"] != "file"}


def test_a_fleet_in_sync_has_nothing_to_do(fleet):
    code, said = plan(fleet)
    assert code == 0, said
    assert (said["changes"], said["drift"], said["unreachable"], said["failed"]) == ([], [], [], {})
    assert said["answer"] == "0 nodes would change"


def test_what_was_changed_by_hand_is_drift_and_a_test_run_says_the_same(fleet):
    key = fleet.must("exec", "node1", "sh", "-c", "wg genkey | wg pubkey").strip()
    address = next(text for text in steps.configured(fleet, "node2")["addresses"] if text.startswith("fd42"))
    fleet.must("exec", "node1", "wg", "set", "wg0", "peer", key, "allowed-ips", "10.42.99.99/32")
    fleet.must("exec", "node2", "ip", "address", "del", f"{address}/64", "dev", "wg0")
    code, said = plan(fleet)
    assert code == 2
    assert subjects(said["drift"]) == {("node1", f"peer {key}"), ("node2", f"address {address}/64")}
    assert said["changes"] == []
    for node in ("node1", "node2"):
        rows = {row["subject"]: {"old": row["old"], "new": row["new"]} for row in said["drift"] if row["node"] == node}
        would = steps.state_apply(fleet, node, "wireguard", "test=True")[node][-1]
        assert would["changes"] == rows
    assert steps.reconcile(fleet, "everybody=True")[0] == 0
    assert plan(fleet)[0] == 0


def test_another_mesh_file_is_judged_before_it_is_live(fleet):
    other = fleet.dir / "other.yml"
    other.write_text(steps.mesh({"node1": {"port": 4500}, "node2": {}, "node4": {}}))
    code, said = plan(fleet, f"mesh={other}")
    assert code == 2
    rows = {(row["node"], row["subject"]): row for row in said["changes"]}
    assert rows.keys() == {
        ("node1", "listen port"),
        ("node1", "peer node3"),
        ("node1", "peer node4"),
        ("node2", "peer node1"),
        ("node2", "peer node3"),
        ("node2", "peer node4"),
        ("node3", "interface wg0"),
        ("node4", "interface wg0"),
    }
    assert rows["node4", "interface wg0"]["new"] == "registers, and gets an address"
    assert rows["node1", "listen port"]["disturbs"] == 2
    assert rows["node2", "peer node3"]["disturbs"] == 1
    assert rows["node3", "interface wg0"]["disturbs"] == 2
    shown = fleet.salt_run("wireguard.plan", f"mesh={other}").stdout
    assert "~ listen port" in shown
    assert "node1, node2" in shown


def test_after_an_edit_it_says_exactly_what_a_reconcile_then_does(fleet):
    with steps.other_mesh(fleet, steps.mesh({"node1": {"port": 4500}, "node2": {}, "node3": {}}, mtu=1380)):
        code, said = plan(fleet)
        assert code == 2
        would = subjects(said["changes"])
        assert would >= {(node, "mtu") for node in NODES[:3]} | {("node1", "listen port"), ("node2", "peer node1")}
        tested = {node: steps.state_apply(fleet, node, "wireguard", "test=True")[node][-1] for node in NODES[:3]}
        assert {
            (node, subject) for node in tested for subject in tested[node]["changes"] if not subject.startswith("/")
        } == would
        assert steps.reconcile(fleet)[0] == 0
        assert plan(fleet)[0] == 0
        for node in NODES[:3]:
            assert json.loads(fleet.must("exec", node, "ip", "-json", "link", "show", "wg0"))[0]["mtu"] == 1380
    assert steps.reconcile(fleet)[0] == 0


def test_an_unreachable_node_is_named_with_what_is_known_of_it(fleet):
    fleet.off("node3")
    code, said = plan(fleet, "timeout=5")
    assert code == 2 if said["changes"] else code in (0, 2)
    assert [(row["node"], row["why"]) for row in said["unreachable"]] == [("node3", None)]
    other = fleet.dir / "other.yml"
    other.write_text(steps.mesh(NODES[:2]))
    code, said = plan(fleet, f"mesh={other}", "timeout=5")
    assert code == 2
    assert {row["disturbs"] for row in said["changes"] if row["node"] == "node3"} == {None}
    assert [row["node"] for row in said["unreachable"]] == ["node3"]


def test_an_invalid_mesh_file_is_an_error(fleet):
    other = fleet.dir / "other.yml"
    other.write_text("networks: {backbone: {}}\n")
    code, said = plan(fleet, f"mesh={other}")
    assert code == 1
    assert "has no 'nodes'" in " ".join(row["message"] for row in said["errors"])
