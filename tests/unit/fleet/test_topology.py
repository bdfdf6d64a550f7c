from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factories import public_key
from saltext.wireguard.fleet.participant import Participant
from saltext.wireguard.fleet.topology import Topology
from saltext.wireguard.meshfile.mesh import NodeSettings
from saltext.wireguard.model.endpoint import Endpoint
from saltext.wireguard.model.peer_set import PeerSet

ROUTE = ip_network("192.168.40.0/24")


def participant(name, **given):
    number = ord(name[0]) - ord("a") + 1
    fields = {"addresses": (ip_address(f"10.42.0.{number}"),), "offered": (f"192.0.2.{number}",)}
    fields |= {field: given.pop(field) for field in ("addresses", "offered", "next_key") if field in given}
    settings = NodeSettings(**{"addresses": (), "endpoint": None, "port": 51820, **given})
    return Participant(name, public_key(name), settings=settings, **fields)


def other(each, **given):
    """The same participant with other settings."""
    return replace(each, settings=replace(each.settings, **given))


def names(topology, name):
    return "".join(peer.name for peer in topology.peers(name))


def endpoint(topology, viewer, name):
    return next(peer for peer in topology.peers(viewer) if peer.name == name).endpoint


def pair(viewer, callee):
    """Where a participant with the settings ``viewer`` calls one with the settings ``callee``."""
    return endpoint(Topology([participant("a", **viewer), participant("b", **callee)], (), None, 25), "a", "b")


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
    topology = Topology(GROUPS, (), links, 25)
    assert {name: names(topology, name) for name in peers} == peers


def test_who_is_called_like_a_group_has_none_of_its_links():
    """A glob lets in whoever an operator accepts, and the id `db` had the links of the group db."""
    topology = Topology([*GROUPS, participant("db")], (), [("web", "db")], 25, {"web", "db"})
    assert names(topology, "db") == ""
    assert names(topology, "a") == "cd"


def test_who_is_in_two_groups_has_the_links_of_both():
    both = participant("f", groups=WEB | DB)
    topology = Topology([*GROUPS, both], (), [("web", "e"), ("db", "c")], 25)
    assert names(topology, "f") == "ce"


ENDS = st.sampled_from(["*", "web", "db", "a", "b", "e"])


@given(st.lists(st.tuples(ENDS, ENDS), min_size=1, max_size=6))
def test_peers_are_mutual_and_nobody_is_its_own(links):
    topology = Topology(GROUPS, (), links, 25)
    for one in "abcde":
        assert one not in names(topology, one)
        for other in names(topology, one):
            assert one in names(topology, other)


@given(st.none() | st.lists(st.tuples(ENDS, ENDS), min_size=1, max_size=6))
def test_the_digests_are_those_of_the_peers(links):
    topology = Topology(GROUPS, (), links, 25)
    for name in "abcde":
        assert topology.hashes(name) == PeerSet.of(peer.digest for peer in topology.peers(name)).hashes


# --- where they call each other --------------------------------------------------------------------------------------

HERE, THERE = {"site": "ams"}, {"site": "fra"}
OUTSIDE = {"endpoint": (Endpoint("b.example"),)}
NAT = {"endpoint": False}
LINE = {"endpoints": {"ams": Endpoint("192.168.4.5", 7)}}
PUBLIC = {"offered": ("192.168.4.9", "1.1.1.1")}
FORWARDED = {"endpoint": (Endpoint("", 41820),)}


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
        (HERE, {**THERE, **PUBLIC, **FORWARDED}, "1.1.1.1:41820"),
        ({}, {**PUBLIC, **FORWARDED}, "1.1.1.1:41820"),
        ({}, FORWARDED, "192.0.2.2:41820"),
        (HERE, {**THERE, **FORWARDED}, None),
        (HERE, {**HERE, **FORWARDED}, "192.0.2.2:51820"),
        (HERE, {**THERE, **PUBLIC, **FORWARDED, **LINE}, "192.168.4.5:7"),
    ],
)
def test_where_both_are_decides_how_one_calls_the_other(viewer, callee, called):
    assert pair(viewer, callee) == called


UPLINKS = {"endpoint": tuple(map(Endpoint, ("2a00::7", "198.51.100.7", "203.0.113.7", "b.example")))}


