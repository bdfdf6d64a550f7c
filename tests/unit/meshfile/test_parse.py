import time
from datetime import datetime, timezone
from ipaddress import ip_address, ip_network

import pytest

from meshing import KEY, ROOT, TINY, mesh, network, only, problems
from saltext.wireguard.errors import MeshError
from saltext.wireguard.meshfile.mesh import Mesh, Network, NodeEntry, NodeSettings, Place
from saltext.wireguard.meshfile.parse import parse_mesh
from saltext.wireguard.model.endpoint import Endpoint

# --- what a valid file means -----------------------------------------------------------------------------------------


def test_the_smallest_mesh_has_the_documented_defaults():
    assert mesh(TINY) == Mesh(
        (
            Network(
                name="backbone",
                place=Place("mesh.yml", 2),
                interface="wg0",
                port=51820,
                subnets=(ip_network("10.42.0.0/16"), ip_network("fd42:42::/64")),
                mtu=None,
                keepalive=25,
                nodes=(NodeEntry("*", Place("mesh.yml", 5)),),
                peers=(),
                admit="auto",
                rekey="auto",
                rotate_every=None,
            ),
        )
    )


@pytest.mark.parametrize("example", sorted((ROOT / "examples").glob("*.yml")), ids=lambda path: path.name)
def test_every_example_is_a_valid_mesh_file(example):
    assert parse_mesh([(str(example), example.read_text())]).networks


def test_a_directory_of_files_makes_one_mesh_and_empty_ones_add_nothing():
    other = TINY.replace("backbone", "dmz").replace("42", "43") + "    interface: wg1\n    port: 51821\n"
    whole = parse_mesh([("a.yml", TINY), ("b.yml", "# nothing yet\n"), ("c.yml", other)])
    assert [str(network.place) for network in whole.networks] == ["a.yml:2", "c.yml:2"]


def test_a_network_is_found_by_its_name():
    whole = mesh(TINY)
    assert whole.network("backbone") is whole.networks[0]


def test_an_unknown_network_is_none():
    assert mesh(TINY).network("dmz") is None


def test_peers_are_read_with_the_default_port_for_their_endpoint():
    peer = only(network(peers=f"p: {{public_key: {KEY}, addresses: [10.42.9.1], endpoint: p.example}}")).peers[0]
    assert (peer.name, peer.public_key, peer.addresses, peer.endpoint) == (
        "p",
        KEY,
        (ip_address("10.42.9.1"),),
        (Endpoint("p.example", 51820),),
    )


def test_a_peer_without_a_key_waits_to_be_exported():
    for peers in ("p: ", "p: {}", "p: {addresses: [10.42.9.1]}"):
        (peer,) = only(network(peers=peers)).peers
        assert (peer.name, peer.public_key) == ("p", None)


def test_a_peer_that_cannot_be_reached_has_no_endpoint():
    peer = only(network(peers=f"p: {{public_key: {KEY}, addresses: [10.42.9.1], endpoint: false}}")).peers[0]
    assert peer.endpoint is None


def test_nobody_may_be_named_explicitly_to_empty_a_network():
    assert only(network(nodes="")).nodes == ()


def test_a_null_node_is_a_node_without_settings():
    assert only(network(nodes="web1: ")).settings("web1") == NodeSettings((), None, 51820)


@pytest.mark.parametrize("word", ["false", "off", "no", "False"])
def test_an_endpoint_that_is_false_is_kept_apart_from_none(word):
    settings = only(network(nodes=f"web1: {{endpoint: {word}}}")).settings("web1")
    assert settings is not None
    assert settings.endpoint is False


