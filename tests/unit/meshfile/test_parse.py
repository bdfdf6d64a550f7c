import time
from datetime import datetime, timezone
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from saltext.wireguard.errors import MeshError
from saltext.wireguard.meshfile.mesh import Mesh, Network, NodeEntry, NodeSettings, Place
from saltext.wireguard.meshfile.parse import parse_mesh
from saltext.wireguard.model.endpoint import Endpoint

ROOT = Path(__file__).parents[3]
KEY = "HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw="
TINY = """\
networks:
  backbone:
    subnets: [10.42.0.0/16, "fd42:42::/64"]
    nodes:
      '*': {}
"""


def mesh(text: str) -> Mesh:
    return parse_mesh([("mesh.yml", text)])


def problems(*texts: str) -> list[str]:
    """What is wrong with the files mesh.yml, mesh2.yml, ..., one line each."""
    with pytest.raises(MeshError) as caught:
        parse_mesh([(f"mesh{number or ''}.yml".replace("1", "2"), text) for number, text in enumerate(texts)])
    return str(caught.value).split("\n")


def network(settings: str = "", nodes: str = "'*': {}", peers: str = "") -> str:
    """A mesh file: network settings from line 3, the only node entry or entries at the last line but one."""
    lines = ["networks:", "  backbone:", *(f"    {line}" for line in settings.splitlines())]
    if "subnets" not in settings:
        lines.append('    subnets: [10.42.0.0/16, "fd42:42::/64"]')
    lines += [f"    nodes: {{{nodes}}}"]
    return "\n".join([*lines, *([f"    peers: {{{peers}}}"] if peers else [])]) + "\n"


def only(text: str) -> Network:
    return mesh(text).networks[0]


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


def test_a_peer_that_cannot_be_called_has_no_endpoint():
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

