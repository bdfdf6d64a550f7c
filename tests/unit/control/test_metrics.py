"""What the master knows, as metrics."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from answering import Fleet
from factories import accept, mesh_text
from operating import operator_of
from saltext.wireguard.control import metrics
from saltext.wireguard.control.reconcile import reconcile
from saltext.wireguard.errors import LossError
from saltext.wireguard.master import pillar
from saltext.wireguard.registry.drains import Cause
from saltext.wireguard.rollout.hold import put_on_hold


@pytest.fixture
def fleet(tmp_path):
    return Fleet(tmp_path, "abc")


def samples(fleet):
    """name -> [(labels, value)]."""
    found = {}
    for family in text_string_to_metric_families(metrics.metrics(operator_of(fleet), None)):
        for each in family.samples:
            found.setdefault(each.name, []).append((each.labels, each.value))
    return found


def value(fleet, name):
    ((_, found),) = samples(fleet)[f"wireguard_mesh_{name}"]
    return found


def states(fleet):
    return {labels["state"]: count for labels, count in samples(fleet)["wireguard_mesh_nodes"] if count}


def test_nodes_are_counted_by_state(fleet):
    assert states(fleet) == {"in_sync": 3}
    accept(fleet.master, "d")
    assert states(fleet) == {"in_sync": 3, "never_registered": 1}
    fleet.change_everybody()
    assert states(fleet) == {"out_of_date": 3, "never_registered": 1}


def test_all_states_are_there_so_that_an_alert_sees_a_zero(fleet):
    known = {labels["state"] for labels, _ in samples(fleet)["wireguard_mesh_nodes"]}
    assert known >= {
        "in_sync",
        "out_of_date",
        "never_registered",
        "never_reported",
        "rolled_back",
        "drifted",
        "rotating",
        "by_ssh",
    }


def test_nodes_that_the_others_are_moved_off_are_counted(fleet):
    def drained():
        return {labels["by"]: count for labels, count in samples(fleet)["wireguard_mesh_drained"]}

    assert drained() == {"operator": 0, "failover": 0}
    fleet.master.registry.drains.begin("net", "a", Cause("failed_over", "failover", "", automatic=True))
    assert drained() == {"operator": 0, "failover": 1}


def test_nodes_that_are_not_in_sync_are_named(fleet):
    assert "wireguard_mesh_node_not_in_sync" not in samples(fleet)
    accept(fleet.master, "d")
    ((labels, count),) = samples(fleet)["wireguard_mesh_node_not_in_sync"]
    assert (labels, count) == ({"network": "net", "node": "d", "state": "never_registered"}, 1)


def test_but_not_more_than_so_many_of_them(fleet, monkeypatch):
    monkeypatch.setattr(metrics, "MOST_NODES", 2)
    fleet.change_everybody()
    assert [each["node"] for each, _ in samples(fleet)["wireguard_mesh_node_not_in_sync"]] == ["a", "b"]


def test_addresses_are_counted_by_what_became_of_them(fleet):
    found = {labels["state"]: count for labels, count in samples(fleet)["wireguard_mesh_addresses"]}
    assert found == {"used": 3, "reserved": 0, "excluded": 0, "quarantined": 0, "free": 251}


def test_an_invalid_mesh_file_is_a_metric_and_the_rest_is_there(fleet):
    fleet.mesh.write_text("networks: 5\n")
    found = samples(fleet)
    assert found["wireguard_mesh_file_valid"] == [({}, 0)]
    assert "wireguard_mesh_refusals" in found
    assert "wireguard_mesh_nodes" not in found


def test_so_is_one_that_would_take_most_nodes_out(tmp_path):
    fleet = Fleet(tmp_path, "abcdef")
    fleet.mesh.write_text(mesh_text("a: {}"))
    assert value(fleet, "file_valid") == 0


def test_reconciles_are_counted_and_timed_and_those_that_fail(fleet):
    operator = operator_of(fleet)
    reconcile(operator)
    assert (value(fleet, "reconcile_seconds_count"), value(fleet, "failed_reconciles_total")) == (1, 0)
    assert value(fleet, "reconcile_seconds_sum") > 0
    fleet.change_everybody()
    fleet.broken = {"b": "no space left"}
    assert reconcile(operator, timeout=1.0)["retcode"] == 1
    assert (value(fleet, "reconcile_seconds_count"), value(fleet, "failed_reconciles_total")) == (2, 1)


def test_one_that_raises_has_failed(tmp_path):
    fleet = Fleet(tmp_path, "abcdef")
    fleet.mesh.write_text(mesh_text("a: {}"))
    with pytest.raises(LossError):
        reconcile(operator_of(fleet))
    assert (value(fleet, "reconcile_seconds_count"), value(fleet, "failed_reconciles_total")) == (1, 1)


def test_pillars_of_nodes_are_counted_and_timed(fleet, tmp_path):
    opts = {
        "ext_pillar": [{"wireguard": {"mesh": str(fleet.mesh)}}],
        "pki_dir": str(tmp_path),
        "cachedir": str(tmp_path / "cache"),
    }
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache/wireguard").symlink_to(fleet.master.state_dir)
    assert pillar.views_for(opts, str(fleet.mesh), "a") is not None
    assert pillar.views_for(opts, str(fleet.mesh), "stranger") is None
    assert value(fleet, "pillar_seconds_count") == 1
    assert value(fleet, "pillar_seconds_sum") > 0


def test_what_waits_for_a_person_is_counted(fleet):
    assert [value(fleet, name) for name in ("warnings", "hold", "waiting_registrations", "refusals")] == [0, 0, 0, 0]
    put_on_hold(fleet.master.state_dir, "alice", "")
    fleet.master.registry.audit.refuse("net", 'x"\n', "it is not signed")
    assert [value(fleet, name) for name in ("warnings", "hold", "refusals")] == [1, 1, 1]


def test_a_file_is_written_for_node_exporter(fleet, tmp_path):
    path = tmp_path / "wireguard-master.prom"
    assert metrics.metrics(operator_of(fleet), str(path)) == str(path)
    assert "wireguard_mesh_file_valid{} 1\n" in path.read_text()
