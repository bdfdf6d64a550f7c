from dataclasses import replace
from ipaddress import ip_address

import pytest
from factories import public_key
from hypothesis import given
from hypothesis import strategies as st
from wgmesh.model import Endpoint
from wgmesh.topology import Participant, Topology


def participant(name, **settings):
    number = ord(name[0]) - ord("a") + 1
    fields = {"addresses": (ip_address(f"10.42.0.{number}"),), "port": 51820, "offered": (f"192.0.2.{number}",)}
    return Participant(name, public_key(name), **{**fields, **settings})


def names(topology, name):
    return "".join(peer.name for peer in topology.peers(name))


def endpoint(topology, viewer, name):
    return next(peer for peer in topology.peers(viewer) if peer.name == name).endpoint


def pair(viewer, callee):
    """Where a participant with the settings ``viewer`` calls one with the settings ``callee``."""
    return endpoint(Topology([participant("a", **viewer), participant("b", **callee)], None, 25), "a", "b")


# --- who talks to whom -----------------------------------------------------------------------------------------------

WEB, DB = frozenset({"web"}), frozenset({"db"})
GROUPS = [
    participant("a", groups=WEB),
    participant("b", groups=WEB),
    participant("c", groups=DB),
    participant("d", groups=DB),
    participant("e"),
]


@pytest.mark.parametrize(
    ("links", "peers"),
    [
        (None, {"a": "bcde", "c": "abde", "e": "abcd"}),
        ([("*", "*")], {"a": "bcde", "c": "abde", "e": "abcd"}),
        ([("web", "db")], {"a": "cd", "b": "cd", "c": "ab", "d": "ab", "e": ""}),
        ([("db", "web")], {"a": "cd", "b": "cd", "c": "ab", "d": "ab", "e": ""}),
        ([("db", "db")], {"a": "", "c": "d", "d": "c", "e": ""}),
        ([("web", "db"), ("db", "db")], {"a": "cd", "c": "abd", "e": ""}),
        ([("e", "*")], {"a": "e", "d": "e", "e": "abcd"}),
        ([("a", "b")], {"a": "b", "b": "a", "c": ""}),
        ([("a", "web")], {"a": "b", "b": "a", "e": ""}),
        ([("e", "e")], {"e": ""}),
    ],
)
def test_a_link_joins_all_at_one_end_with_all_at_the_other(links, peers):
    topology = Topology(GROUPS, links, 25)
    assert {name: names(topology, name) for name in peers} == peers


def test_who_is_in_two_groups_has_the_links_of_both():
    both = participant("f", groups=WEB | DB)
    topology = Topology([*GROUPS, both], [("web", "e"), ("db", "c")], 25)
    assert names(topology, "f") == "ce"


ENDS = st.sampled_from(["*", "web", "db", "a", "b", "e"])


@given(st.lists(st.tuples(ENDS, ENDS), min_size=1, max_size=6))
def test_peers_are_mutual_and_nobody_is_its_own(links):
    topology = Topology(GROUPS, links, 25)
    for one in "abcde":
        assert one not in names(topology, one)
        for other in names(topology, one):
            assert one in names(topology, other)


@given(st.none() | st.lists(st.tuples(ENDS, ENDS), min_size=1, max_size=6))
def test_the_digests_are_those_of_the_peers(links):
    topology = Topology(GROUPS, links, 25)
    for name in "abcde":
        assert b"".join(topology.digests(name)) == b"".join(peer.digest for peer in topology.peers(name))


# --- where they call each other --------------------------------------------------------------------------------------

HERE, THERE = {"site": "ams"}, {"site": "fra"}
OUTSIDE = {"endpoint": Endpoint("b.example")}
NAT = {"endpoint": False}
LINE = {"endpoints": {"ams": Endpoint("192.168.4.5", 7)}}
PUBLIC = {"offered": ("192.168.4.9", "1.1.1.1")}


