"""Addresses, endpoints and routes that are not what they must be."""

import pytest

from meshing import BOTH, network, problems


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (network("interface: wg/0"), "mesh.yml:3: 'wg/0' cannot name an interface; write 1 to 15 of"),
        (network("interface: ''"), "mesh.yml:3: '' cannot name an interface"),
        (network("interface: .."), "mesh.yml:3: '..' cannot name an interface"),
        (network("interface: lo"), "mesh.yml:3: 'lo' cannot name an interface"),
        (network("interface: --help"), "mesh.yml:3: '--help' cannot name an interface"),
        (network("interface: bonding_masters"), "mesh.yml:3: 'bonding_masters' cannot name an interface"),
        (network("interface: " + "w" * 16), "cannot name an interface"),
        (network("subnets: [10.42.0.5/16]"), "10.42.0.5/16 has host bits set; did you mean 10.42.0.0/16?"),
        (network("subnets: [10.42.0.0]"), "'10.42.0.0' is not a subnet; write address/prefix length"),
        (network("subnets: [10.0.0.0/255.0.0.0]"), "is not a subnet; write address/prefix length"),
        (network("subnets: [10.42.0.0/33]"), "'10.42.0.0/33' is not a subnet: its address or prefix length is out"),
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
        (
            network(nodes="a: {endpoints: {ams: false}}"),
            "mesh.yml:4: endpoints says where nodes of site ams reach this",
        ),
        (network("links: [web, db]"), "mesh.yml:3: a link joins two: groups, minion ids or peers, such as `[web, db]`"),
        (network("links: [[a]]"), "mesh.yml:3: a link joins two"),
        (network(nodes="a: {routes: [10.9.0.1/16]}"), "mesh.yml:4: 10.9.0.1/16 has host bits set; did you mean 10.9"),
        (network(nodes="a: {routes: [0.0.0.0/0]}"), "mesh.yml:4: 0.0.0.0/0 is everything; a route is a network behind"),
        (network(nodes="a: {routes: [127.0.0.0/24]}"), "mesh.yml:4: 127.0.0.0/24 overlaps 127.0.0.0/8 (loopback)"),
        (BOTH.replace("43", "42"), "mesh.yml:4: 10.42.0.0/16 overlaps 10.42.0.0/16 at mesh.yml:2"),
        (
            network(nodes="a: {endpoint: [192.0.2.1, 192.0.2.1]}"),
            "mesh.yml:4: 192.0.2.1 is never used: every node that can reach it uses",
        ),
        (
            network(nodes="a: {endpoint: [a.example, 192.0.2.2]}"),
            "mesh.yml:4: 192.0.2.2 is never used: every node that can reach it uses",
        ),
        (network(nodes="a: {endpoint: [false]}"), "mesh.yml:4: endpoint: false says nothing"),
        (network(nodes="a: {endpoint: true}"), "endpoint: true says nothing; give host or host:port, false, or leave"),
        (network(nodes="a: {endpoint: 'a:b'}"), "'a:b' is not an endpoint: its port must be"),
        (network(nodes="a: {endpoint: ':0'}"), "mesh.yml:4: ':0' is not an endpoint: its port must be a number from 1"),
        (network(nodes="a: {endpoint: [':9', b.example]}"), "mesh.yml:4: ':9' is not an endpoint: write host, host:po"),
        (network(nodes="a: {endpoints: {ams: ':9'}}"), "mesh.yml:4: ':9' is not an endpoint: write host, host:port"),
        (network(peers="p: {endpoint: ':9'}"), "mesh.yml:5: endpoint: a peer offers no address itself; write"),
        (network(nodes="'*': {offer: eth1}"), "mesh.yml:4: offer must be a list: write `offer: [eth1]`"),
        (network(nodes="'*': {withhold: []}"), "mesh.yml:4: withhold must be a list that is not empty, such as"),
        (network(nodes="'*': {withhold: [10.0.0.1/8]}"), "mesh.yml:4: '10.0.0.1/8' is no network: 10.0.0.1/8 has host"),
        (network(nodes="'*': {offer: [192.0.2.7]}"), "192.0.2.7 is an address; write it as a network: 192.0.2.7/32"),
        (
            network(nodes="'*': {offer: [eth 1]}"),
            "'eth 1' is neither a network, such as 10.0.0.0/8, nor the name of an",
        ),
        (network("dns: 10.42.0.1"), "mesh.yml:3: dns must be a list: write `dns: [10.42.0.1]`"),
        (network("dns: [mesh.example]"), "mesh.yml:3: dns has search domains only; add the address of a name server"),
        (network("dns: [10.42.0.1, 10.42.0]"), "mesh.yml:3: '10.42.0' is neither the address of a name server"),
        (network("dns: [10.42.0.1/16]"), "mesh.yml:3: '10.42.0.1/16' is neither the address of a name server nor a"),
        (network("dns: [0.0.0.0]"), "mesh.yml:3: '0.0.0.0' is no name server: 0.0.0.0 is no machine's address"),
        (network("dns: ['fe80::1%wg0']"), "mesh.yml:3: 'fe80::1%wg0' is no name server: an address with a zone"),
        (network("dns: false"), "mesh.yml:3: dns must be a list"),
        (network(peers="p: {dns: [mesh.example]}"), "mesh.yml:5: dns has search domains only"),
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
        (network(nodes="a: {via: ''}"), "mesh.yml:4: via is empty; write the minion id of an exit node, or false"),
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
        (network(peers="p: {public_key: abc}"), "mesh.yml:5: public key 'abc' must be 44 characters"),
    ],
)
def test_a_mistake_is_named_with_its_place_and_what_would_be_right(text, problem):
    assert [line for line in problems(text) if problem in line]
