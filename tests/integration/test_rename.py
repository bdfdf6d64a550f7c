"""A minion that has another id goes on as the same node."""

import pytest

import life
import steps

pytestmark = pytest.mark.slow

OLD, NEW = "node2", "web01"


@pytest.fixture(scope="module")
def fleet(lab):
    """A mesh, and a machine in it whose minion gets another id while it boots."""
    lab.up(2, mesh=steps.mesh({"*": {}}), trigger="engine")
    steps.build(lab, 2)
    lab.before = steps.nodes(lab)[OLD], steps.public_key(lab, OLD)
    config = lab.dir / "hosts" / OLD / "etc/salt/minion"
    lab.off(OLD)
    config.write_text(config.read_text().replace(f'id: "{OLD}"', f'id: "{NEW}"'))
    lab.on(OLD, boot=True, salt=False)
    return lab


def call(lab, *args):
    """As its minion."""
    return lab.exec(OLD, "salt-call", *args)


def test_its_salt_key_is_the_same_and_asks_to_be_accepted_under_the_new_id(fleet):
    assert call(fleet, "test.ping").returncode != 0
    life.accept(fleet, NEW)
    assert call(fleet, "test.ping").returncode == 0


def test_until_an_operator_says_so_it_is_taken_for_a_clone(fleet):
    said = call(fleet, "wireguard.apply", "wait=5")
    assert said.returncode != 0
    (reason,) = [each["reason"] for each in steps.refused(fleet) if each["node"] == NEW]
    assert "a cloned machine?" in reason
    assert f"salt-run wireguard.rename {OLD} {NEW}" in reason


def test_by_one_command_it_has_its_key_its_address_and_its_history(fleet):
    said = fleet.salt_run("wireguard.rename", OLD, NEW, "reason=new scheme")
    assert f"{OLD} is {NEW} now in backbone; its Salt key is accepted still: `salt-key -d {OLD}`" in said.stdout
    row, key = fleet.before
    after = steps.nodes(fleet)[NEW]
    assert (after["public_key"], after["addresses"]) == (key, row["addresses"]) == (row["public_key"], row["addresses"])
    assert life.whats(fleet, NEW)[-1] == "renamed"
    assert "registered" in life.whats(fleet, NEW)


def test_its_device_stays_and_the_others_know_it_by_the_new_name(fleet):
    assert fleet.salt_key("-y", "-d", OLD).returncode == 0
    steps.reconcile(fleet)

    def in_sync():
        """No minion runs on it, so it does by itself what a reconcile would ask it for."""
        return call(fleet, "wireguard.sync").returncode == 0 and steps.in_sync(fleet, "node1", NEW)

    steps.wait_until("both are in sync", in_sync)
    assert steps.public_key(fleet, OLD) == fleet.before[1]
    assert fleet.before[1] in steps.peers(fleet, "node1")
    assert f"\n# {NEW}\n" in fleet.must("exec", "node1", "cat", "/etc/wireguard/wg0.conf")
