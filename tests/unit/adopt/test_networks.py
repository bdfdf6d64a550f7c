"""Which interfaces belong together: by what both ends say, and never by what one of them claims alone."""

import itertools
from dataclasses import replace

from factories import public_key
from saltext.wireguard.adopt.networks import join
from saltext.wireguard.model.inventory import FoundPeer, Inventory
from unit.adopt.living import Machine, link, look


def mesh(*names, subnet="10.42.0"):
    machines = [Machine(name, f"{subnet}.{n}", f"192.0.2.{n}:51820") for n, name in enumerate(names, 1)]
    for one, other in itertools.combinations(machines, 2):
        link(one, other)
    return machines


def nodes(found):
    return [sorted(each.nodes) for each in found.networks]


def test_interfaces_that_know_each_other_are_one_network_whatever_they_are_called():
    looks = {**look(*mesh("a", "b", "c")), **look(*mesh("x", "y", subnet="10.50.0"), interface="vpn")}
    found = join(looks)
    assert nodes(found) == [["a", "b", "c"], ["x", "y"]]
    assert [each.interface for each in found.networks] == ["wg0", "vpn"]
    assert (found.left_out, found.networks[0].contradictions) == ((), ())


def test_a_machine_is_in_two_networks_by_two_interfaces():
    first = look(*mesh("a", "b"))
    second = look(*mesh("other a", "c", subnet="10.50.0"), interface="wg1")
    found = join({"a": {**first["a"], **second["other a"]}, "b": first["b"], "c": second["c"]})
    assert nodes(found) == [["a", "b"], ["a", "c"]]


def test_peers_that_are_no_minions_are_strangers_whom_a_comment_names():
    a, b = mesh("a", "b")
    phone = Machine("alice", "10.42.0.9", is_minion=False)
    link(phone, a)
    (network,) = join(look(a, b, phone)).networks
    assert [(each.title, each.public_key, sorted(each.seen)) for each in network.strangers] == [
        ("alice", public_key("alice"), ["a"])
    ]
    assert frozenset({"a", public_key("alice")}) in network.pairs


def test_machines_that_only_know_a_hub_that_is_no_minion_are_one_network():
    hub = Machine("hub", "10.42.0.1", "hub.example.com:51820", is_minion=False)
    spokes = [Machine(name, f"10.42.0.{n}") for n, name in enumerate("ab", 2)]
    for spoke in spokes:
        link(spoke, hub)
    assert nodes(join(look(hub, *spokes))) == [["a", "b"]]


def test_a_peer_that_only_one_side_has_is_a_contradiction_and_no_link():
    a, b, c = mesh("a", "b", "c")
    del a.peers["c"]
    (network,) = join(look(a, b, c)).networks
    assert network.contradictions == ("c has a as a peer, and a does not have c",)
    assert frozenset("ac") not in network.pairs


def test_who_claims_the_key_of_another_is_in_no_network_and_neither_is_the_other():
    looks = look(*mesh("a", "b", "c"))
    looks["evil"] = {"wg0": Inventory("wg0", public_key("a"), ("10.42.0.66/24",))}
    found = join(looks)
    assert nodes(found) == [["b", "c"]]
    (said,) = found.left_out
    assert "wg0 of a, wg0 of evil have one key" in said


def test_who_claims_to_know_everybody_joins_no_networks_together():
    """A member that listed the keys of two networks made one of them, in which a person could miss it."""
    looks = {**look(*mesh("a", "b")), **look(*mesh("x", "y", subnet="10.50.0"))}
    peers = tuple(FoundPeer(public_key(name)) for name in "abxy")
    looks["evil"] = {"wg0": Inventory("wg0", public_key("evil"), ("10.42.0.66/24",), peers=peers)}
    found = join(looks)
    assert nodes(found) == [["a", "b"], ["x", "y"]]
    assert found.left_out == ("evil: wg0 has no peers that have it",)
    for network in found.networks:
        assert "wg0 of evil do not agree whether they are of one network" in " ".join(network.contradictions)


def test_an_address_or_a_network_of_two_is_a_contradiction():
    a, b, c = mesh("a", "b", "c")
    c.address = b.address
    looks = look(a, b, c)
    wide = tuple(replace(peer, allowed_ips=("10.0.0.0/8",)) for peer in looks["a"]["wg0"].peers)
    looks["a"] = {"wg0": replace(looks["a"]["wg0"], peers=wide)}
    (network,) = join(looks).networks
    assert "b and c both have the address 10.42.0.2" in network.contradictions
    assert any("a has 10.0.0.0/8 in the AllowedIPs of two peers" in each for each in network.contradictions)


def test_what_is_broken_or_alone_is_left_out_by_name():
    found = join(
        {
            "a": {"wg0": Inventory("wg0", error="wg is not installed")},
            "b": {"wg0": Inventory("wg0", public_key("b"), ("10.42.0.2/24",))},
            "c": {"wg0": Inventory("wg0")},
        }
    )
    assert found.networks == ()
    assert found.left_out == ("a: wg0: wg is not installed", "c: wg0 has no key", "b: wg0 has no peers that have it")