@pytest.mark.parametrize(
    ("text", "endpoints"),
    [
        ("a.example", [Endpoint("a.example")]),
        ("['[2001:db8::7]:9', 203.0.113.7]", [Endpoint("2001:db8::7", 9), Endpoint("203.0.113.7")]),
        ("['2a00::7', a.example]", [Endpoint("2a00::7"), Endpoint("a.example")]),
    ],
)
def test_an_endpoint_may_be_a_list_in_order_of_preference(text, endpoints):
    settings = only(network(nodes=f"a: {{endpoint: {text}}}")).settings("a")
    assert settings is not None
    assert settings.endpoint == tuple(endpoints)


def test_a_peer_may_have_several_endpoints_as_well():
    fields = f"public_key: {KEY}, addresses: [10.42.9.1], endpoint: ['2001:db8::7', 203.0.113.7]"
    peer = only(network(peers=f"p: {{{fields}}}")).peers[0]
    assert peer.endpoint == (Endpoint("2001:db8::7", 51820), Endpoint("203.0.113.7", 51820))


def test_groups_site_and_endpoints_of_sites_are_read():
    settings = only(network(nodes="a: {groups: [x, y, x], site: ams, endpoints: {fra: 10.0.0.1}}")).settings("a")
    assert settings is not None
    assert settings.groups == {"x", "y"}
    assert settings.site == "ams"
    assert settings.endpoints == {"fra": Endpoint("10.0.0.1")}


def test_exits_and_who_goes_through_them_are_read():
    nodes = "'*': {via: gw1}, web1: {}, db1: {via: false}, db2: {via: gw2}, 'gw*': {exit: true}, gw1: {}, gw2: {}"
    backbone = only(network(nodes=nodes))
    settings = {node: backbone.settings(node) for node in ("web1", "db1", "db2", "gw1", "gw2", "gw3")}
    assert {node: each and (each.exit, each.via) for node, each in settings.items()} == {
        "web1": (False, "gw1"),
        "db1": (False, None),
        "db2": (False, "gw2"),
        "gw1": (True, None),  # what a glob says is not about itself
        "gw2": (True, "gw1"),
        "gw3": (True, "gw1"),
    }


def test_a_node_may_have_an_mtu_of_its_own():
    backbone = only(network("mtu: 1400", nodes="'*': {}, 'dsl*': {mtu: 1350}"))
    settings = [backbone.settings(node) for node in ("web1", "dsl1")]
    assert [each and each.mtu for each in settings] == [1400, 1350]


def test_exits_in_networks_of_different_ip_versions_do_not_collide():
    nodes = "nodes: {a: {via: gw}, gw: {exit: true}}"
    one = f"one: {{subnets: [10.42.0.0/16], {nodes}}}"
    other = f"other: {{interface: wg1, port: 51821, subnets: ['fd42::/64'], {nodes}}}"
    settings = [each.settings("a") for each in mesh(f"networks:\n  {one}\n  {other}\n").networks]
    assert [each and each.via for each in settings] == ["gw", "gw"]


def test_groups_are_those_of_the_most_specific_entry_that_has_any():
    backbone = only(network(nodes="'*': {groups: [all], site: ams}, 'w*': {groups: [web]}, w1: {}"))
    settings = [backbone.settings(node) for node in ("w1", "x")]
    assert [each and (each.groups, each.site) for each in settings] == [({"web"}, "ams"), ({"all"}, "ams")]


def test_two_sites_may_use_one_private_address_for_different_nodes():
    nodes = "a: {endpoints: {ams: 10.0.0.1}}, b: {endpoints: {fra: 10.0.0.1}}"
    assert only(network(nodes=nodes)).settings("b").endpoints == {"fra": Endpoint("10.0.0.1")}


def test_a_link_joins_groups_minion_ids_peers_and_everybody():
    peer = f"p: {{public_key: {KEY}, addresses: [10.42.9.1], groups: [g]}}"
    backbone = only(network("links: [[w, a], [p, '*'], [g, g]]", nodes="a: {}, 'w*': {groups: [w]}", peers=peer))
    assert backbone.links == (("w", "a"), ("p", "*"), ("g", "g"))
    assert backbone.peers[0].groups == {"g"}


