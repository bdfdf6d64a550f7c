"""Nodes and peers that are not what they must be."""

import pytest

from meshing import KEY, TINY, mesh, network, only, problems
from saltext.wireguard.model.endpoint import Endpoint


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (network(nodes="'a*': {endpoints: {ams: x}}"), "mesh.yml:4: endpoints belongs to one node; write the minion's"),
        (
            network(nodes="'a*': {routes: [10.9.0.0/16]}"),
            "mesh.yml:4: routes belongs to one node; write the minion's id",
        ),
        (TINY.replace("'*': {}", "# '*': {}"), "nodes is empty; write which nodes belong to it;"),
        (network(nodes="a b: {}"), "'a b' is not a minion id: it must have no spaces"),
        (network(nodes='"a\\nb": {}'), "'a\\nb' is not a minion id"),
        (network(nodes='"a\\0": {}'), "'a\\x00' is not a minion id"),
        (network(nodes="a/b: {}"), "'a/b' is not a minion id"),
        (network(nodes='"a@PRIVATE_KEY@": {}'), "'a@PRIVATE_KEY@' is no id that a node can have: it must be letters"),
        (network(nodes="-a: {}"), "'-a' is no id that a node can have"),
        (network(nodes="a..b: {}"), "'a..b' is no id that a node can have"),
        (network(nodes="'': {}"), "'' is not a minion id"),
        (network(nodes="a" * 254 + ": {}"), "is too long for a minion id: at most 253 bytes"),
        (network(nodes="'web[1': {}"), "'web[1' is not a glob: its '[' is never closed"),
        (
            network(nodes="'w*': {addresses: [10.42.0.5]}"),
            "addresses belongs to one node; write the minion's id instead",
        ),
        (network(nodes="'w*': {endpoint: w.example}"), "endpoint belongs to one node; write the minion's id instead"),
        (network(nodes="'a*': {endpoint: [192.0.2.1]}"), "endpoint belongs to one node; write the minion's id instead"),
        (
            network(nodes="", peers=f"p: {{public_key: {KEY}, addresses: [10.42.0.5]}}"),
            "there are peers but no nodes; write which",
        ),
        (
            network(peers=f"p: {{public_key: {KEY}}}"),
            "mesh.yml:5: peer 'p', which has a key of its own, has no 'addresses'; write its",
        ),
    ],
)
def test_a_mistake_is_named_with_its_place_and_what_would_be_right(text, problem):
    assert [line for line in problems(text) if problem in line]


def test_a_glob_may_have_a_port_alone_which_is_right_for_all_of_its_nodes():
    settings = only(network(nodes="'edge*': {endpoint: ':443'}")).settings("edge1")
    assert settings.endpoint == (Endpoint("", 443),)
    assert settings.forwarded_port == 443


def test_two_nodes_may_have_the_same_port_alone_as_their_addresses_differ():
    assert len(only(network(nodes="a: {endpoint: ':443'}, b: {endpoint: ':443'}")).nodes) == 2


def test_an_endpoint_may_be_a_name_with_an_underscore():
    assert only(network(nodes="a: {endpoint: 'vpn_1.example:9'}")).settings("a").endpoint == (
        Endpoint("vpn_1.example", 9),
    )


TWO = f"""\
networks:
  a: {{subnets: [10.42.0.0/16], nodes: {{x: {{}}}}, peers: {{p: {{public_key: {KEY}, addresses: [10.42.0.9]}}}}}}
  b:
    interface: wg1
    port: 51821
    subnets: [10.43.0.0/16]
    nodes: {{x: {{}}}}
    peers: {{p: {{public_key: {KEY}, addresses: [10.43.0.9]}}}}
"""


def test_a_peer_may_have_one_key_in_two_networks():
    """It was an error, so a router with one WireGuard interface could be in one network only."""
    assert [network.peers[0].public_key for network in mesh(TWO).networks] == [KEY, KEY]


def test_such_a_peer_has_one_endpoint_in_both_networks():
    text = TWO.replace("public_key: " + KEY, "public_key: " + KEY + ", endpoint: x.example")
    assert [str(network.peers[0].endpoint[0]) for network in mesh(text).networks] == ["x.example:51820"] * 2
    (problem,) = problems(TWO.replace("nodes: {x: {}}", "nodes: {x: {endpoint: 'x.example:1'}}"))
    assert "endpoint x.example:1 is already used at mesh.yml:2" in problem


def test_a_node_may_have_one_key_in_two_networks():
    text = TWO.replace("nodes: {x: {}}, peers: {p:", "nodes: {x:").replace(
        "nodes: {x: {}}\n    peers: {p:", "nodes: {x:"
    )
    assert [network.settings("x").public_key for network in mesh(text).networks] == [KEY, KEY]


def test_under_another_name_the_key_of_another_network_is_a_slip():
    (problem,) = problems(
        TWO.replace(
            "peers: {p: {public_key: " + KEY + ", addresses: [10.43",
            "peers: {q: {public_key: " + KEY + ", addresses: [10.43",
        )
    )
    assert problem == (
        "mesh.yml:8: this public key is already used at mesh.yml:2; every peer has its own, and in another network the"
        " same one only by the same name"
    )