@pytest.mark.parametrize(
    ("viewer", "endpoint", "others"),
    [
        (("192.0.2.1",), "198.51.100.7:51820", ("203.0.113.7:51820",)),
        (("192.0.2.1", "2a00::1"), "[2a00::7]:51820", ()),
    ],
)
def test_of_a_node_with_two_uplinks_a_viewer_has_both_addresses_of_its_ip_version(viewer, endpoint, others):
    """The second one was an error in the mesh file."""
    topology = Topology([participant("a", offered=viewer), participant("b", **UPLINKS)], (), None, 25)
    (peer,) = topology.peers("a")
    assert (peer.endpoint, peer.others) == (endpoint, others)


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


IPV6_FIRST = {"endpoint": (Endpoint("2a00::7"), Endpoint("203.0.113.7", 9))}
V4, ULA, V6 = "192.168.1.2", "fd00::2", "2a00::2"


@pytest.mark.parametrize(
    ("own", "called"),
    [
        ((V4, V6), "[2a00::7]:51820"),
        ((V6,), "[2a00::7]:51820"),
        ((V4,), "203.0.113.7:9"),
        ((V4, ULA), "203.0.113.7:9"),
        ((), "[2a00::7]:51820"),
    ],
)
def test_of_several_endpoints_the_first_is_called_whose_ip_version_the_caller_has(own, called):
    assert pair({"offered": own}, IPV6_FIRST) == called


def test_with_local_ipv6_addresses_only_nobody_calls_the_ipv6_internet():
    """Many home routers hand out local IPv6 addresses where there is no IPv6 Internet at all."""
    assert pair({"offered": (V4, ULA)}, {"offered": (V6, "192.0.2.2")}) == "192.0.2.2:51820"
    assert pair({"offered": (ULA, V4)}, {"offered": ("fd00::9", "192.0.2.2")}) == "[fd00::9]:51820"


def test_a_name_may_stand_for_any_address():
    assert pair({"offered": (V4,)}, {"endpoint": (Endpoint("2a00::7"), Endpoint("b.example"))}) == "b.example:51820"


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
        ({**HERE, "offered": ("192.168.1.2",)}, {**THERE, **OUTSIDE}, 17),
        ({**HERE, **PUBLIC}, {**THERE, **OUTSIDE}, 0),
        ({"offered": ()}, {}, 17),
        ({"offered": (V6,)}, {"offered": (V4,), **IPV6_FIRST}, 17),
    ],
)
def test_who_is_behind_nat_keeps_its_way_open_to_those_that_cannot_call_it(viewer, callee, keepalive):
    (peer,) = Topology([participant("a", **viewer), participant("b", **callee)], (), None, 17).peers("a")
    assert peer.keepalive == keepalive


def test_a_peer_says_what_it_may_use_and_what_key_comes_next():
    callee = replace(participant("b"), addresses=(ip_address("fd42::2"), ip_address("10.42.0.2")), next_key="next")
    (peer,) = Topology([participant("a"), callee], (), None, 25).peers("a")
    assert (peer.public_key, peer.allowed_ips, peer.next_key) == (
        public_key("b"),
        ("10.42.0.2/32", "fd42::2/128"),
        "next",
    )


def test_all_that_see_a_participant_alike_share_one_object():
    """Lists of 5,000 peers for 5,000 nodes would be 25 million objects."""
    topology = Topology(GROUPS, (), [("web", "*"), ("e", "*")], 25)
    seen = {id(peer) for name in "abcd" for peer in topology.peers(name) if peer.name == "e"}
    assert len(seen) == 1


# --- hubs ------------------------------------------------------------------------------------------------------------

SUBNETS = (ip_network("10.42.0.0/24"), ip_network("fd42::/64"))
SUBNET_TEXTS = {"10.42.0.0/24", "fd42::/64"}
STAR = [("h", "*"), ("i", "*")]


def allowed(topology, viewer):
    return {peer.name: set(peer.allowed_ips) for peer in topology.peers(viewer)}


def star(*participants, links=STAR):
    return Topology(participants, SUBNETS, links, 25)


HUB, SECOND = participant("h", hub=True), participant("i", hub=True, priority=10)


def test_behind_a_spokes_hub_is_the_whole_network():
    topology = star(participant("a"), participant("b"), HUB, links=[("h", "*")])
    assert allowed(topology, "a") == {"h": {"10.42.0.8/32", *SUBNET_TEXTS}}
    assert allowed(topology, "h") == {"a": {"10.42.0.1/32"}, "b": {"10.42.0.2/32"}}


def test_nothing_of_another_spoke_is_in_a_spokes_view():
    seen = repr(star(participant("a"), participant("b"), HUB, links=[("h", "*")]).peers("a"))
    assert public_key("b") not in seen
    assert "10.42.0.2/" not in seen


