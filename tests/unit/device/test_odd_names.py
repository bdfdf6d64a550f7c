"""
Peers and interfaces whose names are the words of other changes: what is said and done is still about them.

Once, changes were known by a text such as ``peer web1`` or ``mtu``, which was taken apart again in six places.
"""

from dataclasses import replace

import pytest

from factories import change, in_words, public_key, subject
from saltext.wireguard.device.diff import diff
from saltext.wireguard.device.disruption import disturbed
from saltext.wireguard.device.guard import objections
from saltext.wireguard.device.operations import Applied, changes_of
from saltext.wireguard.device.rollback import RollbackState, rollback_target
from saltext.wireguard.device.trial import affected
from saltext.wireguard.model.changes import removal
from saltext.wireguard.model.device import Device, DevicePeer
from saltext.wireguard.model.view import Peer, View

NOW = 1_700_000_000
ODD = ("mtu", "link", "route", "device", "address", "peer", "interface")
PEERS = tuple(
    Peer(name, public_key(name), (f"10.42.0.{number}/32", f"10.{number}.0.0/16"), f"192.0.2.{number}:51820")
    for number, name in enumerate(ODD, 2)
)
VIEW = View("route", ("10.42.0.1/24",), PEERS, "net", 51820, 1420)


def on_device(peer):
    return DevicePeer(peer.public_key, peer.endpoint, frozenset(peer.allowed_ips), NOW - 9, 1, 1, peer.keepalive, None)


def device(view=VIEW):
    have = {peer.public_key: on_device(peer) for peer in view.peers}
    return Device(
        view.interface,
        True,
        public_key("own"),
        51820,
        1420,
        frozenset(view.addresses),
        view.routes,
        have,
        view.routes,
    )


def operations(wanted, current=None):
    endpoints = {peer.endpoint: peer.endpoint for peer in wanted.peers}
    facts = {"key_file": "k", "public_key": public_key("own"), "endpoints": endpoints, "now": NOW}
    return diff(wanted, current or device(), applied=Applied.of(VIEW), **facts)


def without(*names):
    return replace(VIEW, peers=tuple(peer for peer in PEERS if peer.name not in names))


@pytest.mark.parametrize("name", ODD)
def test_what_goes_is_the_peer_and_only_its_session_ends(name):
    changes = changes_of(operations(without(name)))
    assert {str(each.subject) for each in changes if each.name == name} == {f"peer {name}"}
    number = ODD.index(name) + 2
    cut = disturbed(changes, VIEW.peers, device(), NOW)
    assert cut == {subject(f"peer {name}"): 1, subject(f"route 10.{number}.0.0/16"): 1}


def test_the_mtu_and_the_peer_called_so_are_two_changes():
    found = in_words(operations(replace(without("mtu"), mtu=1380)))
    assert found["mtu"] == {"old": "1420", "new": "1380"}
    assert found["peer mtu"]["old"]["public_key"] == public_key("mtu")


def test_an_interface_called_route_goes_with_all_its_sessions():
    """Its removal was taken for that of a route, where nothing but the words was there to tell."""
    assert disturbed(removal("route"), (), device(), NOW) == {subject("interface route"): len(ODD)}


@pytest.mark.parametrize("name", ODD)
def test_a_trial_waits_for_the_peer_that_is_touched_and_no_other(name):
    moved = tuple(replace(peer, endpoint="192.0.2.99:1") if peer.name == name else peer for peer in PEERS)
    wanted = replace(VIEW, peers=moved)
    assert affected(operations(wanted), wanted, device(), NOW) == {public_key(name)}


def test_a_link_that_comes_up_concerns_all_and_a_peer_called_link_itself_alone():
    down = replace(device(), up=False)
    assert len(affected(operations(VIEW, down), VIEW, down, NOW)) == len(ODD)


@pytest.mark.parametrize("name", ODD)
def test_a_rollback_knows_whose_endpoint_was_moved(name):
    moved = tuple(replace(peer, endpoint="192.0.2.99:1") if peer.name == name else peer for peer in PEERS)
    wanted = replace(VIEW, peers=moved)
    state = RollbackState.of(device(), operations(wanted), wanted)
    assert state.endpoints.keys() == {public_key(name)}
    assert rollback_target(VIEW, state)[0].peers == VIEW.peers


def test_the_guard_counts_peers_by_what_they_are():
    kept, gone = ODD[:2], ODD[2:]
    (why,) = objections(VIEW, device(), without(*gone), NOW)
    assert why.startswith(f"remove {len(gone)} of the {len(ODD)} peers that are up")
    assert not any(f"({name}" in why or f", {name}" in why for name in kept)


def test_a_peer_that_is_named_like_the_key_of_another_does_not_hide_its_removal():
    """The guard looked for keys and names in one set."""
    impostors = tuple(Peer(peer.public_key, public_key(f"{peer.name}2"), ()) for peer in PEERS)
    (why,) = objections(VIEW, device(), replace(VIEW, peers=impostors), NOW)
    assert why.startswith(f"remove {len(ODD)} of the {len(ODD)} peers that are up")


def test_a_change_says_what_it_is_about_wherever_it_goes():
    assert change("peer link").subject != change("link").subject
