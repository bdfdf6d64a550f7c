"""On paper: what another mesh file, or the present one, would change for whom."""

import random
from dataclasses import replace
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from databases import sqlite_registry
from factories import accepted, membership, mesh, network, public_key, registration, row, snapshot
from saltext.wireguard.device import diff, forwarding
from saltext.wireguard.device.operations import Applied, changes_of
from saltext.wireguard.errors import MeshError, PoolExhaustedError
from saltext.wireguard.fleet.fleet import Fleet
from saltext.wireguard.meshfile.parse import parse_mesh
from saltext.wireguard.model.answers import ALL, Sessions
from saltext.wireguard.model.device import Device
from saltext.wireguard.model.view import Peer, View
from saltext.wireguard.registry.admission import ADMITTED, Standing
from saltext.wireguard.review import plan
from saltext.wireguard.review.plan import as_device, between, compare, projected

V4 = {name: ip_address(f"10.42.0.{number}") for number, name in enumerate("abcd", 1)}
ROWS = [row(name, address, endpoints=(f"192.0.2.{number}",)) for number, (name, address) in enumerate(V4.items(), 1)]


def differences(before, after, rows=ROWS, keys="abcd", standings=None, skip=False):
    """(node, subject) -> (old, new) between two mesh files of one registry."""
    known = replace(snapshot(*rows), standings=standings or {})
    now = Fleet(before, known, accepted(*keys), 0.0)
    mentioned = [who for who, _ in plan.unregistered(now)] if skip else []
    then = projected(after, known, accepted(*keys), 0.0, mentioned)
    return {
        (each.node, str(change.subject)): (change.old, change.new)
        for each in compare(now, then, mentioned)
        for change in each.changes
    }


# -- what a mesh file changes


def test_the_same_mesh_file_changes_nothing():
    assert differences(mesh(), mesh()) == {}


def test_a_node_that_leaves_is_taken_down_and_dropped_by_all_others():
    found = differences(mesh("a: {}, b: {}, c: {}"), mesh("a: {}, b: {}"))
    assert found["c", "interface wg0"] == ("present", None)
    assert {who for who, subject in found if subject == "peer c"} == {"a", "b"}
    assert found["a", "peer c"][0]["public_key"] == public_key("c")
    assert found["a", "peer c"][1] is None
    assert len(found) == 3


def test_a_node_that_joins_again_gets_its_peers_and_becomes_one():
    found = differences(mesh("a: {}, b: {}"), mesh("a: {}, b: {}, c: {}"))
    assert found["a", "peer c"][1]["allowed_ips"] == ["10.42.0.3/32"]
    assert found["c", "address 10.42.0.3/24"] == (None, "10.42.0.3/24")
    assert {subject for who, subject in found if who == "c"} >= {"device", "peer a", "peer b"}


def test_a_node_that_never_registered_gets_no_made_up_key_or_address():
    found = differences(mesh("a: {}, b: {}"), mesh("a: {}, b: {}, new: {}"), keys=["a", "b", "new"])
    assert {key: change for key, change in found.items() if "new" in key[0] or "new" in key[1]} == {
        ("new", "interface wg0"): (None, "registers, and gets an address"),
        ("a", "peer new"): (None, "registers, and gets an address"),
        ("b", "peer new"): (None, "registers, and gets an address"),
    }


def test_an_address_that_the_mesh_file_gives_to_a_newcomer_is_said():
    found = differences(mesh("a: {}"), mesh("a: {}, x: {addresses: [10.42.0.77]}"), keys="ax")
    assert found["x", "interface wg0"] == (None, "registers with 10.42.0.77")


def test_who_was_installed_anew_gets_the_addresses_back():
    rows = [replace(ROWS[0], salt_key="the one before"), ROWS[1]]
    found = differences(mesh(), mesh(), rows, keys="ab")
    assert found["b", "peer a"] == (None, "registers with 10.42.0.1")


def test_a_newcomer_that_must_be_admitted_is_nobodys_peer_yet():
    manual = mesh("'*': {}", extra="admit: manual")
    found = differences(manual, manual, ROWS[:1], keys="ab")
    assert found == {("b", "interface wg0"): (None, "registers, and waits to be admitted")}
    admitted = {("net", "b"): Standing(ADMITTED, 0.0, "alice", "")}
    assert ("a", "peer b") in differences(manual, manual, ROWS[:1], keys="ab", standings=admitted)


def test_newcomers_that_are_none_of_the_edit_are_left_out():
    assert differences(mesh(), mesh(), ROWS[:1], keys="ab", skip=True) == {}