def test_a_new_spoke_changes_nothing_on_the_others():
    before, after = (star(*(participant(name) for name in names), HUB, links=[("h", "*")]) for names in ("a", "ab"))
    assert before.peers("a") == after.peers("a")


def test_of_two_hubs_the_network_is_behind_the_first_and_the_other_stands_by():
    topology = star(participant("a"), HUB, SECOND)
    assert allowed(topology, "a") == {"h": {"10.42.0.8/32", *SUBNET_TEXTS}, "i": {"10.42.0.9/32"}}


def test_the_second_hub_takes_over_when_the_first_is_gone():
    assert allowed(star(participant("a"), SECOND, links=[("i", "*")]), "a") == {"i": {"10.42.0.9/32", *SUBNET_TEXTS}}


@pytest.mark.parametrize(("priorities", "first"), [((0, 0), "h"), ((5, 0), "i"), ((0, 5), "h")])
def test_the_first_hub_is_that_of_the_lowest_priority_and_then_name(priorities, first):
    hubs = [other(hub, priority=priority) for hub, priority in zip((HUB, SECOND), priorities, strict=True)]
    assert [name for name, networks in allowed(star(participant("a"), *hubs), "a").items() if len(networks) > 1] == [
        first
    ]


def test_hubs_have_no_hub_themselves():
    topology = star(participant("a"), HUB, SECOND)
    assert allowed(topology, "h") == {"a": {"10.42.0.1/32"}, "i": {"10.42.0.9/32"}}


def test_a_node_without_a_link_to_the_hub_has_none():
    links = [("h", "a"), ("a", "b")]
    assert allowed(star(participant("a"), participant("b"), HUB, links=links), "b") == {"a": {"10.42.0.1/32"}}


def test_two_behind_nat_meet_by_way_of_their_hub():
    topology = star(participant("a", **NAT), participant("b", **NAT), participant("c"), HUB, links=None)
    assert allowed(topology, "a") == {"c": {"10.42.0.3/32"}, "h": {"10.42.0.8/32", *SUBNET_TEXTS}}
    assert set(allowed(topology, "c")) == {"a", "b", "h"}


def test_two_behind_one_nat_meet_inside():
    inside = {**NAT, **HERE}
    topology = star(participant("a", **inside), participant("b", **inside), HUB, links=None)
    assert set(allowed(topology, "a")) == {"b", "h"}


def relayed(*participants, links=None):
    found = star(*participants, links=links).relayed()
    return [("".join(each.nodes), each.pairs, each.hub) for each in found]


BEHIND_NAT = [participant(name, **NAT) for name in "abc"]
PRIVATE = {"offered": ("192.168.1.2",)}


@pytest.mark.parametrize(
    ("participants", "links", "told"),
    [
        ([*BEHIND_NAT, HUB], None, [("abc", 3, "h")]),
        ([*BEHIND_NAT, participant("d"), HUB], None, [("abc", 3, "h")]),
        ([participant("a", **NAT), participant("b"), HUB], None, []),
        ([*BEHIND_NAT], None, []),
        ([*BEHIND_NAT, HUB], STAR, []),
        ([*BEHIND_NAT, HUB], [*STAR, ("a", "b")], [("ab", 1, "h")]),
        ([participant("a", **HERE, **NAT), participant("b", **THERE, **NAT), HUB], None, [("ab", 1, "h")]),
        ([participant("a", **HERE, **PRIVATE), participant("b", **THERE, **PRIVATE), HUB], None, [("ab", 1, "h")]),
        ([participant("a", **HERE, **NAT), participant("b", **HERE, **NAT), HUB], None, []),
        ([*BEHIND_NAT, SECOND, HUB], None, [("abc", 3, "h")]),
        (
            [*(participant(name, **HERE, **NAT) for name in "ab"), participant("c", **THERE, **NAT), HUB],
            None,
            [("abc", 2, "h")],
        ),
        ([participant("a", offered=(V4,)), participant("b", offered=(V6,)), HUB], None, [("ab", 1, "h")]),
        ([participant("a", offered=(V4, V6)), participant("b", offered=(V6,)), HUB], None, []),
        ([participant("a", offered=(V4,), **NAT), participant("b", **IPV6_FIRST), HUB], None, []),
        ([participant("a", offered=(), **NAT), participant("b", offered=(V6,)), HUB], None, []),
    ],
)
def test_it_can_be_told_who_meets_by_way_of_a_hub_for_want_of_a_way_to_call_each_other(participants, links, told):
    assert relayed(*participants, links=links) == told


