"""Which peers must answer after a change, and when too many of them do not."""

from dataclasses import replace

import pytest

from factories import public_key
from saltext.wireguard.device.trial import affected, has_answered, too_many_missing
from saltext.wireguard.model.view import Peer
from unit.device.two_peers import NOW, VIEW, A, B, device, on_device, operations


def must_come_back(wanted, before=None):
    before = before or device()
    return affected(operations(before, wanted), wanted, before, NOW)


@pytest.mark.parametrize("change", [{"endpoint": "192.0.2.9:1"}, {"allowed_ips": ("10.42.0.9/32",)}], ids=str)
def test_a_peer_that_the_change_touches_must_come_back(change):
    assert must_come_back(replace(VIEW, peers=(replace(A, **change), B))) == {A.public_key}


def test_a_peer_that_is_not_where_it_says_itself_keeps_no_change_from_the_others():
    """A member that offered a wrong endpoint had each change of all others taken back for ten minutes."""
    liar = replace(A, endpoint="192.0.2.9:1", is_offered=True)
    assert must_come_back(replace(VIEW, peers=(liar, replace(B, keepalive=7)))) == frozenset()
    assert must_come_back(replace(VIEW, peers=(replace(liar, allowed_ips=("10.42.0.9/32",)), B))) == {A.public_key}


def test_a_peer_whose_route_is_put_back_must_come_back():
    assert must_come_back(VIEW, device(routes=frozenset())) == {B.public_key}


@pytest.mark.parametrize("change", [{"port": 51999}, {"addresses": ("10.42.0.1/16", "fd42::1/64")}], ids=str)
def test_all_must_come_back_where_the_interface_itself_changes(change):
    assert must_come_back(replace(VIEW, **change)) == {A.public_key, B.public_key}


def test_nobody_is_waited_for_where_peers_are_only_added_or_removed():
    added = Peer("c", public_key("c"), ("10.42.0.4/32",), "192.0.2.4:51820")
    assert must_come_back(replace(VIEW, peers=(A, added))) == frozenset()


def test_a_peer_with_another_key_is_not_waited_for():
    assert must_come_back(replace(VIEW, peers=(replace(A, public_key=public_key("new")), B))) == frozenset()


def test_a_keepalive_keeps_nobody_from_coming_back():
    assert must_come_back(replace(VIEW, peers=(replace(A, keepalive=25), B))) == frozenset()


def test_a_peer_without_a_session_is_not_waited_for():
    stale = device(peers={A.public_key: on_device(A, latest_handshake=NOW - 200), B.public_key: on_device(B)})
    assert must_come_back(replace(VIEW, port=51999), stale) == {B.public_key}


def test_nobody_is_waited_for_at_a_first_set_up():
    assert affected((), VIEW, None, NOW) == frozenset()


def test_a_peer_is_back_when_bytes_came_or_a_handshake():
    before = on_device(A)
    assert has_answered(before, replace(before, rx=1001))
    assert has_answered(before, replace(before, latest_handshake=NOW))
    assert not has_answered(before, replace(before, tx=2000))
    assert not has_answered(before, None)


def test_more_than_the_share_is_too_many():
    assert too_many_missing(1, 1, 0.5)
    assert not too_many_missing(1, 2, 0.5)
    assert too_many_missing(2, 3, 0.5)
    assert not too_many_missing(0, 0, 0.5)


def test_a_peer_that_gets_another_preshared_key_need_not_come_back():
    """Before the other end has it as well, it could not; and the session that lives goes on."""
    assert must_come_back(replace(VIEW, peers=(replace(A, preshared=True, preshared_key="secret"), B))) == set()
