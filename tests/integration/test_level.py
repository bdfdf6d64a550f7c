"""
Nothing on the master handles events: whatever happened meanwhile, the next reconcile or state run puts it right, also
at nodes that were off when it happened.
"""

import pytest

import life
import steps

pytestmark = pytest.mark.slow

NODES = ["node1", "node2", "node3", "node4"]
LEFT = ["node1", "node2", "node3"]


@pytest.fixture(scope="module")
def fleet(lab):
    """A mesh of four nodes."""
    lab.up(len(NODES), trigger="none")
    lab.recorder = steps.Recorder(lab)
    assert life.ask(lab, "reconcile")[0] == 0
    assert steps.in_sync(lab, *NODES)
    assert lab.ping()
    return lab


def reconcile(fleet, *args):
    """A reconcile that leaves nothing to do."""
    code, said = life.ask(fleet, "reconcile", *args)
    assert (code, said["failed"], said["silent"], said["unregistered"]) == (0, {}, [], [])
    return said


def take_out_of_the_mesh_file(fleet):
    steps.edit_mesh(fleet, steps.mesh(LEFT))


def put_into_the_mesh_file(fleet):
    steps.edit_mesh(fleet, steps.mesh({"*": {}}))


def delete_salt_key(fleet):
    assert fleet.salt_key("-y", "-d", "node4").returncode == 0


def accept_salt_key(fleet):
    fleet.off("node4")
    fleet.on("node4", boot=True)  # a minion that runs does not ask to be accepted again
    life.accept(fleet, "node4")
    life.await_answer(fleet, "node4")


def revoke(fleet):
    """Of the registry alone, as if the command had been killed before it asked anybody."""
    script = (
        "from saltext.wireguard.registry.registry import Registry;"
        " Registry({!r}).admissions.revoke('backbone', 'node4', 'alice', '')"
    )
    path = fleet.dir / "hosts/master/var/cache/salt/master/wireguard/registry.db"
    utils = steps.HERE.parents[1] / "_utils"
    fleet.must("exec", "master", "env", f"PYTHONPATH={utils}", "python3", "-c", script.format(str(path)))


def readmit(fleet):
    assert life.ask(fleet, "readmit", "node4")[0] == 0


REMOVALS = [
    pytest.param(take_out_of_the_mesh_file, put_into_the_mesh_file, id="mesh file"),
    pytest.param(delete_salt_key, accept_salt_key, id="Salt key"),
    pytest.param(revoke, readmit, id="revoked"),
]


@pytest.mark.parametrize(("remove", "put_back"), REMOVALS)
def test_a_removal_that_nobody_told_of_is_made_good_by_the_next_reconcile(fleet, remove, put_back):
    key = steps.public_key(fleet, "node4")
    remove(fleet)
    assert life.holders(fleet, key) == LEFT
    reconcile(fleet)
    assert life.holders(fleet, key) == []
    assert steps.in_sync(fleet, *LEFT)
    put_back(fleet)
    reconcile(fleet)
    assert steps.in_sync(fleet, *NODES)
    assert fleet.ping()


@pytest.mark.parametrize(("remove", "put_back"), REMOVALS)
def test_a_removal_that_nobody_told_of_is_made_good_by_state_runs(fleet, remove, put_back):
    key = steps.public_key(fleet, "node4")
    remove(fleet)
    applied = steps.state_apply(fleet, "node[123]")
    assert (sorted(applied), steps.failures(applied)) == (LEFT, [])
    assert life.holders(fleet, key) == []
    put_back(fleet)
    reconcile(fleet, "everybody=True")  # nobody heard the three say that they had dropped it
    assert steps.in_sync(fleet, *NODES)
    assert fleet.ping()


def test_a_key_change_that_nobody_heard_of_is_found_when_everybody_is_asked(fleet):
    old = steps.public_key(fleet, "node2")
    fleet.must("exec", "node2", "rm", "/etc/wireguard/wg0.key")
    fleet.salt_json("node2", "wireguard.sync")
    assert fleet.ping()  # until the master knows the new key, the device keeps the old one
    said = reconcile(fleet, "everybody=True")
    assert said["asked"] == NODES
    assert steps.public_key(fleet, "node2") != old
    assert life.holders(fleet, old) == []
    assert steps.in_sync(fleet, *NODES)
    assert fleet.ping()


def test_what_somebody_did_to_a_device_by_hand_is_found_when_everybody_is_asked(fleet):
    fleet.must("exec", "node2", "wg", "set", "wg0", "peer", steps.public_key(fleet, "node1"), "remove")
    assert reconcile(fleet)["asked"] == []
    assert reconcile(fleet, "everybody=True")["asked"] == NODES
    assert fleet.ping()


def test_a_node_that_was_off_comes_back_as_it_was_and_is_right_after_the_next_reconcile(fleet):
    rows = steps.nodes(fleet)
    addresses = rows["node2"]["addresses"]
    replaced = steps.public_key(fleet, "node2")
    old_keys = [rows[node]["public_key"] for node in ("node1", "node2", "node4")]
    fleet.off("node3")

    # a rotation, a removal, a join under the addresses of the node removed, and a machine with an empty disk
    assert life.ask(fleet, "rotate", "node1", "timeout=10")[0] == 0
    code, said = life.ask(fleet, "revoke", "node2", "timeout=10")
    assert (code, [row["node"] for row in said["missing"]]) == (1, ["node3"])
    steps.edit_mesh(fleet, steps.mesh({"*": {}, "node5": {"addresses": addresses}}))
    fleet.add("node5")
    fleet.reinstall("node4")
    assert life.ask(fleet, "reconcile", "timeout=10")[1]["silent"] == ["node3"]
    assert steps.nodes(fleet)["node5"]["addresses"] == addresses

    # its configuration is of the time before: nobody has the key that it sends to under these addresses
    fleet.on("node3", boot=True)
    stale = steps.peers(fleet, "node3")
    assert set(stale) == set(old_keys)
    assert stale[replaced]["allowed_ips"][0].partition("/")[0] in addresses
    for address in addresses:
        assert fleet.exec("node3", "ping", "-n", "-c2", "-W1", address).returncode == 1
    assert steps.peers(fleet, "node3")[replaced]["handshake"] == 0
    key = steps.public_key(fleet, "node3")
    assert steps.peers(fleet, "node5")[key]["handshake"] == 0

    reconcile(fleet)
    assert not set(old_keys) & set(steps.peers(fleet, "node3"))
    for address in addresses:
        fleet.must("exec", "node3", "ping", "-n", "-c1", "-W5", address)
    assert steps.peers(fleet, "node5")[key]["handshake"] > 0
    assert steps.in_sync(fleet, "node1", "node3", "node4", "node5")
    assert not steps.has_device(fleet, "node2")
    fleet.remove("node2")  # it has no tunnels, and `ping` would look for them
    assert fleet.ping()
    for old in old_keys:
        assert life.holders(fleet, old) == []


def test_each_entry_of_the_history_is_an_event_once_also_of_what_nobody_told(fleet):
    life.check_each_entry_was_announced_once(fleet)
    assert {"revoked", "readmitted", "removed", "joined", "rotating", "rotated", "rekeyed", "reinstalled"} <= {
        data["what"] for _, data in life.announced(fleet)
    }


def test_no_private_key_is_anywhere_but_on_its_node(fleet):
    assert steps.leaks(fleet, steps.private_keys(fleet)) == []