def test_two_that_cannot_meet_stay_peers_where_there_is_no_hub():
    topology = star(participant("a", **NAT), participant("b", **NAT), links=None)
    assert allowed(topology, "a") == {"b": {"10.42.0.2/32"}}


# --- networks behind participants ------------------------------------------------------------------------------------

OFFICE = ip_network("192.168.40.0/24")
GATEWAY = participant("g", routes=(OFFICE,), site="office")


def routers(topology, viewer):
    return [name for name, networks in allowed(topology, viewer).items() if str(OFFICE) in networks]


def test_the_networks_behind_a_node_are_allowed_from_it():
    assert allowed(star(participant("a"), GATEWAY, links=None), "a") == {"g": {"10.42.0.7/32", "192.168.40.0/24"}}


@pytest.mark.parametrize("inside", [{"site": "office"}, {"offered": ("198.51.100.1", "192.168.40.9")}])
def test_who_is_in_a_network_does_not_reach_it_through_the_tunnel(inside):
    """A route to the own network through the tunnel cuts a machine off from its neighbours."""
    assert routers(star(participant("a", **inside), GATEWAY, links=None), "a") == []


def test_of_two_nodes_with_one_network_behind_them_the_first_is_used():
    second = replace(other(GATEWAY, priority=5), name="a", addresses=(ip_address("10.42.0.66"),))
    assert routers(star(participant("b"), GATEWAY, second, links=None), "b") == ["g"]
    assert routers(star(participant("b"), second, links=None), "b") == ["a"]


def test_a_gateway_that_stands_by_reaches_its_network_itself():
    second = replace(other(GATEWAY, priority=5, site=None), name="a")
    assert routers(star(GATEWAY, second, links=None), "a") == []


WHOLE = ip_network("192.168.0.0/16")
HEADQUARTERS = participant("w", routes=(WHOLE,), site="hq")


def behind(topology, viewer):
    """Route -> the peer that it leads to."""
    found = allowed(topology, viewer)
    return {str(route): name for name in found for route in (OFFICE, WHOLE) if str(route) in found[name]}


def test_a_route_within_a_route_is_that_of_another_node():
    """It was an error in the mesh file, though the longest prefix wins everywhere."""
    assert behind(star(participant("a"), GATEWAY, HEADQUARTERS, links=None), "a") == {
        "192.168.40.0/24": "g",
        "192.168.0.0/16": "w",
    }


@pytest.mark.parametrize("inside", [{"site": "office"}, {"offered": ("198.51.100.1", "192.168.40.9")}])
def test_who_is_in_a_network_has_no_route_around_it_into_the_tunnel_either(inside):
    assert behind(star(participant("a", **inside), GATEWAY, HEADQUARTERS, links=None), "a") == {}


@pytest.mark.parametrize("offered", [("198.51.100.1",), ("192.168.40.1",)])
def test_a_gateway_to_a_part_has_the_route_to_the_whole_and_the_one_to_the_whole_that_to_the_part(offered):
    gateway = replace(GATEWAY, offered=offered)
    topology = star(gateway, HEADQUARTERS, links=None)
    assert behind(topology, "g") == {"192.168.0.0/16": "w"}
    assert behind(topology, "w") == {"192.168.40.0/24": "g"}


def test_two_gateways_of_one_site_reach_the_whole_but_not_the_networks_of_their_own_site():
    second = participant("s", routes=(ip_network("192.168.41.0/24"),), site="office")
    topology = star(GATEWAY, second, HEADQUARTERS, links=None)
    assert behind(topology, "s") == behind(topology, "g") == {"192.168.0.0/16": "w"}


def test_a_route_that_contains_the_mesh_leads_to_its_node_beside_that_of_a_hub():
    around = participant("w", routes=(ip_network("10.0.0.0/8"),))
    found = allowed(star(participant("a"), HUB, around, links=None), "a")
    assert found == {"h": {"10.42.0.8/32", *SUBNET_TEXTS}, "w": {"10.42.0.23/32", "10.0.0.0/8"}}


def test_a_network_behind_a_node_without_a_link_is_reached_by_the_hub():
    topology = star(participant("a"), GATEWAY, HUB, links=[("h", "*")])
    assert routers(topology, "a") == ["h"]
    assert routers(topology, "h") == ["g"]


# --- exits -----------------------------------------------------------------------------------------------------------

