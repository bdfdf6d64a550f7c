"""Nothing on the master handles events: the operator's reconcile alone builds the mesh and heals it."""

import fcntl
import subprocess

import pytest
import yaml

import steps

NODES = ["node1", "node2", "node3"]
FOREIGN = "[Interface]\nListenPort = 51999\nAddress = 10.77.0.1/24\n"


@pytest.fixture(scope="module")
def fleet(lab):
    """A lab of three fresh minions, whose events are recorded."""
    lab.up(len(NODES), trigger="none")
    lab.recorder = steps.Recorder(lab)
    return lab


def syncs(fleet):
    """The nodes that were asked for ``wireguard.sync``, once for every time."""
    jobs = [json for tag, json in fleet.recorder.all() if tag.startswith("salt/job/") and tag.endswith("/new")]
    return sorted(node for job in jobs if job["fun"] == "wireguard.sync" for node in job["minions"])


def test_state_apply_names_what_the_master_lacks_and_changes_nothing(fleet):
    applied = steps.state_apply(fleet)
    assert sorted(applied) == NODES
    for states in applied.values():
        last = states[-1]
        assert last["result"] is False
        assert last["changes"] == {}
        for word in ("wireguard/register", "engine", "reactor", "restart salt-master", "wireguard.nodes"):
            assert word in last["comment"]
    assert not any(steps.has_device(fleet, node) for node in NODES)


def test_a_reconcile_alone_builds_the_mesh(fleet):
    code, said = steps.reconcile(fleet)
    assert code == 0, said
    assert (said["asked"], said["confirmed"], said["unregistered"]) == (NODES, NODES, [])
    assert fleet.ping()
    assert steps.in_sync(fleet, *NODES)


def test_a_second_reconcile_asks_nobody(fleet):
    before = syncs(fleet)
    code, said = steps.reconcile(fleet)
    assert (code, said["asked"], said["in_sync"]) == (0, [], len(NODES))
    assert syncs(fleet) == before


def test_a_key_change_that_the_master_did_not_hear_of_is_healed_by_a_reconcile_that_asks_everybody(fleet):
    old = steps.public_key(fleet, "node2")
    fleet.must("exec", "node2", "rm", "/etc/wireguard/wg0.key")
    fleet.salt_json("node2", "wireguard.sync")
    code, said = steps.reconcile(fleet, "everybody=True")
    assert (code, said["failed"], said["silent"]) == (0, {}, [])
    assert steps.public_key(fleet, "node2") != old
    assert [node for node in NODES if old in steps.peers(fleet, node)] == []


def test_reconciles_at_the_same_time_ask_every_node_once(fleet):
    before = syncs(fleet)
    with steps.other_mesh(fleet, steps.mesh({"*": {"port": 51900}})):
        running = [
            subprocess.Popen(fleet.argv("salt-run", "wireguard.reconcile"), stdout=subprocess.DEVNULL) for _ in range(3)
        ]
        assert [process.wait(timeout=120) for process in running] == [0, 0, 0]
        assert steps.in_sync(fleet, *NODES)
        assert fleet.ping()
        asked = syncs(fleet)
        assert sorted(asked) == sorted(before + NODES)
    assert steps.reconcile(fleet)[1]["confirmed"] == NODES


def test_a_reconcile_that_does_not_wait_leaves_it_to_the_one_that_does(fleet):
    state = fleet.dir / "hosts/master/var/cache/salt/master/wireguard"
    with (state / "reconcile.running").open("a") as running, (state / "reconcile.waiting").open("a") as waiting:
        fcntl.flock(running, fcntl.LOCK_EX)
        fcntl.flock(waiting, fcntl.LOCK_EX)
        code, said = steps.reconcile(fleet, "wait=False")
    assert code == 0
    assert list(said) == ["queued"]


def test_a_foreign_configuration_is_left_alone_and_stops_nobody_else(fleet):
    foreign = fleet.dir / "hosts/node3/etc/wireguard/wg1.conf"
    foreign.write_text(FOREIGN)
    second = {"interface": "wg1", "port": 51830, "subnets": ["10.43.0.0/16"], "nodes": {"*": {}}}
    both = yaml.safe_load(fleet.mesh_file.read_text())
    both["networks"]["second"] = second
    before = steps.configured(fleet, "node3")
    with steps.other_mesh(fleet, yaml.safe_dump(both)):
        code, said = steps.reconcile(fleet)
        assert code == 1
        assert list(said["failed"]) == ["node3"]
        assert "/etc/wireguard/wg1.conf was not written by these modules" in said["failed"]["node3"]
        fleet.must("exec", "node1", "ping", "-n", "-c1", "-W5", address_of(fleet, "node2", "second"))
        assert foreign.read_text() == FOREIGN
        assert not steps.has_device(fleet, "node3", "wg1")
        assert steps.configured(fleet, "node3") == before
        foreign.unlink()
        code, said = steps.reconcile(fleet)
        assert (code, said["failed"], said["silent"]) == (0, {}, [])
        assert steps.has_device(fleet, "node3", "wg1")
    fleet.salt_json("*", "wireguard.sync")
    assert not any(steps.has_device(fleet, node, "wg1") for node in NODES)


def address_of(fleet, node, network):
    rows = fleet.salt_run_json("wireguard.nodes", f"network={network}")["nodes"]
    return next(row["addresses"][0] for row in rows if row["node"] == node)


def test_no_private_key_is_anywhere_but_on_its_node(fleet):
    assert steps.leaks(fleet, steps.private_keys(fleet)) == []
