"""Which peers are called by a name and have no session, and the commands that follow from where it points to now."""

import pytest

from factories import public_key as key
from saltext.wireguard.device.reresolve import lost_peers, moved_endpoints
from saltext.wireguard.model.device import SESSION_SECONDS, DevicePeer
from saltext.wireguard.model.view import Peer, View

NOW = 1_700_000_000
NAME, OLD, NEW = "db1.example.com:51820", "192.0.2.1:51820", "192.0.2.2:51820"
DB1 = Peer("db1", key("db1"), ("10.42.0.1/32",), NAME)


def view(*peers):
    return View("wg0", ("10.42.0.9/24",), peers)


def device(*peers, at=OLD, latest_handshake=0):
    return {
        peer.public_key: DevicePeer(peer.public_key, at, frozenset(), latest_handshake, 0, 0, 0, None)
        for peer in peers
    }  # fmt: skip


@pytest.mark.parametrize("endpoint", ["192.0.2.1:51820", "[2001:db8::1]:51820", None])
def test_a_peer_with_an_address_is_called_there_for_ever(endpoint):
    peer = Peer("db1", key("db1"), (), endpoint)
    assert not view(peer).has_names
    assert lost_peers(view(peer), device(peer), NOW) == {}


@pytest.mark.parametrize("endpoint", [NAME, "db1:1", "10.example:51820", "3com:51820"])
def test_a_peer_with_a_name_that_never_had_a_session_is_lost(endpoint):
    peer = Peer("db1", key("db1"), (), endpoint)
    assert view(peer).has_names
    assert lost_peers(view(peer), device(peer), NOW) == {peer.public_key: endpoint}


@pytest.mark.parametrize(("age", "is_lost"), [(0, False), (SESSION_SECONDS - 1, False), (SESSION_SECONDS, True)])
def test_a_peer_is_lost_when_its_session_is_given_up(age, is_lost):
    assert bool(lost_peers(view(DB1), device(DB1, latest_handshake=NOW - age), NOW)) is is_lost


def test_a_peer_that_the_device_does_not_have_is_not_lost():
    assert lost_peers(view(DB1), {}, NOW) == {}


def test_a_lost_peer_is_reached_at_the_new_address():
    assert moved_endpoints(device(DB1), {DB1.public_key: NAME}, {NAME: NEW}) == {DB1.public_key: NEW}


def test_a_lost_peer_whose_name_points_to_the_same_place_is_left_alone():
    assert moved_endpoints(device(DB1), {DB1.public_key: NAME}, {NAME: OLD}) == {}


def test_addresses_are_compared_by_what_they_mean():
    at = device(DB1, at="[2001:db8::1]:51820")
    assert moved_endpoints(at, {DB1.public_key: NAME}, {NAME: "[2001:DB8:0::1]:51820"}) == {}


def test_a_lost_peer_whose_name_has_no_address_is_left_alone():
    assert moved_endpoints(device(DB1), {DB1.public_key: NAME}, {}) == {}


def test_a_peer_with_several_addresses_is_lost_without_a_session():
    peer = Peer("db1", key("db1"), (), "192.0.2.1:1", others=("192.0.2.2:1",))
    assert view(peer).has_names
    assert lost_peers(view(peer), device(peer), NOW) == {peer.public_key: "192.0.2.1:1"}
