"""The metrics that a minion writes for node_exporter."""

import pytest
from prometheus_client.parser import text_string_to_metric_families
from views import key, registered


def samples(text):
    return {
        (each.name, each.labels.get("friendly_name") or each.labels.get("network")): each.value
        for family in text_string_to_metric_families(text)
        for each in family.samples
    }


@pytest.fixture
def applied(host, tunnels):
    """A node with a session with node2 alone."""
    registered(host)
    host.call("apply")
    tunnels.connect(key("node2"))
    return host


def test_peers_have_their_names(applied):
    found = samples(applied.call("metrics"))
    assert found["wireguard_mesh_interface_up", "backbone"] == 1
    assert {name: found["wireguard_peer_up", name] for name in ("node2", "node3", "node4")} == {
        "node2": 1,
        "node3": 0,
        "node4": 0,
    }


def test_nothing_is_written_but_the_file(applied, tmp_path):
    applied.forget_commands()
    path = tmp_path / "wireguard.prom"
    assert applied.call("metrics", file=str(path), peers=0) == str(path)
    assert applied.writing_commands() == []
    assert samples(path.read_text())["wireguard_connected_peers", None] == 1
    assert "wireguard_peer_up" not in path.read_text()


def test_a_device_that_is_gone_is_a_metric_and_no_error(applied):
    applied.machine.devices.clear()
    assert samples(applied.call("metrics")) == {("wireguard_mesh_interface_up", "backbone"): 0}


def test_so_is_one_that_cannot_be_read(applied):
    applied.machine.failing = {"wg show wg0 dump": "Unable to access interface: Protocol not supported"}
    assert samples(applied.call("metrics")) == {("wireguard_mesh_interface_up", "backbone"): 0}


def test_a_minion_in_no_network_has_no_metrics(host):
    assert host.call("metrics") == ""


@pytest.mark.parametrize("peers", [-1, True, "5"])
def test_a_limit_that_makes_no_sense_is_an_error(host, peers):
    assert "peers: must be a whole number" in host.error("metrics", peers=peers)


def test_any_other_file_is_refused(host):
    assert "must be an absolute path that ends with .prom" in host.error("metrics", file="/etc/passwd")
