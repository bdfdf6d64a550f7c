"""Which live sessions a change cuts off."""

import pytest

from factories import change, subject
from saltext.wireguard.device.disruption import cuts, disturbed, public_keys
from saltext.wireguard.model.answers import ALL, Sessions, total
from saltext.wireguard.model.device import Device, DevicePeer
from saltext.wireguard.model.view import Peer

NOW = 1_700_000_000


def have(key, *allowed_ips, ago=10):
    return DevicePeer(key, None, frozenset(allowed_ips), NOW - ago if ago else 0, 0, 0, 0, None)


DEVICE = Device(
    interface="wg0",
    up=True,
    public_key="own",
    port=51820,
    mtu=1420,
    addresses=frozenset({"10.42.0.1/24"}),
    routes=frozenset({"10.9.0.0/24"}),
    peers={
        "A": have("A", "10.42.0.2/32"),
        "B": have("B", "10.9.0.0/24"),
        "C": have("C", ago=1000),
        "D": have("D", ago=0),
    },
)
PEERS = [Peer(name.lower(), name, ()) for name in "ABCD"]


def by(words, old, new):
    return cuts((change(words, old, new),), public_keys(PEERS, DEVICE)).get(subject(words))


@pytest.mark.parametrize(
    ("words", "old", "new"),
    [
        ("interface wg0", "present", None),
        ("private key", {"public_key": "x"}, {"public_key": "y"}),
        ("listen port", "51820", "4500"),
        ("address 10.42.0.1/24", "10.42.0.1/24", None),
    ],
)
def test_what_the_node_itself_loses_cuts_all_sessions(words, old, new):
    assert by(words, old, new) == ALL


@pytest.mark.parametrize(
    ("words", "old", "new"),
    [
        ("device", None, "wg0"),
        ("address 10.43.0.1/24", None, "10.43.0.1/24"),
        ("mtu", "1420", "1380"),
        ("link", "down", "up"),
        ("route 10.8.0.0/24", None, "10.8.0.0/24"),
        ("peer a", {"endpoint": "192.0.2.1:1"}, {"endpoint": "192.0.2.2:1"}),
        ("peer a", {"keepalive": 0}, {"keepalive": 25}),
        ("peer a", {"allowed_ips": ["x"]}, {"allowed_ips": ["x", "y"]}),
        ("peer e", None, {"public_key": "E", "allowed_ips": []}),
        ("peer a", {"preshared_key": "set"}, {"preshared_key": "changed"}),
        ("/etc/wireguard/wg0.conf", None, "written"),
    ],
)
def test_what_is_gained_or_moved_cuts_none(words, old, new):
    assert by(words, old, new) is None


def test_a_peer_that_goes_changes_its_key_or_loses_networks_is_cut_off():
    assert by("peer a", {"public_key": "A"}, None) == "A"
    assert by("peer a", {"public_key": "A", "allowed_ips": []}, {"public_key": "N", "allowed_ips": []}) == "A"
    assert by("peer a", {"allowed_ips": ["x", "y"]}, {"allowed_ips": ["y"]}) == "A"


def test_a_route_that_goes_cuts_off_whom_it_leads_to():
    assert by("route 10.9.0.0/24", "10.9.0.0/24", None) == "B"


def test_only_live_sessions_are_counted():
    def count(words, old, new=None):
        return {str(each): number for each, number in disturbed((change(words, old, new),), PEERS, DEVICE, NOW).items()}

    assert Sessions.of(DEVICE, NOW).count == 2
    assert count("interface wg0", "present") == {"interface wg0": 2}
    assert count("peer a", {"public_key": "A"}) == {"peer a": 1}
    assert count("peer c", {"public_key": "C"}) == {}  # too long ago
    assert count("peer d", {"public_key": "D"}) == {}  # never
    assert disturbed((change("interface wg0", "present"),), (), None, NOW) == {}


def test_a_session_that_several_changes_cut_off_counts_once():
    assert total({}) == 0
    peers = {subject("peer a"): 1, subject("peer b"): 1}
    assert total({**peers, subject("route 10.9.0.0/24"): 1}) == 2
    assert total({**peers, subject("listen port"): 5, subject("private key"): 5}) == 5