EVERYTHING = {"0.0.0.0/0", "::/0"}


def through(topology, viewer):
    return [name for name, networks in allowed(topology, viewer).items() if networks >= EVERYTHING]


def test_everything_is_behind_the_exit_of_those_that_go_through_it_and_of_nobody_else():
    topology = star(participant("a", via="g"), participant("b"), GATEWAY, links=None)
    assert {name: through(topology, name) for name in "abg"} == {"a": ["g"], "b": [], "g": []}


def test_only_what_the_network_has_subnets_of_is_behind_an_exit():
    topology = Topology([participant("a", via="g"), GATEWAY], SUBNETS[:1], None, 25)
    assert allowed(topology, "a")["g"] == {"10.42.0.7/32", "192.168.40.0/24", "0.0.0.0/0"}


def test_a_hub_may_be_an_exit_as_well():
    topology = star(participant("a", via="h"), HUB, links=[("h", "*")])
    assert allowed(topology, "a") == {"h": {"10.42.0.8/32", *SUBNET_TEXTS, *EVERYTHING}}


def test_an_exit_is_a_peer_even_if_a_hub_would_do_better_for_want_of_a_way_to_call_it():
    """A hub has no way for everything, and without one nothing would leave the node."""
    behind_nat = [participant(name, endpoint=False) for name in "bc"]
    topology = star(participant("a", endpoint=False, via="b"), *behind_nat, HUB, links=None)
    assert through(topology, "a") == ["b"]
    assert names(topology, "a") == "bh"
    assert names(topology, "b") == "ah"


def test_with_dynamic_routing_everything_is_behind_the_only_peer_whatever_the_subnets():
    """Multicast and link-local packets of routing daemons, and whatever they route, pass to and fro."""
    topology = Topology([participant("a"), participant("b")], SUBNETS[:1], None, 25, dynamic_routing=True)
    assert through(topology, "a") == ["b"]
    assert through(topology, "b") == ["a"]
    assert allowed(topology, "a")["b"] == {"10.42.0.2/32", *EVERYTHING}


def test_without_its_exit_a_node_has_no_other():
    assert through(star(participant("a", via="g"), participant("b"), links=None), "a") == []


NAMES = "abcdefghi"
PARTICIPANTS = st.builds(
    participant,
    st.just("a"),
    endpoint=st.sampled_from([None, False, (Endpoint("x.example"),), (Endpoint("2001:db8::7"), Endpoint("x.example"))]),
    endpoints=st.sampled_from([{}, {"ams": Endpoint("10.9.9.9")}]),
    offered=st.sampled_from([(), ("192.0.2.1",), ("1.1.1.1", "2001:db8::1"), ("192.168.40.3",)]),
    groups=st.frozensets(st.sampled_from(["web", "db"])),
    site=st.sampled_from([None, "ams", "fra"]),
    hub=st.booleans(),
    routes=st.sampled_from([(), (OFFICE,), (ip_network("192.168.0.0/16"),)]),
    priority=st.integers(0, 2),
    via=st.sampled_from([None, None, "b", "c"]),
)
LINKS = st.none() | st.lists(st.tuples(ENDS, ENDS), min_size=1, max_size=6)


@given(st.lists(PARTICIPANTS, min_size=5, max_size=9), LINKS)
def test_in_any_network_a_destination_has_one_peer_peers_are_mutual_and_digests_agree(drawn, links):
    """One peer for each allowed IP is WireGuard's own rule: of two, it silently keeps the last."""
    fleet = [
        replace(
            other(each, via=None if each.settings.via == name else each.settings.via),
            name=name,
            addresses=(ip_address(f"10.42.0.{number}"),),
        )
        for number, (name, each) in enumerate(zip(NAMES, drawn, strict=False), 1)
    ]
    topology = Topology(fleet, SUBNETS, links, 25)
    for one in fleet:
        peers = topology.peers(one.name)
        networks = [network for peer in peers for network in peer.allowed_ips]
        assert len(networks) == len(set(networks))
        assert topology.hashes(one.name) == PeerSet.of(peer.digest for peer in peers).hashes
        for peer in peers:
            assert one.name in names(topology, peer.name)
        assert not any(str(route) in networks for route in one.settings.routes)