def test_a_newcomer_is_a_peer_of_those_only_that_it_has_a_link_with():
    linked = mesh("a: {groups: [x]}, b: {groups: [y]}, c: {groups: [x]}", extra="links: [[x, x]]")
    found = differences(linked, linked, ROWS[:2], keys="abc")
    assert [who for who, subject in found if subject == "peer c"] == ["a"]


def test_an_endpoint_that_is_a_name_is_compared_as_written():
    found = differences(mesh("a: {endpoint: old.example}, b: {}"), mesh("a: {endpoint: new.example}, b: {}"))
    assert found == {
        ("b", "peer a"): ({"endpoint": "old.example:51820"}, {"endpoint": "new.example:51820"}),
    }


def test_a_changed_port_is_one_of_the_node_and_an_endpoint_of_its_peers():
    found = differences(mesh("a: {}, b: {}"), mesh("a: {port: 4500}, b: {}"))
    assert found == {
        ("a", "listen port"): ("51820", "4500"),
        ("b", "peer a"): ({"endpoint": "192.0.2.1:51820"}, {"endpoint": "192.0.2.1:4500"}),
    }


def test_mtu_and_port_of_the_network_concern_every_node():
    found = differences(mesh("a: {}, b: {}"), mesh("a: {}, b: {}", extra="mtu: 1380"))
    assert found == {("a", "mtu"): (None, "1380"), ("b", "mtu"): (None, "1380")}


def test_a_network_that_vanishes_and_one_that_appears():
    other = parse_mesh([("mesh.yml", "networks: {new: {subnets: [10.9.0.0/24], interface: wg1, nodes: {a: {}}}}")])
    found = differences(mesh("a: {}, b: {}"), other, keys="ab")
    assert found == {
        ("a", "interface wg0"): ("present", None),
        ("b", "interface wg0"): ("present", None),
        ("a", "interface wg1"): (None, "registers, and gets an address"),
    }


def test_another_interface_is_one_that_goes_and_one_that_comes():
    found = differences(mesh("a: {}, b: {}"), mesh("a: {}, b: {}", extra="interface: wg7"), keys="ab")
    assert found["a", "interface wg0"] == ("present", None)
    assert found["a", "device"] == (None, "wg7")
    assert found["a", "peer b"][0] is None


# -- addresses


def test_a_second_subnet_gives_every_node_the_address_that_the_registry_then_gives(tmp_path):
    registry = sqlite_registry(tmp_path)
    for name in "ab":
        registry.register(registration(name), f"salt key of {name}", membership(network(), "ab"))
    both = mesh(subnets='10.42.0.0/24, "fd42::/64"')
    found = differences(mesh(), both, registry.snapshot().rows.values(), keys="ab")
    registry.settle(membership(both.networks[0], "ab"))
    given = {name: registry.snapshot().rows["net", name].addresses[-1] for name in "ab"}
    assert found["a", f"address {given['a']}/64"] == (None, f"{given['a']}/64")
    assert found["b", "peer a"][1] == {"allowed_ips": ["10.42.0.1/32", f"{given['a']}/128"]}


def test_a_subnet_without_room_is_an_error_as_it_would_be():
    with pytest.raises(PoolExhaustedError):
        differences(mesh(), mesh(subnets="10.43.0.0/30"))


def test_an_address_of_another_is_an_error_as_it_would_be():
    with pytest.raises(MeshError, match=r"10\.42\.0\.1 was already given to a"):
        differences(mesh(), mesh("'*': {}, b: {addresses: [10.42.0.1]}"))


# -- names that are the words of other changes


def test_a_newcomer_called_mtu_does_not_hide_a_change_of_the_mtu():
    """What was said of the newcomer stood in place of everybody's other MTU."""
    found = differences(mesh("a: {}, b: {}"), mesh("a: {}, b: {}, mtu: {}", extra="mtu: 1380"), keys=["a", "b", "mtu"])
    joins = (None, "registers, and gets an address")
    assert found == {
        ("a", "mtu"): (None, "1380"),
        ("b", "mtu"): (None, "1380"),
        ("a", "peer mtu"): joins,
        ("b", "peer mtu"): joins,
        ("mtu", "interface wg0"): joins,
    }


def test_an_external_peer_called_link_that_goes_is_that_peer():
    link = f"link: {{public_key: {public_key('link')}, addresses: [10.42.0.9]}}"
    assert cut(mesh("a: {}", peers=link), mesh("a: {}")) == {("a", "peer link"): public_key("link")}


def test_an_interface_called_route_goes_with_all_its_sessions_and_one_called_mtu_is_not_the_mtu():
    found = differences(
        mesh("a: {}, b: {}", extra="interface: route"), mesh("a: {}", extra="interface: mtu"), keys="ab"
    )
    assert found["b", "interface route"] == found["a", "interface route"] == ("present", None)
    assert found["a", "device"] == (None, "mtu")
    assert ("a", "mtu") not in found
    assert cut(mesh("a: {}, b: {}", extra="interface: route"), mesh("a: {}")) == {
        ("a", "interface route"): ALL,
        ("b", "interface route"): ALL,
    }