def test_hubs_routes_and_priorities_are_read():
    nodes = "a: {hub: yes, routes: [10.9.0.0/16, 'fd9::/48'], priority: 7}, b: {hub: false}"
    one, other = (only(network(nodes=nodes)).settings(node) for node in "ab")
    assert (one.hub, one.routes, one.priority) == (True, (ip_network("10.9.0.0/16"), ip_network("fd9::/48")), 7)
    assert (other.hub, other.routes, other.priority) == (False, (), 0)


def test_two_nodes_of_different_priority_may_have_one_route():
    nodes = "a: {routes: [10.9.0.0/16]}, b: {routes: [10.9.0.0/16], priority: 1}"
    assert only(network(nodes=nodes)).settings("b").priority == 1


def test_a_peer_may_have_routes():
    peer = f"p: {{public_key: {KEY}, addresses: [10.42.9.1], routes: [10.9.0.0/16]}}"
    assert only(network(peers=peer)).peers[0].routes == (ip_network("10.9.0.0/16"),)


def test_without_links_there_are_none_to_obey():
    assert only(TINY).links is None


@pytest.mark.parametrize("key", ["admit", "rekey"])
@pytest.mark.parametrize("word", ["auto", "manual", "'manual'"])
def test_whether_keys_need_an_approval_is_read(key, word):
    assert getattr(only(network(f"{key}: {word}")), key) == word.strip("'")


@pytest.mark.parametrize(
    ("duration", "seconds"),
    [("30d", 2_592_000), ("'30d'", 2_592_000), ("1h", 3600), ("3600s", 3600), ("2w", 1_209_600)],
)
def test_the_age_at_which_keys_are_replaced_is_read_in_seconds(duration, seconds):
    assert only(network(f"rotate_every: {duration}")).rotate_every == seconds


def test_what_is_excluded_is_a_subnet_a_range_or_an_address():
    found = only(network("exclude: [10.42.0.0/28, 10.42.1.5 - 10.42.1.9, 'fd42:42::1', 'fd42:42::/120']")).exclude
    expected = ["10.42.0.0-10.42.0.15", "10.42.1.5-10.42.1.9", "fd42:42::1", "fd42:42::-fd42:42::ff"]
    assert [str(each) for each in found] == expected
    assert [ip_address(each) in found[1] for each in ("10.42.1.4", "10.42.1.5", "10.42.1.9", "fd42:42::1")] == [
        *(False, True, True, False),
    ]


def test_how_long_addresses_are_kept_is_read_in_seconds():
    assert [only(network(text)).quarantine for text in ("", "quarantine: 1h")] == [604_800, 3600]


@pytest.mark.parametrize("quote", ["", "'", '"'])
@pytest.mark.parametrize("pattern", ["web1", "'web*'"])
@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2027-01-01", (2027, 1, 1)),
        ("2028-02-29", (2028, 2, 29)),
        ("2027-01-01T18:00:00Z", (2027, 1, 1, 18)),
        ("2027-01-01T18:00:01", (2027, 1, 1, 18, 0, 1)),
        ("2027-01-01T18:00Z", (2027, 1, 1, 18)),
        ("2027-01-01 18:00", (2027, 1, 1, 18)),
        ("2027-01-01t18:00:00z", (2027, 1, 1, 18)),
        ("2027-01-01 18:00:00 +02", (2027, 1, 1, 16)),
        ("2027-01-01T18:00:00+02:00", (2027, 1, 1, 16)),
        ("2027-01-01T18:00:00-0530", (2027, 1, 1, 23, 30)),
        ("2027-01-01T00:30:00+01:00", (2026, 12, 31, 23, 30)),
        ("2027-01-01T18:00:00.999999999Z", (2027, 1, 1, 18)),
        ("2001-01-01", (2001, 1, 1)),
        ("1970-01-01", (1970, 1, 1)),
        ("9999-12-31T23:59:59Z", (9999, 12, 31, 23, 59, 59)),
    ],
)
def test_when_a_node_expires_is_read_in_unix_seconds(pattern, text, utc, quote):
    settings = only(network(nodes=f"{pattern}: {{expires: {quote}{text}{quote}}}")).settings("web1")
    assert settings is not None
    assert settings.expires == datetime(*utc, tzinfo=timezone.utc).timestamp()
    assert type(settings.expires) is int


