"""The address of a name changes, and nobody does anything about it: the tunnel comes back by itself."""

import pytest

import steps

pytestmark = pytest.mark.slow

# The schedule of the minion: 90 seconds and at most 30 more, on a machine that may do other things.
PATIENCE = 240


def mesh(endpoint):
    """Only node1 calls: node2 has no other way to it than to be called."""
    return steps.mesh({"node1": {"endpoint": False}, "node2": {"endpoint": endpoint}}, keepalive=5)


def schedule(lab):
    return lab.salt_json("node1", "schedule.list", "return_yaml=False")["node1"]


@pytest.fixture(scope="module")
def fleet(lab):
    """A name that leads nowhere, and so no tunnel."""
    lab.up(2, mesh=mesh("db.test"))
    lab.recorder = steps.Recorder(lab)
    lab.must("point", "db.test", "10.66.0.99")
    assert steps.reconcile(lab)[0] == 0
    assert steps.in_sync(lab, "node1", "node2")
    (peer,) = steps.peers(lab, "node1").values()
    assert peer["endpoint"] == "10.66.0.99:51820"
    return lab


def test_the_minion_has_a_schedule_for_it(fleet):
    steps.wait_until("node1 has the schedule", lambda: "wireguard_reresolve" in schedule(fleet))
    assert "wireguard_reresolve" not in fleet.salt_json("node2", "schedule.list", "return_yaml=False")["node2"]


def test_the_tunnel_comes_back_by_itself_when_the_name_points_elsewhere(fleet):
    fleet.must("point", "db.test", "10.66.0.12")
    steps.wait_until(
        "node1 calls node2 at its new address",
        lambda: [peer["endpoint"] for peer in steps.peers(fleet, "node1").values()] == ["10.66.0.12:51820"],
        PATIENCE,
    )
    assert fleet.ping()
    heard = [data.get("fun") for _tag, data in fleet.recorder.all()]
    assert "schedule.list" in heard, "nothing was heard at all"
    assert "wireguard.reresolve" not in heard


def test_without_a_name_the_schedule_goes_although_no_state_ran(fleet):
    steps.edit_mesh(fleet, mesh("10.66.0.12"))
    code, result = steps.reconcile(fleet)
    assert (code, result["confirmed"]) == (0, ["node1"])
    steps.wait_until("the schedule is gone", lambda: "wireguard_reresolve" not in schedule(fleet))
    assert fleet.ping()