# -- which sessions would be cut off


def cut(before, after):
    known = snapshot(*ROWS)
    now = Fleet(before, known, accepted(*"abcd"), 0.0)
    then = projected(after, known, accepted(*"abcd"), 0.0)
    return {(each.node, str(subject)): by for each in compare(now, then) for subject, by in each.cuts.items()}


def test_who_drops_a_peer_loses_the_session_with_it_and_who_leaves_loses_all():
    assert cut(mesh("a: {}, b: {}"), mesh("a: {}")) == {("a", "peer b"): public_key("b"), ("b", "interface wg0"): ALL}


def test_an_own_port_or_address_that_goes_cuts_all_sessions_and_a_new_one_none():
    found = cut(mesh("a: {}, b: {}"), mesh("a: {port: 4500, addresses: [10.42.0.99]}, b: {}"))
    assert found == {
        ("a", "listen port"): ALL,
        ("a", "address 10.42.0.1/24"): ALL,
        ("b", "peer a"): public_key("a"),  # it loses a network
    }


def test_steps_tell_how_many_of_the_live_sessions_end_and_nothing_where_nobody_knows():
    known = snapshot(*ROWS)
    now = Fleet(mesh("a: {}, b: {}, c: {}"), known, accepted(*"abcd"), 0.0)
    then = projected(mesh("a: {}, b: {}"), known, accepted(*"abcd"), 0.0)
    found = {each.node: each for each in compare(now, then)}
    (step,) = found["a"].steps(Sessions(3, frozenset([public_key("c")])))
    assert (step.node, str(step.change.subject), step.disturbs) == ("a", "peer c", 1)
    assert [step.disturbs for step in found["a"].steps(Sessions(3))] == [0]
    assert [step.disturbs for step in found["a"].steps(None)] == [None]
    assert [step.disturbs for step in found["c"].steps(Sessions(3))] == [3]


# -- random views


names = st.sampled_from("abcdef")
peers = st.builds(
    lambda name, number, endpoint, keepalive: Peer(
        name, public_key(f"{name}{number}"), (f"10.42.0.{ord(name)}/32",), endpoint, keepalive
    ),
    names,
    st.integers(0, 1),
    st.sampled_from([None, "192.0.2.1:51820", "x.example:51820"]),
    st.sampled_from([0, 25]),
)
views = st.builds(
    lambda addresses, found, port, mtu, forwarding: View(
        "wg0",
        tuple(sorted(addresses)),
        tuple(sorted({each.name: each for each in found}.values(), key=lambda peer: peer.name)),
        network="net",
        port=port,
        mtu=mtu,
        forwarding=forwarding,
        public_key=public_key("own"),
    ),
    st.sets(st.sampled_from(["10.42.0.1/24", "10.43.0.1/24", "fd42::1/64"])),
    st.lists(peers, max_size=6),
    st.sampled_from([51820, 4500]),
    st.sampled_from([1420, 1380]),
    st.booleans(),
)


@given(views, views)
def test_peers_that_stay_can_be_left_out_of_a_comparison(old, new):
    """``between`` leaves them out, as they are most of a large mesh; the whole diff says the same."""
    operations = diff.diff(
        new,
        as_device(old),
        key_file="",
        public_key=public_key("own"),
        endpoints={peer.endpoint: peer.endpoint for peer in new.peers if peer.endpoint},
        applied=Applied.of(old),
        now=0,
        forwarded=forwarding.versions(old.addresses) if old.forwarding else [],
    )
    assert between(old, new) == changes_of(operations)


@given(views)
def test_nothing_differs_between_a_view_and_the_device_that_it_makes(view):
    assert between(view, view) == ()
    assert isinstance(as_device(view), Device)


@given(st.integers(0, 2**32))
def test_a_difference_is_empty_exactly_where_the_digest_stays(seed):
    """What plan says of nodes is what reconcile then asks them for."""
    chance = random.Random(seed)
    texts = [
        ", ".join(f"{name}: {{port: {chance.choice([51820, 4500])}}}" for name in "abcd" if chance.random() < 0.7)
        for _ in range(2)
    ]
    known = snapshot(*ROWS)
    before, after = (Fleet(mesh(text or "z: {}"), known, accepted(*"abcd"), 0.0) for text in texts)
    changed = {(each.network, each.node) for each in compare(before, after)}
    digests = before.digests(), after.digests()
    assert changed == {who for who in {**digests[0], **digests[1]} if digests[0].get(who) != digests[1].get(who)}
