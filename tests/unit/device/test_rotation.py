"""Which of a rotating peer's two keys has the addresses, and the commands that follow from it."""

import base64
import hashlib
from dataclasses import replace

import pytest

from factories import config_file, in_words
from saltext.wireguard.device.diff import diff
from saltext.wireguard.device.operations import Applied, command_lines
from saltext.wireguard.device.parse import handshakes
from saltext.wireguard.device.rotation import (
    contract,
    echo_addresses,
    expand,
    handshaken_again,
    move,
    next_key_is_in_use,
)
from saltext.wireguard.errors import DeviceError
from saltext.wireguard.formats import wg_quick
from saltext.wireguard.model.device import Device, DevicePeer
from saltext.wireguard.model.peer import OtherKey, Peer
from saltext.wireguard.model.view import View

NOW = 1_700_000_000


def key(name):
    raw = bytearray(hashlib.sha256(name.encode()).digest())
    raw[31] &= 0x3F
    return base64.b64encode(bytes(raw)).decode()


OLD, NEW = key("node1"), key("node1, next")
NETWORKS = ("10.42.0.1/32", "192.168.4.0/24")
NODE1 = Peer("node1", OLD, NETWORKS, "192.0.2.1:51820", 25, NEW)
NODE2 = Peer("node2", key("node2"), ("10.42.0.2/32",), "192.0.2.2:51820")
VIEW = View("wg0", ("10.42.0.9/24",), (NODE1, NODE2), network="backbone", port=51820, public_key=key("own"))


def have(public_key, *allowed_ips, latest_handshake=0, keepalive=0):
    return DevicePeer(public_key, "192.0.2.1:51820", frozenset(allowed_ips), latest_handshake, 0, 0, keepalive, None)


def device(*peers):
    return Device(
        interface="wg0",
        up=True,
        public_key=key("own"),
        port=51820,
        mtu=1420,
        addresses=frozenset(["10.42.0.9/24"]),
        routes=frozenset(["192.168.4.0/24"]),
        peers={peer.public_key: peer for peer in peers},
    )


def handshaken(current, next_):
    return device(have(OLD, *NETWORKS, latest_handshake=current, keepalive=25), have(NEW, latest_handshake=next_))


def holder(view):
    """The key of the peer with the addresses of node1."""
    (peer,) = [peer for peer in view.peers if peer.allowed_ips == NETWORKS]
    assert peer.name == "node1"
    return peer.public_key


@pytest.mark.parametrize(
    ("current", "next_", "expected"),
    [
        pytest.param(0, 0, OLD, id="no key has handshaken"),
        pytest.param(NOW, 0, OLD, id="only the current key has handshaken"),
        pytest.param(0, NOW, NEW, id="only the next key has handshaken"),
        pytest.param(NOW - 1, NOW, NEW, id="the node switched"),
        pytest.param(NOW, NOW, NEW, id="the node switched within the second of its last handshake"),
        pytest.param(NOW, NOW - 8, OLD, id="the node switched and went back"),
    ],
)
def test_the_key_that_handshook_last_has_the_addresses(current, next_, expected):
    assert holder(expand(VIEW, handshaken(current, next_))) == expected
    assert next_key_is_in_use(current, next_) == (expected == NEW)


def test_without_a_device_the_current_key_has_the_addresses():
    assert holder(expand(VIEW, None)) == OLD


def test_a_device_that_knows_neither_key_gives_the_addresses_to_the_current_one():
    assert holder(expand(VIEW, device())) == OLD


def test_the_next_key_is_a_peer_with_the_endpoint_and_nothing_else():
    peers = {peer.name: peer for peer in expand(VIEW, None).peers}
    assert peers["node1"] == replace(NODE1, next_key=None)
    assert peers["node1 (next key)"] == Peer(
        "node1 (next key)", NEW, (), NODE1.endpoint, other_key=OtherKey("node1", is_next=True)
    )
    assert peers["node2"] == NODE2


def test_after_the_switch_the_old_key_is_a_peer_with_the_endpoint_and_nothing_else():
    peers = {peer.name: peer for peer in expand(VIEW, handshaken(NOW - 1, NOW)).peers}
    assert peers["node1"] == replace(NODE1, public_key=NEW, next_key=None)
    assert peers["node1 (old key)"] == Peer(
        "node1 (old key)", OLD, (), NODE1.endpoint, other_key=OtherKey("node1", is_next=False)
    )