def test_the_zone_of_the_machine_does_not_matter(monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Kathmandu")
    time.tzset()
    try:
        assert only(network(nodes="a: {expires: 2027-01-01}")).nodes[0].expires == 1_798_761_600
    finally:
        monkeypatch.undo()
        time.tzset()


def test_five_thousand_nodes_are_parsed_and_looked_up():
    lines = [
        f"      n{i}: {{addresses: [10.42.{i // 250}.{i % 250 + 1}], endpoint: n{i}.example}}" for i in range(5000)
    ]
    backbone = only(TINY + "\n".join(lines))
    assert all(backbone.settings(f"n{i}") for i in range(5000))


# --- what is wrong with a file ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "mesh.yml: no networks; the smallest mesh is"),
        ("# nothing\n---\n", "mesh.yml: no networks"),
        ("{}", "mesh.yml: no networks"),
        ("networks:", "mesh.yml:1: networks must be a mapping"),
        ("networks: {}", "mesh.yml:1: networks must be a mapping"),
    ],
)
def test_a_mistake_is_named_with_its_place_and_what_would_be_right(text, problem):
    assert [line for line in problems(text) if problem in line]


def test_all_mistakes_are_reported_at_once_in_the_order_of_the_file():
    found = problems(network("port: '1'\nmtu: 5\nx: 1\nsubnets: [10.42.0.1/16]", nodes="'a b': {port: 0}"))
    assert [line.split(":")[1] for line in found] == ["3", "4", "5", "6", "7"]


def test_a_network_in_two_files_is_named_with_both_places():
    assert problems(TINY, TINY) == ["mesh2.yml:2: network 'backbone' is already defined at mesh.yml:2; keep one"]


def test_a_mistake_in_one_file_does_not_hide_those_in_another():
    assert len(problems("networks: [", "networks: {a: }")) == 2


def test_no_files_at_all_are_an_error():
    with pytest.raises(MeshError, match="mesh: no networks"):
        parse_mesh([])


def test_nothing_is_checked_against_subnets_that_are_wrong_themselves():
    assert len(problems(network("subnets: [10.42.0.1/16]", nodes="a: {addresses: [10.42.0.5]}"))) == 1


def test_what_a_hostile_file_says_is_quoted_and_cut_in_messages():
    (line,) = problems(network(nodes=f'"a\\e[31m{"x" * 100_000}": {{}}'))
    assert len(line) < 250


@pytest.mark.parametrize("subnet", ["10.42.0.0/31", "fd42::/127"])
def test_both_addresses_of_a_two_address_subnet_can_be_used(subnet):
    first, second = ip_network(subnet)
    text = network(f"subnets: ['{subnet}']", nodes=f"a: {{addresses: ['{first}']}}, b: {{addresses: ['{second}']}}")
    assert [entry.addresses for entry in only(text).nodes] == [(first,), (second,)]


def test_keys_are_not_rotated_by_themselves_where_peers_have_them_by_hand():
    peer = "p: {public_key: xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=, addresses: [10.42.0.9]}"
    (problem,) = problems(network("rotate_every: 30d", peers=peer))
    assert problem.startswith("mesh.yml:3: rotate_every is not possible with peers")


# --- where it stands -------------------------------------------------------------------------------------------------