@given(st.lists(PARTICIPANTS, min_size=5, max_size=9), LINKS, st.data())
def test_a_topology_that_was_changed_is_the_one_that_is_made_of_the_others(drawn, links, data):
    fleet = {
        name: replace(other(each, via=None), name=name, addresses=(ip_address(f"10.42.0.{number}"),))
        for number, (name, each) in enumerate(zip(NAMES, drawn, strict=False), 1)
    }
    *old, new = fleet
    topology = Topology([fleet[name] for name in old], SUBNETS, links, 25)
    for name in data.draw(st.sets(st.sampled_from(old))):
        topology.hashes(name)  # this much of it has been needed so far
    changes = {data.draw(st.sampled_from(old)): None, new: fleet[new]}
    changed = topology.changed(changes)
    expected = Topology([each for name, each in fleet.items() if changes.get(name, each)], SUBNETS, links, 25)
    if changed is not None:
        for name in fleet.keys() - {name for name, each in changes.items() if each is None}:
            assert changed.peers(name) == expected.peers(name)
            assert changed.hashes(name) == expected.hashes(name)
            assert changed.linked(name) == expected.linked(name)


@pytest.mark.parametrize(
    ("viewer", "endpoint"),
    [({}, "192.0.2.2:51820"), ({"routes": (ROUTE,)}, "192.168.40.1:51820"), ({"site": "ams"}, None)],
)
def test_a_gateway_is_not_reached_at_an_address_of_the_network_behind_it(viewer, endpoint):
    """Who is in that network has no route to it, and so may."""
    callee = {"routes": (ROUTE,), "offered": ("192.168.40.1", "192.0.2.2")}
    assert pair(viewer, callee) == endpoint


def test_nor_a_hub_at_an_address_of_the_subnet_that_it_leads_to():
    hub = participant("b", hub=True, offered=("10.42.0.200", "192.0.2.2"))
    topology = Topology([participant("a"), hub], (ip_network("10.42.0.0/24"),), None, 25)
    assert endpoint(topology, "a", "b") == "192.0.2.2:51820"


# --- IP versions that a participant does not take part with ----------------------------------------------------------


def dual(name, **given):
    number = ord(name[0]) - ord("a") + 1
    return participant(name, addresses=(ip_address(f"10.42.0.{number}"), ip_address(f"fd42::{number}")), **given)


ONLY_V4 = frozenset({4})
SUBNETS = (ip_network("10.42.0.0/24"), ip_network("fd42::/64"))


def test_a_participant_that_is_exempted_from_ipv6_gets_no_ipv6_networks_of_others():
    a = participant("a", ip_versions=ONLY_V4)
    topology = Topology([a, dual("b", routes=(ip_network("fd99::/64"), ROUTE)), dual("c")], SUBNETS, None, 25)
    assert allowed(topology, "a")["b"] == {"10.42.0.2/32", "192.168.40.0/24"}
    assert allowed(topology, "c")["b"] == {"10.42.0.2/32", "192.168.40.0/24", "fd42::2/128", "fd99::/64"}
    assert allowed(topology, "c")["a"] == {"10.42.0.1/32"}


def test_nobody_sends_ipv6_through_a_hub_that_is_exempted_from_it():
    hub = participant("h", hub=True, ip_versions=ONLY_V4)
    topology = Topology([hub, dual("a"), dual("b")], SUBNETS, [("h", "a"), ("h", "b")], 25)
    assert allowed(topology, "a")["h"] == {"10.42.0.0/24", "10.42.0.8/32"}


def test_a_default_route_through_an_exit_that_is_exempted_from_ipv6_is_one_of_ipv4():
    topology = Topology([participant("e", exit=True, ip_versions=ONLY_V4), dual("a", via="e")], SUBNETS, None, 25)
    assert allowed(topology, "a")["e"] == {"0.0.0.0/0", "10.42.0.5/32"}


def test_digests_of_an_exempted_participant_are_those_of_its_peers():
    topology = Topology([participant("a", ip_versions=ONLY_V4), dual("b"), dual("c")], SUBNETS, None, 25)
    for name in "abc":
        assert topology.hashes(name) == PeerSet.of(peer.digest for peer in topology.peers(name)).hashes


@pytest.mark.parametrize(
    ("callee", "is_offered"),
    [
        ({}, True),
        ({"endpoint": [Endpoint("b.example")]}, False),
        ({"endpoint": False}, False),
        ({"offered": ()}, False),
    ],
)
def test_a_peer_tells_whether_it_offers_its_endpoint_itself(callee, is_offered):
    topology = Topology([participant("a"), participant("b", **callee)], (), None, 25)
    (peer,) = topology.peers("a")
    assert peer.is_offered is is_offered
