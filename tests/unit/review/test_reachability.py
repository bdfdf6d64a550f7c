"""Nodes and external peers that should meet, and cannot, or perhaps cannot."""

from dataclasses import replace

import pytest

from factories import row
from judging import PHONE, TABLET, found, registered, warnings
from saltext.wireguard.registry.admission import REVOKED, Standing
from saltext.wireguard.registry.rows import Snapshot

# --- pairs that can never connect ----------------------------------------------------------------------------------


def test_two_nodes_that_cannot_be_reached_never_connect():
    (text,) = warnings("a: {endpoint: false}, b: {endpoint: false}, c: {}")
    assert text.startswith(
        "mesh.yml:4: in network net, 1 pair can never connect, as neither side can be reached: a and b;"
    )


def test_a_node_and_a_peer_that_cannot_be_reached_never_connect():
    (text,) = warnings("a: {endpoint: false}, b: {}", peers=PHONE)
    assert "1 pair can never connect, as neither side can be reached: a and phone;" in text


def test_peers_need_not_meet_each_other():
    assert warnings("a: {}", peers=f"{PHONE}, {TABLET}") == []


def test_the_line_is_that_of_the_endpoint_and_few_pairs_are_examples_for_many():
    text = "networks:\n  net:\n    subnets: [10.42.0.0/24]\n    nodes:\n"
    text += "".join(f"      n{number}:\n        port: 1\n        endpoint: false\n" for number in range(5))
    (problem,) = found(text).warnings
    assert problem.line == 7
    assert "10 pairs can never connect, as neither side can be reached: n0 and n1, n0 and n2, n0 and n3, ...;" in str(
        problem
    )


def test_nodes_that_no_link_joins_need_not_connect():
    nodes = "a: {endpoint: false}, b: {endpoint: false}, hub: {endpoint: 192.0.2.1}"
    assert warnings(nodes, extra="links: [[hub, '*']]") == []
    assert len(warnings(nodes, extra="links: [[hub, '*'], [a, b]]")) == 1


def test_nodes_of_one_site_meet_inside_and_those_of_two_sites_do_not():
    away = "a: {site: x, endpoint: false}, b: {site: %s, endpoint: false}"
    assert warnings(away % "x") == []
    assert len(warnings(away % "y")) == 1


def test_what_a_glob_names_is_judged_where_the_minions_are_known():
    nodes = "'nat*': {endpoint: false}, '*': {}"
    assert warnings(nodes) == []
    assert warnings(nodes, known=registered("nat1", "a")) == []
    (text,) = warnings(nodes, known=registered("nat1", "nat2", "a"))
    assert "1 pair can never connect, as neither side can be reached: nat1 and nat2;" in text


def test_nodes_that_offer_no_address_cannot_be_reached():
    known = registered("a", "b", "c")
    rows = {key: replace(each, endpoints=()) if key[1] != "c" else each for key, each in known.snapshot.rows.items()}
    (text,) = warnings(known=replace(known, snapshot=Snapshot(1, rows)))
    assert ": a and b;" in text


def test_of_who_has_not_registered_or_is_no_member_any_more_nothing_is_said():
    nodes = "a: {endpoint: false}, b: {}, gone: {endpoint: false, expires: 2020-01-01}, shut: {endpoint: false}"
    known = registered("a", keys="a b gone shut")
    standings = {("net", "shut"): Standing(REVOKED, 1.0, "root", "stolen")}
    assert warnings(nodes, known=replace(known, snapshot=replace(known.snapshot, standings=standings))) == []


# --- pairs that perhaps never connect ---------------------------------------------------------------------------------

CLOUDS = registered("a@10.1.0.5", "b@172.31.0.7")


def test_nodes_in_different_clouds_that_offer_private_addresses_only_may_not_meet():
    """`validate` found nothing wrong, and the two never had a session."""
    (text,) = warnings("a: {}, b: {}", known=CLOUDS)
    assert text.startswith(
        "mesh.yml:4: in network net, nodes that offer private addresses of different networks only may not meet:"
        " a (10.1.0.5) and b (172.31.0.7); give one side an `endpoint:`, or each place a `site:` and the network a hub;"
    )


@pytest.mark.parametrize(
    "nodes",
    [
        "a: {endpoint: a.example}, b: {}",
        "a: {site: x}, b: {site: x}",
        "'*': {site: x}",
        "a: {endpoint: false}, b: {endpoint: b.example}",
    ],
)
def test_what_the_mesh_file_says_of_the_two_is_believed(nodes):
    assert warnings(nodes, known=CLOUDS) == []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("10.1.0.5", "10.200.0.7"),
        ("fd00:1:2::5", "fd00:1:2:3::7"),
        ("10.1.0.5", "8.8.8.8"),
        ("10.1.0.5", "2a00::7"),
    ],
)
def test_nothing_is_said_of_nodes_that_may_well_have_a_route_to_each_other(one, other):
    assert warnings("a: {}, b: {}", known=registered(f"a@{one}", f"b@{other}")) == []


def test_local_ipv6_addresses_of_two_organisations_are_as_private():
    (text,) = warnings("a: {}, b: {}", known=registered("a@fd00:1:2::5", "b@fd00:1:3::7"))
    assert "may not meet: a (fd00:1:2::5) and b (fd00:1:3::7);" in text


def test_nodes_with_an_address_in_a_common_network_are_in_it():
    known = registered("a@10.1.0.5", b=row("b", endpoints=("172.31.0.7", "10.2.0.7")), keys="a b")
    assert warnings("a: {}, b: {}", known=known) == []


def test_nodes_that_no_link_joins_need_not_meet():
    nodes = "a: {}, b: {}, hub: {endpoint: hub.example, hub: true}"
    known = registered("a@10.1.0.5", "b@172.31.0.7", "hub")
    assert warnings(nodes, known=known, extra="links: [[hub, '*']]") == []
    assert len(warnings(nodes, known=known, extra="links: [[hub, '*'], [a, b]]")) == 1


def test_nodes_that_offer_the_same_private_address_cannot_meet_there():
    """Virtual machines behind a NAT of their own all have 10.0.2.15."""
    (text,) = warnings("a: {}, b: {}, c: {}", known=registered("a@10.0.2.15", "b@10.0.2.15", "c@10.0.2.16"))
    assert "nodes that offer the same private address cannot meet there: a and b (10.0.2.15); `withhold` it, or" in text
    assert warnings("a: {}, b: {endpoint: b.example}", known=registered("a@10.0.2.15", "b@10.0.2.15")) == []


def test_a_port_alone_does_not_make_a_private_address_a_public_one():
    assert len(warnings("'*': {endpoint: ':443'}", known=CLOUDS)) == 1


def test_many_such_nodes_are_one_warning_with_examples():
    nodes = [f"{letter}{number}@10.0.2.{number}" for number in range(1, 6) for letter in "ab"]
    (text,) = warnings(known=registered(*nodes))
    assert ": a1 and b1 (10.0.2.1), a2 and b2 (10.0.2.2), a3 and b3 (10.0.2.3), ...; `withhold` it" in text
