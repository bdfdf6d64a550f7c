"""The tables that an operator sees."""

import json
from datetime import datetime

import pytest

from answering import Fleet
from factories import mesh_text, public_key
from operating import operator_of
from saltext.wireguard.control import tables
from saltext.wireguard.control.check import validate
from saltext.wireguard.control.reconcile import reconcile
from saltext.wireguard.control.removal import revoke
from saltext.wireguard.control.text import render
from saltext.wireguard.errors import ConfigError, Problem
from saltext.wireguard.meshfile.parse import parse_mesh


@pytest.fixture
def fleet(tmp_path):
    """Nodes a and b are in."""
    return Fleet(tmp_path)


def test_a_time_has_its_zone_and_never_is_null():
    """Times had no zone, and a program had to know the word `never`."""
    assert datetime.fromisoformat(tables.when(1_700_000_000.7)).timestamp() == 1_700_000_000
    assert tables.when(0) is None


def test_each_node_is_a_row_and_says_why_it_is_not_in_sync(fleet):
    answer = tables.nodes(operator_of(fleet), None)
    assert {row["node"]: (row["addresses"], row["public_key"]) for row in answer["nodes"]} == {
        "a": (["10.42.0.1"], public_key("a")),
        "b": (["10.42.0.2"], public_key("b")),
    }
    assert all(row["in_sync"] == (row["why"] is None) for row in answer["nodes"])


def test_nodes_that_cannot_meet_are_among_the_warnings(fleet):
    """Only `validate` said so, which nobody runs without an edit."""
    fleet.mesh.write_text(mesh_text("a: {endpoint: false}, b: {endpoint: false}"))
    (text,) = [text for text in tables.nodes(operator_of(fleet), None)["warnings"] if "never connect" in text]
    assert text.startswith(
        f"{fleet.mesh}:4: in network net, 1 pair can never connect, as neither side can be reached: a"
    )


def test_an_unknown_network_is_an_error(fleet):
    """`nodes` returned an empty table."""
    for function in (tables.nodes, tables.addresses):
        with pytest.raises(ConfigError, match="there is no network other in the mesh file"):
            function(operator_of(fleet), "other")


def test_a_network_that_the_mesh_file_has_no_more_still_shows_who_is_left_out(fleet):
    fleet.mesh.write_text("networks: {other: {subnets: [10.9.0.0/24], nodes: {}}}\n")
    left_out = tables.nodes(operator_of(fleet), "net")["left_out"]
    assert {row["why"] for row in left_out} == {"the mesh file has no such network"}


def test_a_node_that_is_known_and_no_member_has_a_row_with_the_reason(fleet):
    fleet.master.registry.admissions.revoke("net", "b", "alice", "stolen")
    assert tables.nodes(operator_of(fleet), "net")["left_out"] == [
        {"network": "net", "node": "b", "why": "revoked by alice"}
    ]


def test_external_peers_say_where_their_configuration_comes_from(fleet):
    by_hand = f"router: {{public_key: {public_key('router')}, addresses: [10.42.0.200]}}"
    fleet.mesh.write_text(mesh_text("'*': {}", peers=f"phone: {{}}, {by_hand}"))
    found = {row["peer"]: row["configuration"] for row in tables.nodes(operator_of(fleet), None)["peers"]}
    assert found == {"phone": "not exported", "router": "by hand"}


@pytest.mark.parametrize(
    ("settings", "endpoint"),
    [
        ("{endpoint: false}", "none: it connects to the others"),
        ("{endpoint: ['[2001:db8::7]', '192.0.2.9:1']}", "[2001:db8::7], 192.0.2.9:1"),
        ("{endpoint: ':41820'}", "192.0.2.1:41820"),
    ],
)
def test_the_endpoint_of_a_node_is_what_the_mesh_file_says(fleet, settings, endpoint):
    fleet.mesh.write_text(mesh_text(f"a: {settings}, b: {{}}"))
    found = {row["node"]: row["endpoint"] for row in tables.nodes(operator_of(fleet), None)["nodes"]}
    assert found["a"] == endpoint