@pytest.mark.parametrize(
    ("viewer", "callee", "called"),
    [
        ({}, {}, "192.0.2.2:51820"),
        ({}, OUTSIDE, "b.example:51820"),
        ({}, NAT, None),
        ({}, {"offered": ()}, None),
        (HERE, {**HERE, **OUTSIDE}, "192.0.2.2:51820"),
        (HERE, {**HERE, **NAT}, "192.0.2.2:51820"),
        (HERE, {**HERE, **OUTSIDE, "offered": ()}, "b.example:51820"),
        (HERE, {**THERE, **OUTSIDE}, "b.example:51820"),
        (HERE, {**THERE, **NAT}, None),
        (HERE, THERE, None),
        (HERE, {**THERE, **PUBLIC}, "1.1.1.1:51820"),
        (HERE, PUBLIC, "1.1.1.1:51820"),
        ({}, {**HERE, **PUBLIC}, "1.1.1.1:51820"),
        (HERE, {**HERE, **PUBLIC}, "192.168.4.9:51820"),
        (HERE, {**THERE, **OUTSIDE, **LINE}, "192.168.4.5:7"),
        (HERE, {**THERE, **NAT, **LINE}, "192.168.4.5:7"),
        (HERE, {**HERE, **LINE}, "192.168.4.5:7"),
        (THERE, {**OUTSIDE, **LINE}, "b.example:51820"),
        ({}, {**OUTSIDE, **LINE}, "b.example:51820"),
    ],
)
def test_where_both_are_decides_how_one_calls_the_other(viewer, callee, called):
    assert pair(viewer, callee) == called


def test_an_endpoint_without_a_port_has_the_one_that_the_callee_listens_on():
    line = {"endpoints": {"ams": Endpoint("192.168.4.5")}}
    assert pair(HERE, {**line, "port": 9}) == "192.168.4.5:9"


@pytest.mark.parametrize(
    ("own", "called"),
    [
        (("192.0.2.1",), "192.0.2.2:51820"),
        (("2001:db8::1",), "[2001:db8::2]:51820"),
        (("192.0.2.1", "2001:db8::1"), "192.0.2.2:51820"),
        ((), "192.0.2.2:51820"),
    ],
)
def test_of_several_addresses_one_is_called_whose_ip_version_the_caller_has(own, called):
    assert pair({"offered": own}, {"offered": ("192.0.2.2", "2001:db8::2")}) == called


def test_an_address_of_the_other_ip_version_is_better_than_none():
    assert pair({"offered": ("192.0.2.1",)}, {"offered": ("2001:db8::2",)}) == "[2001:db8::2]:51820"


@pytest.mark.parametrize(
    ("viewer", "callee", "keepalive"),
    [
        ({}, {}, 0),
        (NAT, {}, 17),
        (NAT, NAT, 0),
        ({}, NAT, 0),
        ({**HERE, **NAT}, {**THERE, **OUTSIDE}, 17),
        ({**HERE, **NAT}, {**HERE, **NAT}, 0),
        ({**NAT, "endpoints": {"fra": Endpoint("192.168.4.5")}}, {**THERE, **OUTSIDE}, 0),
    ],
)
def test_who_is_behind_nat_keeps_its_way_open_to_those_that_cannot_call_it(viewer, callee, keepalive):
    (peer,) = Topology([participant("a", **viewer), participant("b", **callee)], None, 17).peers("a")
    assert peer.keepalive == keepalive


def test_a_peer_says_what_it_may_use_and_what_key_comes_next():
    callee = replace(participant("b"), addresses=(ip_address("fd42::2"), ip_address("10.42.0.2")), next_key="next")
    (peer,) = Topology([participant("a"), callee], None, 25).peers("a")
    assert (peer.public_key, peer.allowed_ips, peer.next_key) == (
        public_key("b"),
        ("10.42.0.2/32", "fd42::2/128"),
        "next",
    )


def test_all_that_see_a_participant_alike_share_one_object():
    """Lists of 5,000 peers for 5,000 nodes would be 25 million objects."""
    topology = Topology(GROUPS, [("web", "*"), ("e", "*")], 25)
    seen = {id(peer) for name in "abcd" for peer in topology.peers(name) if peer.name == "e"}
    assert len(seen) == 1
