"""What a rollback leads to."""

import json
from dataclasses import replace

from factories import public_key
from saltext.wireguard.device.operations import Applied
from saltext.wireguard.device.rollback import RollbackState, as_view, rollback_target
from saltext.wireguard.model.view import Peer
from unit.device.two_peers import VIEW, A, B, device, on_device, operations


def rollback_of(tried, before=VIEW, at_first=None):
    """The operations that lead from a device as the tried view made it back to the one as it was at first."""
    at_first = at_first or device(before)
    state = RollbackState.of(at_first, operations(at_first, tried, Applied.of(before)), tried)
    view, applied = rollback_target(before, RollbackState.from_dict(json.loads(json.dumps(state.to_dict()))))
    return view, operations(device(tried), view, applied)


def test_a_rollback_of_nothing_is_nothing():
    assert rollback_of(VIEW) == (VIEW, ())


def test_what_the_change_added_goes_again():
    added = Peer("c", public_key("c"), ("172.16.0.0/12",), "192.0.2.4:51820")
    _, steps = rollback_of(replace(VIEW, peers=(A, B, added)))
    assert {(str(step.change.subject), step.change.new) for step in steps} == {
        (f"peer {public_key('c')}", None),
        ("route 172.16.0.0/12", None),
    }


def test_an_endpoint_that_the_change_set_is_the_one_that_was_in_use_again():
    """Not the one that the configuration has: the peer may have roamed, or the name may not resolve without tunnel."""
    before = replace(VIEW, peers=(replace(A, endpoint="a.example:51820"), B))
    roamed = {A.public_key: on_device(A, endpoint="203.0.113.7:999"), B.public_key: on_device(B)}
    _, steps = rollback_of(replace(VIEW, peers=(A, B)), before, device(before, peers=roamed))
    assert [(str(step.change.subject), step.change.new) for step in steps] == [
        ("peer a", {"endpoint": "203.0.113.7:999"})
    ]


def test_a_removed_peer_returns_to_where_it_was():
    roamed = {A.public_key: on_device(A, endpoint="203.0.113.7:999"), B.public_key: on_device(B)}
    _, (step,) = rollback_of(replace(VIEW, peers=(B,)), at_first=device(peers=roamed))
    assert step.change.new["endpoint"] == "203.0.113.7:999"


def test_a_peer_that_the_change_did_not_touch_stays_where_it_moved_meanwhile():
    tried = replace(VIEW, port=51999)
    state = RollbackState.of(device(), operations(device(), tried), tried)
    moved = {A.public_key: on_device(A, endpoint="203.0.113.7:999"), B.public_key: on_device(B)}
    view, applied = rollback_target(VIEW, state)
    steps = operations(device(tried, peers=moved), view, applied)
    assert [str(step.change.subject) for step in steps] == ["listen port"]


def test_what_the_system_had_chosen_is_put_back():
    before = replace(VIEW, port=None, mtu=None)
    _, steps = rollback_of(VIEW, before)
    assert {(str(step.change.subject), step.change.new) for step in steps} == {
        ("listen port", "40000"),
        ("mtu", "1380"),
    }


def test_a_rollback_of_two_changes_leads_to_before_the_first_if_that_never_ended():
    first, second = (replace(VIEW, port=port, mtu=None) for port in (51999, 52000))
    before = replace(VIEW, port=None)
    state = RollbackState.of(device(before), (), first).before(RollbackState.of(device(first), (), second))
    assert rollback_target(before, state)[0].port == 40000


def test_a_preshared_key_of_a_device_without_configuration_is_in_the_view_to_roll_back_to():
    made = as_view(device(), "net", {A.public_key: "secret"})
    assert {peer.name: (peer.preshared, peer.preshared_key) for peer in made.peers} == {
        A.public_key: (True, "secret"),
        B.public_key: (False, None),
    }


def test_a_device_without_configuration_is_a_view_of_what_it_is():
    made = as_view(device(), "net", {})
    assert made == replace(VIEW, peers=tuple(sorted((replace(A, name=A.public_key), replace(B, name=B.public_key)),
                                                    key=lambda peer: peer.name)))  # fmt: skip
    assert operations(device(), made, Applied.of(made)) == ()