def test_the_addresses_of_a_network_are_counted(fleet):
    answer = tables.addresses(operator_of(fleet), "net")
    (pool,) = answer["pools"]
    assert (pool["used"], pool["next"], pool["size"] - pool["used"]) == (2, "10.42.0.3", pool["free"])
    assert sum(hole["count"] for hole in answer["free"]) == pool["free"]


def test_a_view_has_no_secret_and_the_generation_that_it_was_made_from(fleet):
    fleet.mesh.write_text(mesh_text("'*': {}", extra="preshared_keys: true"))
    answer = tables.view(operator_of(fleet), "a")
    assert list(answer["networks"]["net"]["peers"]) == ["b"]
    assert answer["networks"]["net"]["peers"]["b"]["preshared_key"] == "(hidden)"
    assert answer["generation"] == fleet.master.moment().unguarded.generation


@pytest.mark.parametrize(("node", "reason"), [("z", "z is not an accepted minion"), ("c", "c is in no network of the")])
def test_who_has_no_view_is_told_why(fleet, node, reason):
    fleet.mesh.write_text(mesh_text("a: {}, b: {}"))
    fleet.accept("c")
    with pytest.raises(ConfigError, match=reason):
        tables.view(operator_of(fleet), node)


def test_the_history_of_a_node_is_its_newest_entries_oldest_first(fleet):
    fleet.master.registry.admissions.revoke("net", "b", "alice", "stolen")
    fleet.master.registry.admissions.readmit("net", "b", "alice", "found")
    answer = tables.history(operator_of(fleet), "b", 2)["history"]
    assert [(row["what"], row["why"]) for row in answer] == [("revoked", "stolen"), ("readmitted", "found")]


def test_the_history_of_somebody_unknown_is_an_error_and_of_a_member_without_one_is_empty(fleet):
    """A mistyped id had an empty history, as if nothing had happened to the node."""
    operator = operator_of(fleet)
    with pytest.raises(ConfigError, match="nothing is known of wbe7"):
        tables.history(
            operator_of(
                fleet,
            ),
            "wbe7",
            50,
        )
    fleet.accept("c")
    assert tables.history(operator, "c", 50) == {"history": []}


def test_the_history_can_be_read_while_the_mesh_file_cannot(fleet):
    fleet.mesh.write_text("networks: {net: {subnet: []}}\n")
    assert tables.history(operator_of(fleet), "b", 50)["history"]


def test_problems_are_rows_with_their_places():
    assert tables.problems([Problem("mesh.yml", 3, "wrong")]) == [{"where": "mesh.yml:3", "message": "wrong"}]


def test_a_mesh_file_is_summed_up_in_numbers():
    (row,) = tables.networks(parse_mesh([("mesh.yml", mesh_text("a: {}, 'b*': {}", peers="phone: {}"))]))
    assert (row["network"], row["interface"], row["node_entries"], row["peers"]) == ("net", "wg0", 2, 1)


def keys_of(value):
    if isinstance(value, dict):
        for key, each in value.items():
            yield key
            yield from keys_of(each)
    elif isinstance(value, list):
        for each in value:
            yield from keys_of(each)


def test_no_key_has_a_space(fleet):
    """`not asked`, `node itself` and `node entries` had, which makes them hard to use in jq and templates."""
    operator = operator_of(fleet)
    fleet.change_everybody()
    answers = [
        reconcile(operator, canary="a"),
        validate(operator, None),
        tables.nodes(operator, None),
        tables.addresses(operator, None),
        tables.history(operator, None, 100),
        tables.pending(operator),
        revoke(operator, "b", None, "", 1),
    ]
    assert [key for key in keys_of(json.loads(json.dumps(answers))) if " " in key] == []


def test_the_size_of_an_ipv6_subnet_can_be_read():
    assert render({"pools": [{"size": 2**64 - 1, "free": 2**64 - 300, "used": 299}]}).split() == [
        *("pools:", "size", "free", "used"),
        *("~2^64", "~2^64", "299"),
    ]