def test_each_of_the_two_keys_has_its_own_preshared_key_whichever_is_in_use():
    """By the other one's, no handshake would succeed when the node switches."""
    node1 = replace(NODE1, preshared=True, preshared_key="with the key", next_preshared_key="with the next")
    for device in (None, handshaken(NOW - 1, NOW)):
        peers = expand(replace(VIEW, peers=(node1, NODE2)), device).peers
        assert {each.public_key: each.preshared_key for each in peers} == {
            OLD: "with the key",
            NEW: "with the next",
            NODE2.public_key: None,
        }


def test_everything_else_about_the_view_stays():
    expanded = expand(VIEW, None)
    assert replace(expanded, peers=()) == replace(VIEW, peers=())


def test_a_view_without_rotation_is_the_view_itself():
    view = replace(VIEW, peers=(NODE2,))
    assert expand(view, device()) is view


def test_expanding_twice_changes_nothing():
    expanded = expand(VIEW, None)
    assert expand(expanded, None) is expanded


@pytest.mark.parametrize("stolen", [NODE2.public_key, VIEW.public_key, OLD])
def test_a_next_key_that_is_somebody_elses_is_left_out(stolen):
    view = replace(VIEW, peers=(replace(NODE1, next_key=stolen), NODE2))
    assert expand(view, None).peers == (replace(NODE1, next_key=None), NODE2)


def test_two_nodes_that_announce_the_same_next_key_keep_their_current_ones():
    view = replace(VIEW, peers=(NODE1, replace(NODE2, next_key=NEW)))
    assert expand(view, None).peers == (replace(NODE1, next_key=None), NODE2)


def test_two_nodes_may_rotate_at_once():
    view = replace(VIEW, peers=(NODE1, replace(NODE2, next_key=key("node2, next"))))
    names = [peer.name for peer in expand(view, None).peers]
    assert names == ["node1", "node1 (next key)", "node2", "node2 (next key)"]


def operations(view, device, applied=None):
    return diff(
        view,
        device,
        key_file="/etc/wireguard/wg0.key",
        public_key=key("own"),
        endpoints={peer.endpoint: peer.endpoint for peer in view.peers if peer.endpoint},
        applied=applied or Applied(),
        now=NOW,
    )


def settled(*extra):
    """A device that agrees with the view before any announcement."""
    node1 = have(OLD, *NETWORKS, latest_handshake=NOW - 9, keepalive=25)
    return device(node1, replace(have(NODE2.public_key, *NODE2.allowed_ips), endpoint=NODE2.endpoint), *extra)


APPLIED = Applied(endpoints={OLD: NODE1.endpoint, NODE2.public_key: NODE2.endpoint})


def test_an_announcement_adds_one_peer_and_touches_no_other():
    (command,) = command_lines(operations(expand(VIEW, settled()), settled(), APPLIED), "wg0")
    assert command[:5] == ("wg", "set", "wg0", "peer", NEW)
    assert command[command.index("allowed-ips") + 1] == ""
    assert command.count("peer") == 1


def test_a_device_that_has_both_keys_needs_nothing():
    now = settled(have(NEW))
    assert operations(expand(VIEW, now), now, APPLIED) == ()


def test_a_device_where_the_addresses_were_moved_needs_nothing():
    now = settled(have(NEW, *NETWORKS, latest_handshake=NOW, keepalive=25))
    now = replace(now, peers={**now.peers, OLD: have(OLD, latest_handshake=NOW - 9)})
    applied = replace(APPLIED, endpoints={**APPLIED.endpoints, NEW: NODE1.endpoint})
    assert operations(expand(VIEW, now), now, applied) == ()


def test_after_the_rotation_only_the_old_key_goes():
    now = settled(have(NEW, *NETWORKS, latest_handshake=NOW, keepalive=25))
    now = replace(now, peers={**now.peers, OLD: have(OLD, latest_handshake=NOW - 9)})
    view = replace(VIEW, peers=(replace(NODE1, public_key=NEW, next_key=None), NODE2))
    applied = replace(APPLIED, endpoints={**APPLIED.endpoints, NEW: NODE1.endpoint})
    assert command_lines(operations(view, now, applied), "wg0") == [("wg", "set", "wg0", "peer", OLD, "remove")]


def test_changes_name_both_keys_of_a_rotating_peer():
    assert "peer node1 (next key)" in in_words(operations(expand(VIEW, settled()), settled(), APPLIED))


def test_the_configuration_file_has_both_keys_and_the_addresses_once():
    text = config_file(expand(VIEW, None))
    assert text.count(f"PublicKey = {OLD}") == text.count(f"PublicKey = {NEW}") == 1
    assert text.count("10.42.0.1/32") == 1


def test_the_digest_tells_an_announcement_from_none():
    assert VIEW.digest != replace(VIEW, peers=(replace(NODE1, next_key=None), NODE2)).digest


