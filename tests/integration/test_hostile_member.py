"""The most telling of what a root-compromised member can do to the others; ``test_attack`` has the rest."""

import time

import pytest

import hostile
import steps
from hostile import LIAR, VICTIM
from saltext.wireguard.model.statements import REGISTER_TAG, REPORT_TAG, Registration, Report, sign
from test_trust import event, private_pem, registry, send

pytestmark = pytest.mark.attack

NODES = ["node1", "node2", "node3"]


@pytest.fixture(scope="module")
def fleet(lab):
    hostile.build(lab, NODES, steps.mesh(NODES))
    return lab


@pytest.fixture(autouse=True)
def nobody_else_loses_anything(fleet):
    with hostile.nobody_else_loses_anything(fleet, NODES):
        yield


def test_an_announcement_of_anothers_key_is_refused_and_takes_nothing_from_it(fleet):
    """The check for foreign keys deleted the row of the node whose key it was."""
    key = steps.public_key(fleet, VICTIM)
    hostile.answers(fleet, rotate_prepare=hostile.announcement(fleet, key))
    row = hostile.rotate(fleet, LIAR)
    assert registry(fleet).snapshot().rows[steps.NETWORK, VICTIM].public_key == key
    assert row["rotated"] is False
    assert "is already that of" in row["comment"]
    assert registry(fleet).snapshot().rows[steps.NETWORK, LIAR].next_key is None


def test_a_revoked_member_with_all_its_old_statements_stays_out(fleet):
    """Everything that it ever signed is played again, and new statements are added."""
    pem, key = private_pem(fleet, LIAR), steps.public_key(fleet, LIAR)
    recorder = steps.Recorder(fleet)
    fleet.salt_json(LIAR, "wireguard.sync")
    done = fleet.salt_run("wireguard.revoke", LIAR, "reason=test", "--out=json")
    try:
        assert done.returncode == 0, done.stdout + done.stderr
        old = [data for tag, data in recorder.all() if tag in (REGISTER_TAG, REPORT_TAG)]
        now = time.time_ns()
        new = [
            event(REGISTER_TAG, {"signed": sign(Registration(LIAR, steps.NETWORK, key, (), 51820, now), pem)}),
            event(REPORT_TAG, {"signed": sign(Report(LIAR, steps.NETWORK, "0" * 64, now + 1), pem)}),
        ]
        send(fleet, LIAR, [*[event(REGISTER_TAG, data.get("data")) for data in old], *new])
        for node in NODES[1:]:  # by the pillar in memory, which is from before
            fleet.salt_json(node, "wireguard.apply")
        time.sleep(3)
        assert [node for node in NODES if node != LIAR and key in steps.peers(fleet, node)] == []
    finally:
        fleet.salt_run("wireguard.readmit", LIAR)
