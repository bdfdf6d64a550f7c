"""What has become of the addresses of a network."""

from dataclasses import replace
from ipaddress import ip_address

from factories import accepted, mesh, public_key, row, snapshot
from saltext.wireguard.fleet.network import NetworkState
from saltext.wireguard.fleet.usage import Usage
from saltext.wireguard.registry.pool import Holding

DAY = 86_400
NOW = 100 * DAY


def usage(net, *rows, former=(), keys="ab"):
    """Of network net; ``former``: (last number of an IPv4 address, node, day on which it was freed)."""
    holdings = tuple(Holding(ip_address(f"10.42.0.{last}"), node, day * DAY) for last, node, day in former)
    known = replace(snapshot(*rows), former={"net": holdings})
    (network,) = net.networks
    return Usage(network, NetworkState(network, known, accepted(*keys), NOW, net), known)


def addresses(*last):
    return [ip_address(f"10.42.0.{each}") for each in last]


def only(found):
    (pool,) = found.pools()
    return pool


def counts(pool):
    return pool.size, pool.used, pool.reserved, pool.excluded, pool.quarantined, pool.free


def test_an_empty_pool_is_free_and_begins_with_its_first_address():
    pool = only(usage(mesh(subnets="10.42.0.0/24")))
    assert counts(pool) == (254, 0, 0, 0, 0, 254)
    assert (str(pool.next), [str(hole) for hole in pool.holes]) == ("10.42.0.1", ["10.42.0.1-10.42.0.254"])


def test_every_address_is_counted_once_and_holes_are_ranges():
    peer = f"phone: {{public_key: {public_key('phone')}, addresses: [10.42.0.13]}}"
    net = mesh("db: {addresses: [10.42.0.8]}, '*': {}", "10.42.0.0/28", peer, "exclude: [10.42.0.8-10.42.0.11]")
    pool = only(usage(net, row("a", *addresses(1)), row("b", *addresses(9)), former=[(4, "gone", 99), (5, "old", 3)]))
    assert counts(pool) == (14, 3, 1, 2, 1, 7)
    assert [str(hole) for hole in pool.holes] == [
        "10.42.0.2-10.42.0.3",
        "10.42.0.5-10.42.0.7",
        "10.42.0.12",
        "10.42.0.14",
    ]


def test_quarantined_addresses_come_with_whose_they_were_and_until_when_they_are():
    found = usage(mesh(), former=[(4, "gone", 99), (6, "left", 95), (5, "old", 3)])
    assert [(str(each.address), each.node, until) for each, until in found.quarantined()] == [
        ("10.42.0.6", "left", 102 * DAY),
        ("10.42.0.4", "gone", 106 * DAY),
    ]


def test_what_a_node_has_again_that_came_back_is_used():
    found = usage(mesh(), row("a"), former=[(4, "a", 99)])
    assert counts(only(found))[1:] == (1, 0, 0, 0, 253)
    assert found.quarantined() == []


def test_only_the_subnet_from_which_the_next_address_comes_names_it():
    found = usage(
        mesh(subnets="10.42.0.0/31, 10.43.0.0/24, 'fd42::/64'"), row("a", *addresses(0)), row("b", *addresses(1))
    )
    assert [str(pool.next) for pool in found.pools()] == ["None", "10.43.0.1", "fd42::1"]


def test_a_large_pool_is_counted_without_looking_at_each_address():
    net = mesh(subnets="'fd42::/64'", extra="exclude: ['fd42::/80']")
    pool = only(usage(net, row("a", ip_address("fd42::1:0:0:5"))))
    assert (pool.size, pool.excluded, pool.free) == (2**64 - 1, 2**48 - 1, 2**64 - 2**48 - 1)
    assert [str(hole) for hole in pool.holes] == [
        "fd42::1:0:0:0-fd42::1:0:0:4",
        "fd42::1:0:0:6-fd42::ffff:ffff:ffff:ffff",
    ]


def test_addresses_that_no_subnet_has_are_in_no_pool():
    assert counts(only(usage(mesh(subnets="10.43.0.0/24"), row("a", *addresses(1)))))[1:] == (0, 0, 0, 0, 254)
