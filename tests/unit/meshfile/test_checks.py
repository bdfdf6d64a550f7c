"""What must hold between the entries of a mesh file."""

import pytest

from meshing import BOTH, KEY, mesh, network, only, problems


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            network(nodes="a: {endpoints: {ams: 10.0.0.1}}, b: {endpoints: {ams: 10.0.0.1}}"),
            "mesh.yml:4: endpoint 10.0.0.1:51820 is already used at mesh.yml:4; give one of them another port",
        ),
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
        (
            network(nodes="a: {routes: [10.42.3.0/24]}"),
            "mesh.yml:4: route 10.42.3.0/24 is in the subnet 10.42.0.0/16 at mesh.yml:3; what is behind a node needs",
        ),
        (
            network(nodes="a: {routes: [10.42.0.0/16]}"),
            "mesh.yml:4: route 10.42.0.0/16 is in the subnet 10.42.0.0/16 at mesh.yml:3",
        ),
        (
            network(nodes="a: {routes: [10.9.0.0/16, 10.9.0.0/16]}"),
            "mesh.yml:4: route 10.9.0.0/16 is there twice; keep one",
        ),
        (
            network(nodes="a: {routes: [10.9.0.0/16]}, b: {routes: [10.9.0.0/16]}"),
            "mesh.yml:4: route 10.9.0.0/16 is behind 'b' and, at mesh.yml:4, behind 'a'; for failover, give each a",
        ),
        (
            network(
                nodes="a: {routes: [10.9.0.0/16]}",
                peers=f"p: {{public_key: {KEY}, addresses: [10.42.0.9], routes: [10.9.0.0/16]}}",
            ),
            "mesh.yml:5: route 10.9.0.0/16 is behind 'p' and, at mesh.yml:4, behind 'a'",
        ),
        (
            BOTH.replace("x: {endpoint: X.example}", "x: {routes: [10.9.0.0/16]}").replace(
                "{'*': {}}", "{'*': {}, y: {routes: [10.9.0.0/16]}}"
            ),
            "mesh.yml:5: route 10.9.0.0/16 is one of another network too, at mesh.yml:2, and a machine of both has",
        ),
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
        (
            network(nodes="a: {endpoint: [192.0.2.1, '2001:db8::1']}, b: {endpoint: '[2001:db8::1]:51820'}"),
            "mesh.yml:4: endpoint [2001:db8::1]:51820 is already used at mesh.yml:4",
        ),
        (
            network(nodes="a: {endpoint: x}, b: {endpoint: 'X.:51820'}"),
            "endpoint X.:51820 is already used at mesh.yml:4",
        ),
        (
            network(nodes="a: {endpoint: x, port: 5}, b: {endpoint: 'x:5'}"),
            "endpoint x:5 is already used at mesh.yml:4",
        ),
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
        (
            network(nodes="a: {endpoint: x.example}", peers="p: {endpoint: x.example}"),
            "mesh.yml:5: endpoint x.example:51820 is already used at mesh.yml:4",
        ),
    ],
)
def test_a_mistake_is_named_with_its_place_and_what_would_be_right(text, problem):
    assert [line for line in problems(text) if problem in line]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            network(nodes="'*': {ip_versions: [4]}, a: {addresses: ['fd42:42::5']}"),
            "mesh.yml:4: fd42:42::5 is IPv6, which ip_versions excludes for 'a'; remove one of them",
        ),
        (
            network(nodes="a: {ip_versions: [6], routes: [10.9.0.0/16]}"),
            "mesh.yml:4: 10.9.0.0/16 is IPv4, which ip_versions excludes for 'a'; remove one of them",
        ),
        (
            network("subnets: [10.42.0.0/16]", nodes="a: {ip_versions: [6]}"),
            "mesh.yml:4: ip_versions leaves 'a' no address: there is no IPv6 subnet; add one, or the other IP version",
        ),
        (network(nodes="a: {ip_versions: [5]}"), "mesh.yml:4: an IP version must be 4 or 6, not 5"),
        (network(nodes="a: {ip_versions: 4}"), "mesh.yml:4: ip_versions must be a list: write `ip_versions: [4]`"),
    ],
)
def test_ip_versions_contradict_nothing_else(text, problem):
    assert [each for each in problems(text) if each.startswith(problem)], problems(text)


def test_an_exempted_node_may_be_in_a_network_of_one_ip_version():
    (entry,) = only(network("subnets: [10.42.0.0/16]", nodes="a: {ip_versions: [4]}")).nodes
    assert entry.ip_versions == {4}


@pytest.mark.parametrize(
    "nodes",
    [
        "a: {routes: [10.9.0.0/16]}, b: {routes: [10.9.1.0/24]}",
        "a: {routes: [10.9.1.0/24]}, b: {routes: [10.9.0.0/16]}",
        "a: {routes: [10.9.0.0/16, 10.9.1.0/24]}, b: {routes: [10.9.1.0/24], priority: 1}",
        "a: {routes: [10.0.0.0/8, 'fd00::/8']}",
        "a: {routes: [10.0.0.0/8]}, b: {routes: [10.0.0.0/8], priority: 1}",
    ],
)
def test_a_route_may_be_within_another_or_contain_the_mesh(nodes):
    """The longest prefix wins, as in the kernel: these were errors."""
    assert only(network(nodes=nodes)).nodes


def test_routes_of_two_networks_may_contain_each_other_and_each_others_subnets():
    text = BOTH.replace("x: {endpoint: X.example}", "x: {routes: [10.0.0.0/8]}").replace(
        "{'*': {}}\n", "{'*': {}, y: {routes: [10.9.0.0/16]}}\n    interface: wg1\n    port: 51821\n"
    )
    assert len(mesh(text).networks) == 2


@pytest.mark.parametrize(
    "two", [{"nodes": "a: {}, b: {}"}, {"nodes": "a: {}", "peers": "p: {}"}, {"nodes": "'L@a,b': {}"}]
)
def test_dynamic_routing_is_for_a_link_of_two(two):
    assert only(network("dynamic_routing: true", **two)).dynamic_routing


@pytest.mark.parametrize(
    ("nodes", "problem"),
    [
        (
            "'*': {}",
            "mesh.yml:3: dynamic_routing is for two nodes or peers, and '*' may be several; name two, and write a",
        ),
        ("a: {}, b: {}, c: {}", "mesh.yml:3: dynamic_routing is for two nodes or peers, and here are 3; name two"),
        ("a: {hub: true}", "mesh.yml:5: hub is not possible with dynamic_routing: a routing daemon makes the routes"),
        ("a: {routes: [10.9.0.0/16]}", "mesh.yml:5: routes is not possible with dynamic_routing"),
        ("a: {exit: true}, b: {via: a}", "mesh.yml:5: via is not possible with dynamic_routing"),
    ],
)
def test_a_link_of_a_routing_daemon_with_more_than_two_or_with_routes_is_a_mistake(nodes, problem):
    assert [line for line in problems(network("dynamic_routing: true", nodes)) if problem in line]
