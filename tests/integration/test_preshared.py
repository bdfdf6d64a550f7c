"""A mesh in use gets preshared keys, other ones, rotates a key with them, and loses them again; streams go on."""

import stat

import pytest

import life
import steps

pytestmark = pytest.mark.slow

NODES = ["node1", "node2", "node3"]
OFF, ON = steps.mesh(NODES), steps.mesh(NODES, preshared_keys=True)


@pytest.fixture(scope="module")
def fleet(lab):
    """Three nodes without preshared keys, followed by the engine."""
    lab.up(len(NODES), mesh=OFF, trigger="engine")
    steps.build(lab, len(NODES))
    assert lab.ping()
    return lab


def preshared_keys(fleet):
    """(node, other node) -> the preshared key that the first has with the other; None where there is none."""
    names = {steps.public_key(fleet, node): node for node in NODES}
    shown = {node: fleet.must("exec", node, "wg", "show", "wg0", "preshared-keys").split() for node in NODES}
    pairs = [(node, *pair) for node, words in shown.items() for pair in zip(words[::2], words[1::2], strict=True)]
    return {(node, names[public_key]): None if key == "(none)" else key for node, public_key, key in pairs}


def assert_both_ends_agree(keys):
    assert {(other, node): key for (node, other), key in keys.items()} == keys
    assert len(set(keys.values())) == len(keys) / 2 == 3
    assert None not in keys.values()


def secret_file(fleet):
    return fleet.dir / "hosts/master/var/cache/salt/master/wireguard/preshared.secret"


def test_a_plan_tells_of_keys_to_come_and_cuts_nobody_off(fleet):
    new = fleet.dir / "preshared.yml"
    new.write_text(ON)
    _, said = life.ask(fleet, "plan", f"mesh={new}")
    assert {row["subject"] for row in said["changes"]} == {f"peer {node}" for node in NODES}
    assert {row["new"]["preshared_key"] for row in said["changes"]} == {"set"}
    assert "0 live sessions cut off" in said["answer"]
    assert not secret_file(fleet).exists()


def test_turned_on_every_pair_gets_a_key_of_its_own_and_no_packet_is_lost(fleet):
    with steps.stream(fleet, "node1", "node2") as seen:
        steps.edit_mesh(fleet, ON)
        steps.wait_until("every pair has a key", lambda: None not in preshared_keys(fleet).values())
        life.settle(fleet, *NODES)
    assert seen["lost"] == []
    assert_both_ends_agree(preshared_keys(fleet))
    assert stat.S_IMODE(secret_file(fleet).stat().st_mode) == 0o600


def test_a_node_that_boots_without_a_master_begins_new_sessions_with_its_keys(fleet):
    fleet.off("node1")
    fleet.on("node1", boot=True, salt=False)
    for node in ("node2", "node3"):
        address = steps.nodes(fleet)[node]["addresses"][0]
        fleet.must("exec", "node1", "ping", "-c", "1", "-W", "10", address)
    fleet.off("node1")
    fleet.on("node1", boot=True)
    life.await_answer(fleet, "node1")
    life.settle(fleet, *NODES)


def test_the_operator_sees_that_there_are_keys_and_not_which(fleet):
    told = fleet.salt_run("wireguard.view", "node1", "--out=json").stdout
    told += fleet.salt("node1", "wireguard.show").stdout + fleet.salt("node1", "wireguard.diff").stdout
    assert "(hidden)" in told
    assert not [key for key in preshared_keys(fleet).values() if key in told]


def test_another_secret_changes_all_keys_and_no_packet_is_lost(fleet):
    before = preshared_keys(fleet)
    with steps.stream(fleet, "node1", "node2") as seen:
        code, said = life.ask(fleet, "rotate_secret", "reason=an administrator left")
    assert (code, said["confirmed"], said["silent"]) == (0, NODES, [])
    assert seen["lost"] == []
    after = preshared_keys(fleet)
    assert_both_ends_agree(after)
    assert not set(before.values()) & set(after.values())
    assert "preshared" in life.whats(fleet, "node1")


def test_the_secret_stays_while_a_node_does_not_answer(fleet):
    before = secret_file(fleet).read_text()
    fleet.off("node3")
    refused = fleet.salt_run("wireguard.rotate_secret", "timeout=5").stdout
    assert "node3 did not answer within 5 s" in refused
    assert secret_file(fleet).read_text() == before
    fleet.on("node3", boot=True)
    life.await_answer(fleet, "node3")
    life.settle(fleet, *NODES)


def test_a_rotated_node_has_new_keys_with_everybody(fleet):
    before = preshared_keys(fleet)
    code, said = life.ask(fleet, "rotate", "node1")
    assert (code, said["rotations"][0]["rotated"]) == (0, True)
    life.settle(fleet, *NODES)
    after = preshared_keys(fleet)
    assert_both_ends_agree(after)
    assert {pair for pair, key in after.items() if key == before[pair]} == {("node2", "node3"), ("node3", "node2")}
    assert fleet.ping()


def test_while_changes_are_on_hold_the_secret_stays(fleet):
    before = secret_file(fleet).read_text()
    assert life.ask(fleet, "hold")[0] == 0
    assert "changes are on hold" in fleet.salt_run("wireguard.rotate_secret").stdout
    assert life.ask(fleet, "release")[0] == 0
    assert secret_file(fleet).read_text() == before


def test_turned_off_all_keys_go_and_no_packet_is_lost(fleet):
    with steps.stream(fleet, "node1", "node2") as seen:
        steps.edit_mesh(fleet, OFF)
        steps.wait_until("no pair has a key", lambda: set(preshared_keys(fleet).values()) == {None})
        life.settle(fleet, *NODES)
    assert seen["lost"] == []
    assert fleet.ping()
    assert "PresharedKey" not in str(steps.wireguard_files(fleet, "node1"))
