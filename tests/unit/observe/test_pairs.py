"""Pairs and their states: what both ends see, beside what they should have."""

from dataclasses import replace
from ipaddress import ip_address

import pytest

from factories import accepted, mesh, public_key, row, snapshot
from saltext.wireguard.fleet.fleet import Fleet
from saltext.wireguard.model.live import LiveInterface, LivePeer, State
from saltext.wireguard.observe.pairs import pairs

ROWS = [row(name, ip_address(f"10.42.0.{number}")) for number, name in enumerate("abc", 1)]
PHONE = f"phone: {{public_key: {public_key('phone')}, addresses: [10.42.0.9]}}"
NEVER = LivePeer(None, None, 0, 0)


def seen(age, **changes):
    return replace(LivePeer("192.0.2.1:51820", age, 100, 100), **changes)


def look(interfaces, rows=ROWS, **settings):
    """(a, b) -> pair, from node -> peer -> what it sees of that."""
    fleet = Fleet(mesh(**{"nodes": "'*': {}", **settings}), snapshot(*rows), accepted(*"abc"), 10.0)
    said = {
        node: LiveInterface("wg0", True, 1420, {public_key(name): peer for name, peer in peers.items()})
        for node, peers in interfaces.items()
    }
    found = pairs("net", fleet.networks["net"], said)
    return {(pair.ends[0].node, pair.ends[1].node): pair for pair in found}


def pair(a, b, **settings):
    """That of a and b, by what each sees of the other; None for an end that does not say."""
    interfaces = {"a": {"b": a}, "b": {"a": b}}
    return look({node: peers for node, peers in interfaces.items() if None not in peers.values()}, **settings)["a", "b"]


def test_each_pair_that_should_have_a_tunnel_is_there_once():
    assert [*look({})] == [("a", "b"), ("a", "c"), ("b", "c")]


def test_nodes_without_a_link_are_no_pair():
    assert [*look({}, extra="links: [[a, b]]", nodes="a: {}, b: {}, c: {}")] == [("a", "b")]


def test_an_external_peer_is_the_other_end_of_pairs_that_only_the_nodes_can_tell_of():
    found = look({"a": {"phone": seen(5)}}, peers=PHONE)["a", "phone"]
    assert found.state is State.up
    assert [end.is_known for end in found.ends] == [True, False]


@pytest.mark.parametrize(
    ("age", "sent", "state"),
    [
        (0, 1, State.up),
        (179, 1, State.up),
        (180, 1, State.idle),
        (10**6, 1, State.idle),
        (None, 0, State.idle),
        (None, 148, State.down),
    ],
)
def test_without_keepalive_no_session_is_no_fault_unless_handshakes_were_never_answered(age, sent, state):
    both = seen(age, sent=sent)
    assert pair(both, both).state is state


@pytest.mark.parametrize(
    ("age", "state"),
    [(179, State.up), (180, State.stale), (299, State.stale), (300, State.down), (None, State.down)],
)
def test_a_session_that_is_kept_alive_is_stale_after_three_minutes_and_down_after_five(age, state):
    found = pair(seen(age), seen(age), nodes="a: {endpoint: 192.0.2.1}, b: {endpoint: false}")
    assert found.kept_alive
    assert found.state is state


def test_an_end_that_says_nothing_does_not_make_the_pair_unknown():
    assert pair(seen(5), None).state is State.up
    assert pair(None, None).state is State.unknown


def test_a_peer_that_a_device_lacks_is_down_and_the_ends_disagree():
    found = look({"a": {}, "b": {"a": seen(5)}})["a", "b"]
    assert found.ends[0].lacks
    assert found.states == (State.down, State.up)
    assert found.state is State.down
    assert found.disagrees


def test_ends_that_were_asked_a_moment_apart_do_not_disagree():
    assert not pair(seen(178), seen(183)).disagrees
    assert pair(seen(5), seen(600)).disagrees
    assert pair(seen(5), NEVER).disagrees


def test_ends_without_a_session_have_nothing_to_disagree_about():
    assert not pair(seen(600), NEVER).disagrees


def test_the_last_handshake_is_the_one_that_either_end_saw():
    assert pair(seen(600), seen(5)).age == 5
    assert pair(NEVER, None).age is None


@pytest.mark.parametrize(
    ("endpoint", "roamed"), [("192.0.2.1:51820", False), ("203.0.113.9:40000", True), (None, None)]
)
def test_a_peer_has_roamed_if_it_is_elsewhere_than_configured(endpoint, roamed):
    found = pair(None, seen(5, endpoint=endpoint), nodes="a: {endpoint: 192.0.2.1}, b: {}")
    assert found.ends[1].has_roamed is roamed


def test_where_a_name_leads_cannot_be_told():
    found = pair(None, seen(5), nodes="a: {endpoint: a.example.com}, b: {}")
    assert found.ends[1].has_roamed is None


def test_in_a_rotation_the_key_that_handshook_last_counts():
    rows = [ROWS[0], row("b", ip_address("10.42.0.2"), next_key=public_key("b2")), ROWS[2]]
    found = look({"a": {"b": seen(400), "b2": seen(4)}}, rows)["a", "b"]
    assert found.age == 4