OVERLAP = "overlaps 10.42.0.0/16 at mesh.yml:3"
BOTH = """\
networks:
  a: {subnets: [10.42.0.0/16], nodes: {x: {endpoint: X.example}, '*': {}}}
  b:
    subnets: [10.43.0.0/16]
    nodes: {'*': {}}
"""


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        # the file as a whole
        ("", "mesh.yml: no networks; the smallest mesh is"),
        ("# nothing\n---\n", "mesh.yml: no networks"),
        ("{}", "mesh.yml: no networks"),
        ("networks:", "mesh.yml:1: networks must be a mapping"),
        ("networks: {}", "mesh.yml:1: networks must be a mapping"),
        ("- a", "mesh.yml:1: a mesh file must be a mapping (`key: value`), not a list"),
        ("network: {}", "mesh.yml:1: unknown key 'network'; did you mean 'networks'?"),
        ("networks: {a: }", "mesh.yml:1: network 'a' must be a mapping (`key: value`), not nothing"),
        # YAML
        ("networks:\n\tx: 1", "mesh.yml:2: not valid YAML: while scanning for the next token"),
        (
            "networks: [1,\nb: 2",
            "mesh.yml:2: not valid YAML: while parsing a flow sequence that began in line 1, did not find",
        ),
        ("networks:\n  *: {}", "mesh.yml:2: not valid YAML: while scanning an alias"),
        ("networks:\n  *web: {}", "mesh.yml:2: YAML aliases are not used in a mesh file; put '*web' in quotes"),
        ("a: &a [*a]", "mesh.yml:1: YAML aliases are not used"),
        (TINY + "---\n" + TINY, "mesh.yml:6: a second YAML document"),
        (network("<<: {port: 1}"), "mesh.yml:3: merge keys ('<<') are not used; give shared settings in a glob entry"),
        (network("port: 1\nport: 2"), "mesh.yml:4: duplicate key 'port', first given at mesh.yml:3; keep one"),
        (network(nodes="a: {}, 'a': {}"), "mesh.yml:4: duplicate key 'a', first given at mesh.yml:4"),
        (network("? [a]\n: b"), "mesh.yml:3: a key must be a word, not a list"),
        (network("port: !!int 5"), "mesh.yml:3: YAML tags are not used in a mesh file; remove 'tag:yaml.org,2002:int'"),
        (network("mtu: ! 5"), "mesh.yml:3: YAML tags are not used in a mesh file; remove '!'"),
        (network("subnets: !x [10.42.0.0/16]"), "mesh.yml:3: YAML tags are not used in a mesh file; remove '!x'"),
        ("a: \x00", "mesh.yml:1: the file contains '\\x00'"),
        ("a: 1\nb: \udcff", "mesh.yml:2: the file contains '\\udcff'"),
        ("[" * 50, "mesh.yml:1: lists and mappings are nested too deeply"),
        # keys
        (network("subnet: []"), "mesh.yml:3: unknown key 'subnet'; did you mean 'subnets'?"),
        (network("preshard_keys: true"), "mesh.yml:3: unknown key 'preshard_keys'; did you mean 'preshared_keys'?"),
        (network("colours: true"), "mesh.yml:3: unknown key 'colours'; valid keys: interface, port, "),
        (network(nodes="a: {colour: x}"), "mesh.yml:4: unknown key 'colour'; valid keys: addresses, endpoint, "),
        (network(nodes="a: {end_point: x}"), "mesh.yml:4: unknown key 'end_point'; did you mean 'endpoint'?"),
        (network("2026-01-01: 1"), "mesh.yml:3: unknown key '2026-01-01'; valid keys"),
        # network settings
        (TINY.replace("backbone", "'a b'"), "mesh.yml:2: 'a b' is not a network's name; write 1 to 64 of the"),
        (
            TINY.replace("backbone", "007"),
            "mesh.yml:2: a network's name must be text, but YAML reads '007' as a number",
        ),
        (TINY.replace("subnets", "mtu"), "mesh.yml:2: network 'backbone' has no 'subnets'; write where"),
        (network("interface: wg/0"), "mesh.yml:3: 'wg/0' cannot name an interface; write 1 to 15 of"),
        (network("interface: ''"), "mesh.yml:3: '' cannot name an interface"),
        (network("interface: .."), "mesh.yml:3: '..' cannot name an interface"),
        (network("interface: lo"), "mesh.yml:3: 'lo' cannot name an interface"),
        (network("interface: --help"), "mesh.yml:3: '--help' cannot name an interface"),
        (network("interface: bonding_masters"), "mesh.yml:3: 'bonding_masters' cannot name an interface"),
        (TINY.replace("backbone", "'..'"), "mesh.yml:2: '..' is not a network's name"),
        (TINY.replace("backbone", "-x"), "mesh.yml:2: '-x' is not a network's name"),
        (network("interface: " + "w" * 16), "cannot name an interface"),
        (
            network("interface: on"),
            "mesh.yml:3: interface must be text, but YAML reads 'on' as true or false; quote it",
        ),
        (network("port: '51820'"), "mesh.yml:3: port must be a number, not text; remove the quotes: `port: 51820`"),
        (network("port: true"), "mesh.yml:3: port must be a whole number from 1 to 65535, not 'true'"),
        (network("port: 0"), "mesh.yml:3: port must be a whole number from 1 to 65535, not '0'"),
        (network("port: 65536"), "not '65536'"),
        (network("port: 5e3"), "not '5e3'"),
        (network("port: 1:20"), "not '1:20'"),
        (network("port: 0x50"), "not '0x50'"),
        (network("port: 010"), "not '010'"),
        (network("port: -1"), "not '-1'"),
        (network("port: .nan"), "not '.nan'"),
        (network("port: [1]"), "not a list"),
        (network("port: "), "not ''"),
        (network("port: " + "9" * 10_000), "not '999"),
        (network("keepalive: 65536"), "mesh.yml:3: keepalive must be a whole number from 0 to 65535, not '65536'"),
        (network("keepalive: on"), "keepalive must be a whole number from 0 to 65535, not 'on'"),
        (network("mtu: 1279"), "mesh.yml:3: mtu must be a whole number from 1280 to 65535, not '1279'"),
        (network("mtu: 575\nsubnets: [10.42.0.0/16]"), "mtu must be a whole number from 576 to 65535, not '575'"),
        (network("admit: on"), "mesh.yml:3: admit must be auto or manual, not 'on'"),
        (network("admit: Manual"), "mesh.yml:3: admit must be auto or manual, not 'Manual'"),
        (network("admit:"), "mesh.yml:3: admit must be auto or manual, not ''"),
        (network("rekey: [auto]"), "mesh.yml:3: rekey must be auto or manual, not a list"),
        (network("re-key: auto"), "mesh.yml:3: unknown key 're-key'; did you mean 'rekey'?"),
        (network("rotate: 30d"), "mesh.yml:3: unknown key 'rotate'; did you mean 'rotate_every'?"),
        (network("rotate_every: 30"), "mesh.yml:3: '30' is not a duration: it has no unit; write 30s, 30m, 30h, 30d"),
        (network("rotate_every: never"), "mesh.yml:3: 'never' is not a duration: write a whole number and a unit (s,"),
        (network("rotate_every: 1:20"), "mesh.yml:3: '1:20' is not a duration"),
        (network("rotate_every:"), "mesh.yml:3: '' is not a duration"),
        (network("rotate_every: 0d"), "mesh.yml:3: '0d' is not a duration: it must be at least 1s"),
        (network("rotate_every: 59m"), "mesh.yml:3: rotate_every must be at least 1h, not '59m'"),
        (network("rotate_every: 3599s"), "mesh.yml:3: rotate_every must be at least 1h, not '3599s'"),
        (network("rotate_every: 9999w"), "mesh.yml:3: '9999w' is not a duration: it must be at most 36500d"),
        (network("rotate_every: [30d]"), "mesh.yml:3: rotate_every must be a duration, such as 30d, not a list"),
        # subnets
        (network("subnets: 10.42.0.0/16"), "mesh.yml:3: subnets must be a list: write `subnets: [10.42.0.0/16]`"),
        (network("subnets: []"), "mesh.yml:3: subnets must be a list that is not empty, such as"),
        (network("subnets:"), "mesh.yml:3: subnets must be a list that is not empty, such as"),
        (network("subnets: [10.42.0.5/16]"), "10.42.0.5/16 has host bits set; did you mean 10.42.0.0/16?"),
        (network("subnets: [10.42.0.0]"), "'10.42.0.0' is not a subnet; write address/prefix length"),
        (network("subnets: [10.0.0.0/255.0.0.0]"), "is not a subnet; write address/prefix length"),
        (network("subnets: [10.42.0.0/33]"), "'10.42.0.0/33' is not a subnet: its address or prefix length is out"),
        (network("subnets: [10.42]"), "a subnet must be text, but YAML reads '10.42' as a number; quote it"),
        (network("subnets: [[10.42.0.0/16]]"), "a subnet must be text, not a list"),
        (network("subnets: [10.42.0.5/32]"), "10.42.0.5/32 has room for one address only"),
        (network('subnets: ["fd42::1/128"]'), "fd42::1/128 has room for one address only"),
        (network("subnets: [0.0.0.0/0]"), "0.0.0.0/0 overlaps 0.0.0.0/8 (this network); use private addresses"),
        (network("subnets: [127.1.0.0/16]"), "(loopback)"),
        (network("subnets: [169.254.0.0/24]"), "(link-local)"),
        (network("subnets: [239.0.0.0/8]"), "(multicast)"),
        (network('subnets: ["fe80::/64"]'), "(link-local)"),
        (network('subnets: ["ff05::/64"]'), "(multicast)"),
        (
            network("subnets:\n- 10.42.0.0/16\n- 10.42.1.0/24"),
            "mesh.yml:5: 10.42.1.0/24 overlaps 10.42.0.0/16 at mesh.yml:4",
        ),
        # links, groups and sites
        (network(nodes="a: {groups: web}"), "mesh.yml:4: groups must be a list: write `groups: [web]`"),
        (network(nodes="a: {groups: [w/b]}"), "mesh.yml:4: 'w/b' is not a group's name; write 1 to 64 of"),
        (network(nodes="a: {site: [ams]}"), "mesh.yml:4: a site's name must be text, not a list"),
        (
            network(nodes="a: {endpoints: x.example}"),
            "mesh.yml:4: endpoints must be a mapping (`key: value`), not text",
        ),
        (
            network(nodes="a: {endpoints: {ams: false}}"),
            "mesh.yml:4: endpoints says where nodes of site ams reach this",
        ),
        (network(nodes="a: {endpoints: {a/s: x}}"), "mesh.yml:4: 'a/s' is not a site's name; write 1 to 64 of"),
        (network(nodes="'a*': {endpoints: {ams: x}}"), "mesh.yml:4: endpoints belongs to one node; write the minion's"),
        (
            network(nodes="a: {endpoints: {ams: 10.0.0.1}}, b: {endpoints: {ams: 10.0.0.1}}"),
            "mesh.yml:4: endpoint 10.0.0.1:51820 is already used at mesh.yml:4; give one of them another port",
        ),
        (network("links: web"), "mesh.yml:3: links must be a list: write `links: [web]`"),
        (network("links: []"), "mesh.yml:3: links must be a list that is not empty, such as `links: [[web, db]]`"),
        (network("links: [web, db]"), "mesh.yml:3: a link joins two: groups, minion ids or peers, such as `[web, db]`"),
        (network("links: [[a]]"), "mesh.yml:3: a link joins two"),
        (network("links: [['*', [a]]]"), "mesh.yml:3: an end of a link must be text, not a list"),
        (
            network("links: [['*', wbe]]", nodes="a: {groups: [web]}"),
            "mesh.yml:3: there is no group, minion id or peer 'wbe'; did you mean 'web'?",
        ),
        (
            network("links: [['*', 'w*']]", nodes="'w*': {}"),
            "mesh.yml:3: there is no group, minion id or peer 'w*'; give nodes `groups: [...]` that links can name",
        ),
        (
            network("links: [['*', a]]", nodes="a: {groups: [b]}, b: {groups: [a]}"),
            "mesh.yml:3: 'a' is a group as well as a node or a peer; give the group another name",
        ),
        # hubs and routes
        (network("preshared_keys: 1"), "mesh.yml:3: preshared_keys must be true or false, not '1'"),
        (network(nodes="a: {hub: 1}"), "mesh.yml:4: hub must be true or false, not '1'"),
        (network(nodes="a: {hub: 'true'}"), "mesh.yml:4: hub must be true or false, not 'true'"),
        (network(nodes="a: {priority: -1}"), "mesh.yml:4: priority must be a whole number from 0 to 65535, not '-1'"),
        (network(nodes="a: {routes: 10.9.0.0/16}"), "mesh.yml:4: routes must be a list: write `routes: [10.9.0.0/16]`"),
        (network(nodes="a: {routes: [10.9.0.1/16]}"), "mesh.yml:4: 10.9.0.1/16 has host bits set; did you mean 10.9"),
        (network(nodes="a: {routes: [0.0.0.0/0]}"), "mesh.yml:4: 0.0.0.0/0 is everything; a route is a network behind"),
        (network(nodes="a: {routes: [127.0.0.0/24]}"), "mesh.yml:4: 127.0.0.0/24 overlaps 127.0.0.0/8 (loopback)"),
        (
            network(nodes="'a*': {routes: [10.9.0.0/16]}"),
            "mesh.yml:4: routes belongs to one node; write the minion's id",
        ),
        (
            network(nodes="a: {routes: [10.42.3.0/24]}"),
            "mesh.yml:4: route 10.42.3.0/24 overlaps 10.42.0.0/16 of a network at mesh.yml:3; what is behind a node",
        ),
        (
            network(nodes="a: {routes: [10.9.0.0/16, 10.9.1.0/24]}"),
            "mesh.yml:4: route 10.9.1.0/24 overlaps 10.9.0.0/16 of the same node; keep one",
        ),
        (
            network(nodes="a: {routes: [10.9.0.0/16]}, b: {routes: [10.9.0.0/16]}"),
            "mesh.yml:4: route 10.9.0.0/16 overlaps 10.9.0.0/16 of 'a' at mesh.yml:4; for failover, give both nodes",
        ),
        (
            network(nodes="a: {routes: [10.9.0.0/16]}, b: {routes: [10.9.1.0/24], priority: 1}"),
            "mesh.yml:4: route 10.9.1.0/24 overlaps 10.9.0.0/16 of 'a' at mesh.yml:4; for failover, give both nodes",
        ),
        (
            BOTH.replace("x: {endpoint: X.example}", "x: {routes: [10.9.0.0/16]}").replace(
                "{'*': {}}", "{'*': {}, y: {routes: [10.9.1.0/24]}}"
            ),
            "mesh.yml:5: route 10.9.1.0/24 overlaps 10.9.0.0/16 of a network at mesh.yml:2; what is behind a node",
        ),
        # between networks
        (BOTH.replace("43", "42"), "mesh.yml:4: 10.42.0.0/16 overlaps 10.42.0.0/16 at mesh.yml:2"),
        (BOTH, "mesh.yml:3: network 'b' has interface wg0, as the one at mesh.yml:2 does; give one of them another"),
        (BOTH + "    interface: wg0", "mesh.yml:6: network 'b' has interface wg0, as the one at mesh.yml:2"),
        (
            BOTH,
            "mesh.yml:3: network 'b' has port 51820, as the one at mesh.yml:2 does; give one of them another `port:`",
        ),
        (
            BOTH.replace("'*': {}}\n", "x: {port: 51820}}\n    interface: wg1\n    port: 51821\n"),
            "mesh.yml:5: 'x' has port 51820 in networks 'a' and 'b'; change one",
        ),
        (
            BOTH.replace("'*': {}}\n", "y: {endpoint: 'x.example:51820'}}\n"),
            "mesh.yml:5: endpoint x.example:51820 is already used at mesh.yml:2; give one of them another port",
        ),
        # nodes
        ("networks: {a: {subnets: [10.42.0.0/16]}}", "network 'a' has no 'nodes'; who belongs to it?"),
        (TINY.replace("'*': {}", "# '*': {}"), "nodes is empty; who belongs to it?"),
        (TINY.replace("'*': {}", "- web1"), "mesh.yml:5: nodes must be a mapping (`key: value`), not a list"),
        (network(nodes="a: yes"), "mesh.yml:4: node 'a' must be a mapping (`key: value`), not true or false"),
        (network(nodes="12: {}"), "a minion id must be text, but YAML reads '12' as a number; quote it"),
        (network(nodes="2026-01-01: {}"), "a minion id must be text, but YAML reads '2026-01-01' as a date; quote it"),
        (network(nodes="a b: {}"), "'a b' is not a minion id: it must have no spaces"),
        (network(nodes='"a\\nb": {}'), "'a\\nb' is not a minion id"),
        (network(nodes='"a\\0": {}'), "'a\\x00' is not a minion id"),
        (network(nodes="a/b: {}"), "'a/b' is not a minion id"),
        (network(nodes='"a@PRIVATE_KEY@": {}'), "'a@PRIVATE_KEY@' is no id that a node can have: it must be letters"),
        (network(nodes="-a: {}"), "'-a' is no id that a node can have"),
        (network(nodes="a..b: {}"), "'a..b' is no id that a node can have"),
        (network(nodes="db1: {}, DB1: {}"), "'DB1' differs in case only from the id at mesh.yml:4"),
        (network(nodes="'': {}"), "'' is not a minion id"),
        (network(nodes="a" * 254 + ": {}"), "is too long for a minion id: at most 253 bytes"),
        (network(nodes="'web[1': {}"), "'web[1' is not a glob: its '[' is never closed"),
        (
            network(nodes="'w*': {addresses: [10.42.0.5]}"),
            "addresses belongs to one node; write the minion's id instead",
        ),
        (network(nodes="'w*': {endpoint: w.example}"), "endpoint belongs to one node; write the minion's id instead"),
        (
            network(nodes="a: {endpoint: [192.0.2.1, 192.0.2.2]}"),
            "mesh.yml:4: 192.0.2.2 is never used: whoever could",
        ),
        (
            network(nodes="a: {endpoint: [a.example, 192.0.2.2]}"),
            "mesh.yml:4: 192.0.2.2 is never used: whoever could",
        ),
        (network(nodes="a: {endpoint: []}"), "mesh.yml:4: endpoint must be a list that is not empty"),
        (network(nodes="a: {endpoint: [false]}"), "mesh.yml:4: endpoint: false says nothing"),
        (
            network(nodes="a: {endpoint: [192.0.2.1, '2001:db8::1']}, b: {endpoint: '[2001:db8::1]:51820'}"),
            "mesh.yml:4: endpoint [2001:db8::1]:51820 is already used at mesh.yml:4",
        ),
        (network(nodes="'a*': {endpoint: [192.0.2.1]}"), "endpoint belongs to one node; write the minion's id instead"),
        (network(nodes="a: {endpoints: {ams: [192.0.2.1]}}"), "mesh.yml:4: endpoint must be text, not a list"),
        (network(nodes="a: {endpoint: true}"), "endpoint: true says nothing; give host or host:port, false, or leave"),
        (network(nodes="a: {endpoint: 51820}"), "endpoint must be text, but YAML reads '51820' as a number"),
        (network(nodes="a: {endpoint: 'a:b'}"), "'a:b' is not an endpoint: its port must be"),
        (
            network(nodes="a: {endpoint: x}, b: {endpoint: 'X.:51820'}"),
            "endpoint X.:51820 is already used at mesh.yml:4",
        ),
        (
            network(nodes="a: {endpoint: x, port: 5}, b: {endpoint: 'x:5'}"),
            "endpoint x:5 is already used at mesh.yml:4",
        ),
        *(
            (
                network(nodes=f"a: {{expires: {value}}}"),
                "mesh.yml:4: expires must be a date or a time, such as 2027-01-01 or 2027-01-01T18:00:00Z, not "
                + found,
            )
            for value, found in [
                *(("", "''"), ("never", "'never'"), ("false", "'false'"), ("20270101", "'20270101'")),
                *(("1798761600", "'1798761600'"), ("01.01.2027", "'01.01.2027'"), ("2027-1-1", "'2027-1-1'")),
                *(("2027-01", "'2027-01'"), ("2027-01-01T18Z", "'2027-01-01T18Z'"), ("30d", "'30d'")),
                *(("2027-01-01Z", "'2027-01-01Z'"), ("'2027-01-01T18:00:00 CET'", "'2027-01-01T18:00:00 CET'")),
                *(("'2027-01-01T18:00+24:00'", "'2027-01-01T18:00+24:00'"), ("'2027-01-01 '", "'2027-01-01 '")),
                *(("2027-01-01 18:00:00 +2", "'2027-01-01 18:00:00 +2'"), ("'\uff12027-01-01'", "'\uff12")),
                *(("[2027-01-01]", "a list"), ("{}", "a mapping")),
            ]
        ),
        *(
            (network(nodes=f"a: {{expires: {value}}}"), f"there is no time '{value}'; expires must be a date or a time")
            for value in (
                *("2027-02-29", "2027-13-01", "2027-00-10", "0000-01-01", "2027-01-01T24:01:00Z"),
                *("2027-01-01T18:60:00Z", "2027-01-01T18:00:60Z"),
                *("0001-01-01T00:00:00+01:00", "9999-12-31T23:00:00-01:00"),
            )
        ),
        (network(nodes="a: {expire: 2027-01-01}"), "mesh.yml:4: unknown key 'expire'; did you mean 'expires'?"),
        # ranges, and how long addresses are kept
        (network("exclude: 10.42.0.5"), "mesh.yml:3: exclude must be a list: write `exclude: [10.42.0.5]`"),
        (network("exclude: [x]"), "mesh.yml:3: 'x' is not an IP address"),
        (network("exclude: [10.42.0.5/28]"), "10.42.0.5/28 has host bits set; did you mean 10.42.0.0/28?"),
        (network("exclude: [10.42.0.9-10.42.0.5]"), "'10.42.0.9-10.42.0.5' is no range; write the lower address first"),
        (network("exclude: ['10.42.0.9-fd42:42::5']"), "is no range; write the lower address first"),
        (network("exclude: [10.42.0.9-]"), "mesh.yml:3: '' is not an IP address"),
        (
            "networks: {a: {subnets: [10.42.0.0/16], exclude: [10.43.0.0/24], nodes: {'*': {}}}}",
            "mesh.yml:1: 10.43.0.0-10.43.0.255 is not within one of the network's subnets (10.42.0.0/16)",
        ),
        (
            "networks: {a: {subnets: [10.42.0.0/24, 10.43.0.0/24], exclude: [10.42.0.9-10.43.0.9], nodes: {'*': {}}}}",
            "10.42.0.9-10.43.0.9 is not within one of the network's subnets",
        ),
        (network("quarantine: 59m"), "mesh.yml:3: quarantine must be at least 1h, not '59m'"),
        (network("quarantine: 7"), "mesh.yml:3: '7' is not a duration: it has no unit; write 7s"),
        # exits
        (
            network(nodes="gw1: {exit: true},\n a: {via: gw2}"),
            "mesh.yml:5: via: the network has no node 'gw2'; did you mean 'gw1'?",
        ),
        (
            network(nodes="'gw*': {exit: true}, a: {via: 'gw*'}"),
            "via: the network has no node 'gw*'; write the",
        ),
        (network(nodes="gw1: {},\n a: {via: gw1}"), "mesh.yml:5: via: 'gw1' is no exit node; write `exit: true` there"),
        (
            network(nodes="gw1: {exit: true, via: gw1}"),
            "mesh.yml:4: 'gw1' cannot have its default route through itself",
        ),
        (network(nodes="a: {via: true}"), "mesh.yml:4: via must be text, but YAML reads 'true' as"),
        (network(nodes="a: {via: ''}"), "mesh.yml:4: via is empty; write the minion id of an exit node, or false"),
        (network(nodes="a: {exit: gw1}"), "mesh.yml:4: exit must be true or false, not 'gw1'"),
        (
            network("links: [[hub, '*']]", nodes="hub: {}, gw1: {exit: true},\n 'a*': {via: gw1}"),
            "mesh.yml:6: via: no link joins 'a*' with 'gw1'; add one, as a default route does not lead through a hub",
        ),
        (
            network(
                "links: [[hub, '*'], [gw1, b]]", nodes="hub: {}, gw1: {exit: true}, b: {via: gw1},\n 'b*': {via: gw1}"
            ),
            "mesh.yml:6: via: no link joins 'b*' with 'gw1'",
        ),
        (
            "networks:\n"
            "  one: {subnets: [10.42.0.0/16], nodes: {'*': {via: gw}, gw: {exit: true}}}\n"
            "  two: {interface: wg1, port: 51821, subnets: [10.43.0.0/16], nodes: {a: {via: gw}, gw: {exit: true}}}\n",
            "mesh.yml:3: 'a' has `via` in networks 'one' and 'two', and an IPv4 default route in one only; remove one",
        ),
        (network(nodes="a: {mtu: 1000}"), "mesh.yml:4: mtu must be a whole number from 1280 to 65535, not '1000'"),
        # addresses
        (network(nodes="a: {addresses: 10.42.0.5}"), "addresses must be a list: write `addresses: [10.42.0.5]`"),
        (network(nodes="a: {addresses: [x]}"), "'x' is not an IP address"),
        (network(nodes="a: {addresses: [10.42.0.5/16]}"), "'10.42.0.5/16' has a prefix length, which comes from the"),
        (network(nodes="a: {addresses: ['fd42:42::5%1']}"), "'fd42:42::5%1' has a zone; write fd42:42::5"),
        (network(nodes='a: {addresses: ["fd42::5%\\e/64"]}'), "'fd42::5%\\x1b/64' has a zone; write fd42::5"),
        (
            network(nodes="a: {addresses: [10.43.0.5]}"),
            "10.43.0.5 is in none of the network's subnets (10.42.0.0/16, fd",
        ),
        (network(nodes="a: {addresses: [10.42.0.0]}"), "10.42.0.0 is the network address of 10.42.0.0/16"),
        (network(nodes="a: {addresses: [10.42.255.255]}"), "10.42.255.255 is the broadcast address of 10.42.0.0/16"),
        (network(nodes="a: {addresses: ['fd42:42::']}"), "fd42:42:: is the subnet-router anycast address of"),
        (
            network(nodes="a: {addresses: [10.42.0.5]},\n b: {addresses: [10.42.0.5]}"),
            "mesh.yml:5: address 10.42.0.5 is already used at mesh.yml:4; give another one",
        ),
        # peers
        (
            network(nodes="", peers=f"p: {{public_key: {KEY}, addresses: [10.42.0.5]}}"),
            "there are peers but no nodes; who",
        ),
        (
            network(peers=f"p: {{public_key: {KEY}}}"),
            "mesh.yml:5: peer 'p', which has a key of its own, has no 'addresses'; write its",
        ),
        (network(peers="p: {public_key: abc}"), "mesh.yml:5: public key 'abc' must be 44 characters"),
        (network(peers="p: 1"), "mesh.yml:5: peer 'p' must be a mapping"),
        (network(peers="'a b': {}"), "mesh.yml:5: 'a b' is not a peer's name"),
        (
            network(nodes="web1: {}", peers="web1: {}"),
            "mesh.yml:5: peer 'web1' is already a node or peer at mesh.yml:4; keep one",
        ),
        (
            network(peers=f"p: {{public_key: {KEY}}},\n q: {{public_key: {KEY}}}"),
            "mesh.yml:6: this public key is already used at mesh.yml:5; every peer has its own",
        ),
        (
            network(nodes="a: {addresses: [10.42.0.5]}", peers="p: {addresses: [10.42.0.5]}"),
            "mesh.yml:5: address 10.42.0.5 is already used at mesh.yml:4",
        ),
        (
            network(nodes="a: {endpoint: x.example}", peers="p: {endpoint: x.example}"),
            "mesh.yml:5: endpoint x.example:51820 is already used at mesh.yml:4",
        ),
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
