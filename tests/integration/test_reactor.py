"""With the reactor, nodes that come, go and change keys reach all others by themselves, and nobody loses a packet."""

import pytest

import forgery
import steps

NODES = ["node1", "node2", "node3", "node4"]
STREAM = ("node1", "node4")  # concerned by nothing that happens to the others


@pytest.fixture(scope="module")
def fleet(lab):
    """A mesh of four nodes, whose events are recorded and whose private keys are remembered."""
    lab.up(len(NODES), trigger="reactor", synced=False)
    lab.recorder = steps.Recorder(lab)
    steps.build(lab, len(NODES))
    lab.keys = steps.private_keys(lab)
    return lab


def all_have(lab, names, wanted):
    """Whether each of the nodes has exactly the others' keys."""
    return all(set(steps.peers(lab, name)) == wanted - {wanted_of} for name, wanted_of in names.items())


def keys_of(lab, names):
    return {name: steps.public_key(lab, name) for name in names}


def test_a_join_reaches_everybody_without_a_command(fleet):
    with steps.stream(fleet, *STREAM) as packets:
        fleet.add("node5")
        names = [*NODES, "node5"]
        steps.wait_until("node5 in sync with all others", lambda: steps.in_sync(fleet, *names))
        assert fleet.ping(wait=30)
    keys = keys_of(fleet, names)
    assert all_have(fleet, keys, set(keys.values()))
    assert packets["lost"] == [], packets


def test_after_a_removal_nobody_has_its_key(fleet):
    fleet.keys |= steps.private_keys(fleet)
    gone = steps.public_key(fleet, "node2")
    left = ["node1", "node3", "node4", "node5"]
    with steps.stream(fleet, *STREAM) as packets:
        fleet.remove("node2")
        steps.wait_until("the others dropped it", lambda: not [n for n in left if gone in steps.peers(fleet, n)])
        steps.wait_until("the others in sync", lambda: steps.in_sync(fleet, *left))
    assert fleet.ping()
    assert packets["lost"] == [], packets
    assert [name for name in left if gone in steps.wireguard_files(fleet, name)["wg0.conf"]] == []


def test_a_reinstalled_node_keeps_its_addresses_and_its_old_key_is_gone_everywhere(fleet):
    before = steps.nodes(fleet)
    names = list(before)
    fleet.keys |= steps.private_keys(fleet)
    with steps.stream(fleet, *STREAM) as packets:
        fleet.reinstall("node3")
        steps.wait_until("node3 in sync with a new key", lambda: steps.in_sync(fleet, *names))
    after = steps.nodes(fleet)
    assert after["node3"]["addresses"] == before["node3"]["addresses"]
    assert after["node3"]["public_key"] != before["node3"]["public_key"]
    assert [name for name in names if before["node3"]["public_key"] in steps.peers(fleet, name)] == []
    assert fleet.ping()
    assert packets["lost"] == [], packets


def test_after_an_edit_of_the_mesh_file_the_operator_reconciles(fleet):
    names = sorted(steps.nodes(fleet))
    with steps.other_mesh(fleet, steps.mesh({"*": {}, "node5": {"port": 51999}})):
        code, said = steps.reconcile(fleet)
        assert (code, said["asked"], said["confirmed"], said["silent"], said["failed"]) == (0, names, names, [], {})
        port = {peer["endpoint"].rsplit(":")[-1] for peer in steps.peers(fleet, "node1").values()}
        assert "51999" in port
    assert steps.reconcile(fleet)[1]["confirmed"] == names
    assert steps.reconcile(fleet)[1]["asked"] == []


def test_the_return_of_a_reconcile_names_who_is_silent(fleet):
    names = sorted(steps.nodes(fleet))
    fleet.off("node5")
    try:
        with steps.other_mesh(fleet, steps.mesh({"*": {}, "node3": {"port": 51998}})):
            code, said = steps.reconcile(fleet, "timeout=6")
            assert code == 1
            assert said["silent"] == ["node5"]
            assert said["confirmed"] == [name for name in names if name != "node5"]
    finally:
        fleet.on("node5")
    steps.reconcile(fleet)
    steps.wait_until("node5 in sync", lambda: steps.in_sync(fleet, *names))


def test_a_node_that_changes_its_key_is_followed(fleet):
    names = list(steps.nodes(fleet))
    old = steps.public_key(fleet, "node3")
    fleet.must("exec", "node3", "mv", "/etc/wireguard/wg0.key", "/etc/wireguard/old.key")
    fleet.salt_json("node3", "wireguard.sync")
    steps.wait_until("node3 in sync", lambda: steps.in_sync(fleet, *names))
    assert steps.public_key(fleet, "node3") != old
    assert [name for name in names if old in steps.peers(fleet, name)] == []
    assert fleet.ping()


def test_forged_and_replayed_events_change_nothing(fleet):
    fleet.members = sorted(steps.nodes(fleet))
    forgery.check(fleet, liar="node1", victim="node4")


def test_no_private_key_is_anywhere_but_on_its_node(fleet):
    assert len(fleet.recorder.events("wireguard/register")) > len(NODES)
    assert steps.leaks(fleet, fleet.keys | steps.private_keys(fleet)) == []
