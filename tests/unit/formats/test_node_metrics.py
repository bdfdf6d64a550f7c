"""What a node's devices say, as metrics; the names and labels are those that dashboards know."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from factories import public_key
from saltext.wireguard.formats.node_metrics import Interface, node_metrics
from saltext.wireguard.formats.prometheus import render
from saltext.wireguard.model.device import Device, DevicePeer

NOW = 1_800_000_000
LABELS = {"interface": "wg0", "public_key": public_key("db1"), "allowed_ips": "10.42.0.5/32,fd42::5/128"}


def peer(name, age=None, keepalive=0, tx=0, endpoint="192.0.2.5:51820"):
    allowed = frozenset({"fd42::5/128", "10.42.0.5/32"})
    handshake = NOW - age if age is not None else 0
    return DevicePeer(public_key(name), endpoint, allowed, handshake, 100, tx, keepalive, None)


def interface(*peers, name="wg0", up=True, names=("db1", "db2", "db3")):
    device = Device(name, up, "own", 51820, 1420, frozenset(), frozenset(), {each.public_key: each for each in peers})
    return Interface(name, "backbone", device, {public_key(each): each for each in names})


def samples(*interfaces, most=100):
    """name -> [(labels, value)]."""
    found = {}
    for family in text_string_to_metric_families(render(node_metrics(interfaces, most, NOW))):
        for each in family.samples:
            found.setdefault(each.name, []).append((each.labels, each.value))
    return found


def states(found):
    return {labels["state"]: value for labels, value in found["wireguard_mesh_peers"] if value}


def test_traffic_and_handshakes_have_the_names_and_labels_of_the_usual_exporter():
    found = samples(interface(peer("db1", 7, tx=200)))
    labels = {**LABELS, "friendly_name": "db1"}
    assert found["wireguard_sent_bytes_total"] == [(labels, 200)]
    assert found["wireguard_received_bytes_total"] == [(labels, 100)]
    assert found["wireguard_latest_handshake_seconds"] == [(labels, NOW - 7)]
    assert found["wireguard_peer_up"] == [(labels, 1)]


def test_a_handshake_that_never_was_is_at_zero_and_the_peer_is_not_up():
    found = samples(interface(peer("db1")))
    assert found["wireguard_latest_handshake_seconds"][0][1] == 0
    assert found["wireguard_peer_up"][0][1] == 0


def test_an_endpoint_is_a_label_of_the_info_alone_as_one_that_roams_makes_new_series():
    found = samples(interface(peer("db1", 7)))
    with_endpoint = [name for name, each in found.items() if any("endpoint" in labels for labels, _ in each)]
    assert with_endpoint == ["wireguard_peer_info"]
    ((labels, value),) = found["wireguard_peer_info"]
    assert value == 1
    assert labels.items() >= {"device": "wg0", "name": "db1", "endpoint": "192.0.2.5:51820"}.items()


@pytest.mark.parametrize(
    ("one", "state"),
    [
        (peer("db1", 7), "up"),
        (peer("db1", 400), "idle"),
        (peer("db1", 200, keepalive=25), "stale"),
        (peer("db1", 400, keepalive=25), "down"),
        (peer("db1", tx=148), "down"),
    ],
)
def test_peers_are_counted_by_the_states_that_status_has(one, state):
    assert states(samples(interface(one))) == {state: 1}


def test_all_states_are_there_so_that_an_alert_sees_a_zero():
    found = samples(interface())["wireguard_mesh_peers"]
    assert {labels["state"]: value for labels, value in found} == {"up": 0, "idle": 0, "stale": 0, "down": 0}


def test_the_number_of_peers_with_series_is_limited_and_the_sums_are_of_all():
    found = samples(interface(peer("db3", 7), peer("db1", 7), peer("db2")), most=2)
    assert [labels["friendly_name"] for labels, _ in found["wireguard_peer_up"]] == ["db1", "db2"]
    assert states(found) == {"up": 2, "idle": 1}
    assert [found[f"wireguard_{kind}_peers"][0][1] for kind in ("configured", "connected")] == [3, 2]


def test_the_limit_is_one_of_all_interfaces_together():
    found = samples(interface(peer("db1")), interface(peer("db2"), peer("db3"), name="wg1"), most=2)
    assert [labels["interface"] for labels, _ in found["wireguard_peer_up"]] == ["wg0", "wg1"]


def test_without_series_of_peers_there_are_sums_alone():
    assert set(samples(interface(peer("db1", 7)), most=0)) == {
        "wireguard_mesh_interface_up",
        "wireguard_mesh_peers",
        "wireguard_configured_peers",
        "wireguard_connected_peers",
    }


def test_an_interface_that_is_gone_or_down_is_not_up():
    found = samples(Interface("wg0", "backbone", None), interface(up=False, name="wg1"), interface(name="wg2"))
    assert [value for _, value in found["wireguard_mesh_interface_up"]] == [0, 0, 1]


def test_an_interface_described_by_hand_has_no_network():
    found = samples(Interface("wg9", None, None))
    assert found["wireguard_mesh_interface_up"] == [({"interface": "wg9", "network": ""}, 0)]
