"""Nodes and peers that are not what they must be."""

import pytest

from meshing import KEY, TINY, network, only, problems
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