def test_an_announcement_travels_in_the_pillar():
    assert VIEW.to_dict()["peers"]["node1"]["next_key"] == NEW
    assert VIEW.to_dict()["peers"]["node2"]["next_key"] is None
    assert View.from_dict(VIEW.to_dict(), "backbone") == VIEW


def test_the_move_is_one_command_that_gives_networks_and_keepalive_to_the_next_key():
    peers = handshaken(NOW - 1, NOW).peers
    gives = ("peer", NEW, "persistent-keepalive", "25", "allowed-ips", "10.42.0.1/32,192.168.4.0/24")
    assert move("wg0", peers, OLD, NEW) == ("wg", "set", "wg0", *gives, "peer", OLD, "persistent-keepalive", "0")


def test_the_move_leaves_a_keepalive_alone_that_is_off():
    peers = {OLD: have(OLD, "10.42.0.1/32"), NEW: have(NEW)}
    assert move("wg0", peers, OLD, NEW) == ("wg", "set", "wg0", "peer", NEW, "allowed-ips", "10.42.0.1/32")


@pytest.mark.parametrize(
    "peers",
    [
        pytest.param([have(OLD), have(NEW, "10.42.0.1/32")], id="moved already"),
        pytest.param([have(NEW, "10.42.0.1/32")], id="the old key is gone"),
        pytest.param([have(OLD, "10.42.0.1/32")], id="the next key is unknown"),
    ],
)
def test_there_is_nothing_to_move_where(peers):
    assert move("wg0", device(*peers).peers, OLD, NEW) == ()


def test_handshakes_are_read():
    assert handshakes(f"{OLD}\t{NOW}\n{NEW}\t0\n") == {OLD: NOW, NEW: 0}
    assert handshakes("") == {}


@pytest.mark.parametrize("text", ["nonsense", f"{OLD}\t", f"{OLD}\t-1", f"{OLD} 12"])
def test_handshakes_that_make_no_sense_are_an_error_that_quotes_nothing(text):
    with pytest.raises(DeviceError) as caught:
        handshakes(text)
    assert OLD not in str(caught.value)


def test_a_peer_is_live_for_three_minutes_after_its_handshake():
    now = device(have(OLD, latest_handshake=NOW - 179), have(NEW, latest_handshake=NOW - 180), have(key("never")))
    assert now.sessions(NOW) == {OLD: NOW - 179}


def test_a_peer_is_back_when_it_handshook_later_than_before():
    assert handshaken_again({OLD: NOW, NEW: NOW}, {OLD: NOW + 1, NEW: NOW, key("other"): NOW + 1}) == {OLD}
    assert handshaken_again({OLD: NOW}, {}) == frozenset()


def test_greetings_go_to_one_host_of_each_peer_ipv4_first():
    peers = [
        have(key("a"), "fd42::2/128", "10.42.0.30/32", "10.42.0.4/32"),
        have(key("b"), "fd42::3/128"),
        have(key("c"), "192.168.0.0/16"),
        have(key("d")),
    ]
    assert echo_addresses(peers) == ["10.42.0.4", "fd42::3"]


# --- what was expanded, back -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("seen", [None, handshaken(5, 0), handshaken(5, 6)])
def test_contracted_is_what_was_expanded_whichever_key_was_in_use(seen):
    assert contract(expand(VIEW, seen)) == VIEW
    preshared = replace(NODE1, preshared=True, preshared_key="with the key", next_preshared_key="with the next")
    assert contract(expand(replace(VIEW, peers=(preshared, NODE2)), seen)).peers == (preshared, NODE2)


@pytest.mark.parametrize("name", ["spare (next key)", "node1 (next key)", "node1 (old key)"])
def test_a_peer_is_no_key_of_another_one_by_its_name(name):
    """A minion called "node1 (old key)" was taken for node1's old key, and had node1's addresses after a removal."""
    odd = replace(VIEW, peers=(replace(NODE1, next_key=None), replace(NODE2, name=name)))
    assert contract(odd) == odd
    assert contract(wg_quick.parse(config_file(odd), "wg0")).peers == odd.peers


@pytest.mark.parametrize("seen", [None, handshaken(5, 0), handshaken(5, 6)])
def test_which_key_is_which_is_read_back_from_the_configuration_file(seen):
    expanded = expand(VIEW, seen)
    written = wg_quick.parse(config_file(expanded), "wg0")
    assert set(written.peers) == set(expanded.peers)
    assert contract(written).peers == VIEW.peers


def test_a_next_key_that_was_left_out_does_not_come_back():
    taken = replace(VIEW, peers=(replace(NODE1, next_key=NODE2.public_key), NODE2))
    assert contract(expand(taken, None)) == replace(taken, peers=(replace(NODE1, next_key=None), NODE2))