def test_a_setting_knows_its_line_and_one_that_is_not_given_has_that_of_the_whole():
    found = only(
        "networks:\n  backbone:\n    subnets: [10.42.0.0/16]\n    mtu: 1400\n    nodes:\n      db1:\n        port: 1\n"
        "    peers:\n      phone:\n        addresses: [10.42.0.9]\n        public_key: " + KEY + "\n"
    )
    (db1,), (phone,) = found.nodes, found.peers
    places = [found.place_of("mtu"), found.place_of("keepalive"), db1.place_of("port"), db1.place_of("endpoint")]
    assert [place.line for place in [*places, phone.place_of("public_key")]] == [4, 2, 7, 6, 11]


# --- public keys of nodes --------------------------------------------------------------------------------------------


def test_the_public_key_of_a_node_is_read():
    settings = only(network(nodes=f"a: {{public_key: {KEY}, addresses: [10.42.0.5]}}, b: {{}}")).settings
    assert [settings(node).public_key for node in "ab"] == [KEY, None]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            network(nodes=f"a: {{public_key: {KEY}}}"),
            "mesh.yml:4: public_key needs addresses: a node that need not register is given none; write",
        ),
        (
            network(nodes=f"'a*': {{public_key: {KEY}}}"),
            "mesh.yml:4: public_key belongs to one node; write the minion's id instead of 'a*'",
        ),
        (
            network(
                nodes=", ".join(f"{n}: {{public_key: {KEY}, addresses: [10.42.0.{n[1]}]}}" for n in ("'5'", "'6'"))
            ),
            "is already used at mesh.yml:4; every peer has its own",
        ),
        (
            network("rotate_every: 30d", nodes=f"a: {{public_key: {KEY}, addresses: [10.42.0.5]}}"),
            "mesh.yml:3: rotate_every is not possible with the public_key of 'a', which allows no other",
        ),
    ],
)
def test_a_public_key_that_cannot_be_meant_is_an_error(text, expected):
    assert any(expected in problem for problem in problems(text))


@pytest.mark.parametrize(
    "where",
    [
        "preshared_keys: {}",
        "keepalive: {}",
        "mtu: {}",
        "interface: {}",
        "domain: {}",
        "rotate_every: {}",
        "admit: {}",
        "subnets: {}",
        "subnets: [{}]",
        "exclude: [{}]",
        "links: [[{}, a]]",
        "links: {}",
        "{}: 1",
        "nodes: {}",
        "nodes: {{a: {}}}",
        "nodes: {{a: {{public_key: '{}x'}}}}",
        "nodes: {{a: {{endpoint: {}}}}}",
        "nodes: {{a: {{expires: {}}}}}",
        "nodes: {{a: {{via: {}}}}}",
        "nodes: {{a: {{groups: [{}]}}}}",
        "nodes: {{a: {{site: {}}}}}",
        "peers: {{phone: {{preshared_key: {}}}}}",
        "peers: {{{}: {{}}}}",
        "subnets: [10.42.0.0/16], nodes: {{a: {{{}: 1}}}}",
    ],
)
def test_a_key_in_the_wrong_place_is_not_quoted(where):
    """A preshared key that stood where `true` belongs was quoted in logs, events and everybody's pillar."""
    secret = "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk="
    with pytest.raises(MeshError) as caught:
        parse_mesh([("mesh.yml", "networks: {net: {" + where.format(secret) + "}}\n")])
    assert secret[1:41] not in str(caught.value)


@pytest.mark.parametrize(
    "nodes", ["'a{earlier}*': {}, 'A{earlier}*': {}", "'{0}*': {}, '{}?': {}", "'%s*': {}, '%d*': {}"]
)
def test_what_is_written_in_the_file_is_no_template_of_a_message(nodes):
    """Globs keep their case: only ids become host names. And a brace in a name was a field of the message about it."""
    (found,) = parse_mesh(
        [("mesh.yml", "networks: {net: {subnets: [10.42.0.0/16], nodes: {" + nodes + "}}}\n")]
    ).networks
    assert len(found.nodes) == 2
