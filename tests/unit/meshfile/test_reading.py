"""Keys, lists and mappings that are not what they must be."""

import pytest

from meshing import KEY, TINY, network, problems


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("- a", "mesh.yml:1: a mesh file must be a mapping (`key: value`), not a list"),
        ("network: {}", "mesh.yml:1: unknown key 'network'; did you mean 'networks'?"),
        ("networks: {a: }", "mesh.yml:1: network 'a' must be a mapping (`key: value`), not nothing"),
        (network("subnet: []"), "mesh.yml:3: unknown key 'subnet'; did you mean 'subnets'?"),
        (network("preshard_keys: true"), "mesh.yml:3: unknown key 'preshard_keys'; did you mean 'preshared_keys'?"),
        (network("colours: true"), "mesh.yml:3: unknown key 'colours'; valid keys: interface, port, "),
        (network(nodes="a: {colour: x}"), "mesh.yml:4: unknown key 'colour'; valid keys: addresses, endpoint, "),
        (network(nodes="a: {end_point: x}"), "mesh.yml:4: unknown key 'end_point'; did you mean 'endpoint'?"),
        (network("2026-01-01: 1"), "mesh.yml:3: unknown key '2026-01-01'; valid keys"),
        (TINY.replace("subnets", "mtu"), "mesh.yml:2: network 'backbone' has no 'subnets'; write where"),
        (network("re-key: auto"), "mesh.yml:3: unknown key 're-key'; did you mean 'rekey'?"),
        (network("rotate: 30d"), "mesh.yml:3: unknown key 'rotate'; did you mean 'rotate_every'?"),
        (network("subnets: 10.42.0.0/16"), "mesh.yml:3: subnets must be a list: write `subnets: [10.42.0.0/16]`"),
        (network("subnets: []"), "mesh.yml:3: subnets must be a list that is not empty, such as"),
        (network("subnets:"), "mesh.yml:3: subnets must be a list that is not empty, such as"),
        (network(nodes="a: {groups: web}"), "mesh.yml:4: groups must be a list: write `groups: [web]`"),
        (
            network(nodes="a: {endpoints: x.example}"),
            "mesh.yml:4: endpoints must be a mapping (`key: value`), not text",
        ),
        (network("links: web"), "mesh.yml:3: links must be a list: write `links: [web]`"),
        (network("links: []"), "mesh.yml:3: links must be a list that is not empty, such as `links: [[web, db]]`"),
        (network(nodes="a: {routes: 10.9.0.0/16}"), "mesh.yml:4: routes must be a list: write `routes: [10.9.0.0/16]`"),
        ("networks: {a: {subnets: [10.42.0.0/16]}}", "network 'a' has no 'nodes'; write which nodes belong to it;"),
        (TINY.replace("'*': {}", "- web1"), "mesh.yml:5: nodes must be a mapping (`key: value`), not a list"),
        (network(nodes="a: yes"), "mesh.yml:4: node 'a' must be a mapping (`key: value`), not true or false"),
        (network(nodes="db1: {}, DB1: {}"), "'DB1' differs in case only from the id at mesh.yml:4"),
        (network(nodes="a: {endpoint: []}"), "mesh.yml:4: endpoint must be a list that is not empty"),
        (network(nodes="a: {expire: 2027-01-01}"), "mesh.yml:4: unknown key 'expire'; did you mean 'expires'?"),
        (network("exclude: 10.42.0.5"), "mesh.yml:3: exclude must be a list: write `exclude: [10.42.0.5]`"),
        (network(nodes="a: {addresses: 10.42.0.5}"), "addresses must be a list: write `addresses: [10.42.0.5]`"),
        (
            network(nodes="a: {addresses: [10.42.0.5]},\n b: {addresses: [10.42.0.5]}"),
            "mesh.yml:5: address 10.42.0.5 is already used at mesh.yml:4; give another one",
        ),
        (network(peers="p: 1"), "mesh.yml:5: peer 'p' must be a mapping"),
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
    ],
)
def test_a_mistake_is_named_with_its_place_and_what_would_be_right(text, problem):
    assert [line for line in problems(text) if problem in line]
