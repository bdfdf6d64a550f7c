"""Two machines with one minion id: which of them is the node is decided, the other one is named and kept out."""

import pytest

import life
import steps

pytestmark = pytest.mark.slow

NODES = ["node1", "node2", "node3"]
ORIGINAL, CLONE = "node2", "copy"
STREAM = ("node1", ORIGINAL)


@pytest.fixture(scope="module")
def fleet(lab):
    """A mesh, and a machine with a copy of the disk of one of its nodes."""
    lab.up(len(NODES), mesh=steps.mesh(NODES), trigger="engine")
    steps.build(lab, len(NODES))
    lab.key = steps.public_key(lab, ORIGINAL)
    return lab


def cloned(lab):
    """How often two machines with one Salt key were noticed."""
    return life.whats(lab, ORIGINAL).count("cloned")


def test_a_clone_is_noticed_when_it_sets_its_interface_up_and_has_to_take_it_down(fleet):
    fleet.clone(ORIGINAL, CLONE)
    with steps.stream(fleet, *STREAM) as packets:
        fleet.exec(CLONE, "salt-call", "state.apply", "wireguard")
        steps.wait_until("it is noticed", lambda: cloned(fleet) == 1, life.UNTOLD_SECONDS)
        steps.wait_until("it took it down", lambda: not steps.has_device(fleet, CLONE), life.UNTOLD_SECONDS)
    assert packets["lost"] == [], packets
    assert "wg0.conf" not in steps.wireguard_files(fleet, CLONE)


def test_the_original_is_the_node_still(fleet):
    life.settle(fleet, *NODES)
    assert steps.public_key(fleet, ORIGINAL) == fleet.key
    assert fleet.key in steps.peers(fleet, "node1")


def test_what_the_clone_does_fails_and_says_what_to_do(fleet):
    said = fleet.exec(CLONE, "salt-call", "state.apply", "wireguard")
    assert said.returncode != 0
    assert f"this machine is a copy of another one that runs as {ORIGINAL} with the same Salt key" in said.stdout
    assert not steps.has_device(fleet, CLONE)


def test_what_the_clone_says_is_refused_and_the_operator_gets_to_know(fleet):
    signed = fleet.must("exec", CLONE, "salt-call", "--out=json", "wireguard.record", steps.NETWORK)
    record = steps.documents(signed)[0]["local"]
    steps.send_events(fleet, CLONE, [("wireguard/register", {"signed": record})])
    reason = f"a second machine uses the Salt key of {ORIGINAL}"
    steps.wait_until("refused", lambda: [each for each in steps.refused(fleet) if reason in each["reason"]])
    assert reason in fleet.log("master")


def test_a_clone_that_boots_is_noticed_again(fleet):
    fleet.off(CLONE)
    fleet.on(CLONE, boot=True)
    assert not steps.has_device(fleet, CLONE)
    with steps.stream(fleet, *STREAM) as packets:
        fleet.salt(ORIGINAL, "state.apply", "wireguard")
        steps.wait_until("it is noticed", lambda: cloned(fleet) == 2, life.UNTOLD_SECONDS)
        steps.wait_until("it took it down", lambda: not steps.has_device(fleet, CLONE), life.UNTOLD_SECONDS)
    assert packets["lost"] == [], packets


def test_an_original_that_boots_is_the_node_still(fleet):
    fleet.off(ORIGINAL)
    fleet.on(ORIGINAL, boot=True)
    fleet.salt(ORIGINAL, "state.apply", "wireguard")
    life.settle(fleet, *NODES)
    steps.wait_until("its tunnels are back", lambda: steps.has_device(fleet, ORIGINAL))
    assert not steps.has_device(fleet, CLONE)


def test_a_machine_with_the_same_id_and_a_salt_key_of_its_own_is_denied_and_named(fleet):
    fleet.must("exec", CLONE, "sh", "-c", "rm -r $SALT_CONFIG_DIR/pki/minion/*; kill $(ps -C salt-minion -o pid=)")
    warning = (
        f"another machine presents itself as {ORIGINAL} with a Salt key of its own; Salt denies it (`salt-key -L`)"
    )
    steps.wait_until("named", lambda: warning in fleet.salt_run_json("wireguard.nodes")["warnings"])
    assert steps.failures(steps.state_apply(fleet, ORIGINAL)) == []
    life.settle(fleet, *NODES)


def test_a_clone_that_gets_a_minion_id_of_its_own_is_another_node(fleet):
    fleet.reinstall(CLONE)
    steps.edit_mesh(fleet, steps.mesh([*NODES, CLONE]))
    fleet.salt(CLONE, "state.apply", "wireguard")
    life.settle(fleet, *NODES, CLONE)
    assert fleet.ping()
