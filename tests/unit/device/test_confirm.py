"""Which peers must come back after a change, when they are, and what the way back is."""

import json
from dataclasses import replace

import pytest

from factories import public_key
from saltext.wireguard.device.confirm import RollbackState, are_too_many, as_view, concerned, is_back, way_back
from saltext.wireguard.device.diff import diff
from saltext.wireguard.device.operations import Applied
from saltext.wireguard.model.device import Device, DevicePeer
from saltext.wireguard.model.view import Peer, View

NOW = 1_700_000_000
OWN = public_key("own")
A = Peer("a", public_key("a"), ("10.42.0.2/32",), "192.0.2.2:51820")
B = Peer("b", public_key("b"), ("10.42.0.3/32", "192.168.3.0/24"), "192.0.2.3:51820", 25)
VIEW = View("wg0", ("10.42.0.1/16",), (A, B), "net", 51820, 1420)


def device(view=VIEW, **changes):
    """As it is after the view was applied, with a session with every peer."""
    have = {peer.public_key: on_device(peer) for peer in view.peers}
    made = Device(
        "wg0",
        True,
        OWN,
        view.port or 40000,
        view.mtu or 1380,
        frozenset(view.addresses),
        view.routes,
        have,
        view.routes,
    )
    return replace(made, **changes)


def on_device(peer, **changes):
    settings = (frozenset(peer.allowed_ips), NOW - 9, 1000, 1000, peer.keepalive, None)
    return replace(DevicePeer(peer.public_key, peer.endpoint, *settings), **changes)


def operations(before, wanted, applied=None):
    endpoints = {peer.endpoint: peer.endpoint for peer in wanted.peers if peer.endpoint}
    known = Applied.of(VIEW) if applied is None else applied
    facts = {"key_file": "wg0.key", "public_key": OWN, "endpoints": endpoints, "applied": known, "now": NOW}
    return diff(wanted, before, **facts)


def must_come_back(wanted, before=None):
    before = before or device()
    return concerned(operations(before, wanted), wanted, before, NOW)


# --- who must come back ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", [{"endpoint": "192.0.2.9:1"}, {"allowed_ips": ("10.42.0.9/32",)}], ids=str)
def test_a_peer_that_the_change_touches_must_come_back(change):
    assert must_come_back(replace(VIEW, peers=(replace(A, **change), B))) == {A.public_key}


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
    assert concerned((), VIEW, None, NOW) == frozenset()


def test_a_peer_is_back_when_bytes_came_or_a_handshake():
    before = on_device(A)
    assert is_back(before, replace(before, rx=1001))
    assert is_back(before, replace(before, latest_handshake=NOW))
    assert not is_back(before, replace(before, tx=2000))
    assert not is_back(before, None)


def test_more_than_the_share_is_too_many():
    assert are_too_many(1, 1, 0.5)
    assert not are_too_many(1, 2, 0.5)
    assert are_too_many(2, 3, 0.5)
    assert not are_too_many(0, 0, 0.5)


# --- the way back ----------------------------------------------------------------------------------------------------


def back_from(tried, before=VIEW, at_first=None):
    """The operations that lead from a device as the tried view made it back to the one as it was at first."""
    at_first = at_first or device(before)
    kept = RollbackState.of(at_first, operations(at_first, tried, Applied.of(before)), tried)
    view, applied = way_back(before, RollbackState.from_dict(json.loads(json.dumps(kept.to_dict()))))
    return view, operations(device(tried), view, applied)


def test_the_way_back_from_nothing_is_nothing():
    assert back_from(VIEW) == (VIEW, ())


def test_what_the_change_added_goes_again():
    added = Peer("c", public_key("c"), ("172.16.0.0/12",), "192.0.2.4:51820")
    _, steps = back_from(replace(VIEW, peers=(A, B, added)))
    assert {(str(step.change.subject), step.change.new) for step in steps} == {
        (f"peer {public_key('c')}", None),
        ("route 172.16.0.0/12", None),
    }


def test_an_endpoint_that_the_change_set_is_the_one_that_was_in_use_again():
    """Not the one that the configuration has: the peer may have roamed, or the name may not resolve without tunnel."""
    before = replace(VIEW, peers=(replace(A, endpoint="a.example:51820"), B))
    roamed = {A.public_key: on_device(A, endpoint="203.0.113.7:999"), B.public_key: on_device(B)}
    _, steps = back_from(replace(VIEW, peers=(A, B)), before, device(before, peers=roamed))
    assert [(str(step.change.subject), step.change.new) for step in steps] == [
        ("peer a", {"endpoint": "203.0.113.7:999"})
    ]


def test_a_removed_peer_comes_back_where_it_was():
    roamed = {A.public_key: on_device(A, endpoint="203.0.113.7:999"), B.public_key: on_device(B)}
    _, (step,) = back_from(replace(VIEW, peers=(B,)), at_first=device(peers=roamed))
    assert step.change.new["endpoint"] == "203.0.113.7:999"


def test_a_peer_that_the_change_did_not_touch_stays_where_it_moved_meanwhile():
    tried = replace(VIEW, port=51999)
    kept = RollbackState.of(device(), operations(device(), tried), tried)
    moved = {A.public_key: on_device(A, endpoint="203.0.113.7:999"), B.public_key: on_device(B)}
    view, applied = way_back(VIEW, kept)
    steps = operations(device(tried, peers=moved), view, applied)
    assert [str(step.change.subject) for step in steps] == ["listen port"]


def test_what_the_system_had_chosen_is_put_back():
    before = replace(VIEW, port=None, mtu=None)
    _, steps = back_from(VIEW, before)
    assert {(str(step.change.subject), step.change.new) for step in steps} == {
        ("listen port", "40000"),
        ("mtu", "1380"),
    }


def test_of_two_changes_the_first_of_which_never_ended_the_way_leads_back_before_both():
    first, second = (replace(VIEW, port=port, mtu=None) for port in (51999, 52000))
    before = replace(VIEW, port=None)
    kept = RollbackState.of(device(before), (), first).before(RollbackState.of(device(first), (), second))
    assert way_back(before, kept)[0].port == 40000


def test_a_preshared_key_of_a_device_without_configuration_is_one_to_come_back_to():
    made = as_view(device(), "net", {A.public_key: "secret"})
    assert {peer.name: (peer.preshared, peer.preshared_key) for peer in made.peers} == {
        A.public_key: (True, "secret"),
        B.public_key: (False, None),
    }


def test_a_peer_that_gets_another_preshared_key_need_not_come_back():
    """Before the other end has it as well, it could not; and the session that lives goes on."""
    assert must_come_back(replace(VIEW, peers=(replace(A, preshared=True, preshared_key="secret"), B))) == set()


def test_a_device_without_configuration_is_a_view_of_what_it_is():
    made = as_view(device(), "net", {})
    assert made == replace(VIEW, peers=tuple(sorted((replace(A, name=A.public_key), replace(B, name=B.public_key)),
                                                    key=lambda peer: peer.name)))  # fmt: skip
    assert operations(device(), made, Applied.of(made)) == ()
