"""What follows of a node's network from what it finds and what its peers see."""

from dataclasses import replace

import pytest

from saltext.wireguard.model.netcheck import LocalNet
from saltext.wireguard.observe.netcheck import NetCheck

LOCAL = LocalNet(51820, 1420, ("192.168.1.11", "2001:db8::11"), (4, 6), asked=3)
OUTSIDE = "203.0.113.7"


def check(seen=(), meeting=(), **changes):
    """``seen``: where the peers a, b and c see the node."""
    places = {name: place for name, place in zip("abc", seen, strict=False) if place}
    return NetCheck("pc", replace(LOCAL, **changes), places, set(meeting))


@pytest.mark.parametrize(
    ("seen", "nat"),
    [
        ([], "unknown"),
        (["192.168.1.11:51820"], "none"),
        ([f"{OUTSIDE}:51820"], "keeps the port"),
        ([f"{OUTSIDE}:51820", f"{OUTSIDE}:51820"], "keeps the port"),
        ([f"{OUTSIDE}:40000"], "changes the port"),
        ([f"{OUTSIDE}:40000", f"{OUTSIDE}:40000"], "one other port for all peers"),
        ([f"{OUTSIDE}:40000", f"{OUTSIDE}:40001"], "another port for each peer"),
        (["192.168.1.11:51820", f"{OUTSIDE}:51820"], "keeps the port"),
    ],
)
def test_what_a_router_does_shows_in_where_two_peers_see_the_node(seen, nat):
    assert check(seen).nat(4) == nat
    assert check(seen).nat(6) == "unknown"


def test_ipv6_is_judged_by_itself():
    found = check([f"{OUTSIDE}:51820", "[2001:db8::11]:51820"])
    assert (found.nat(4), found.nat(6)) == ("keeps the port", "none")
    assert found.sentence() == "IPv4: NAT, keeps the port, IPv6: no NAT"


@pytest.mark.parametrize(
    ("seen", "silent", "meeting", "udp"),
    [
        ([f"{OUTSIDE}:51820"], "bc", "", "open"),
        ([], "ab", "", "open"),
        ([], "abc", "ab", "blocked"),
        ([], "abc", "a", "unknown"),
        ([], "abc", "", "unknown"),
    ],
)
def test_udp_is_blocked_if_nobody_is_reached_and_the_others_reach_each_other(seen, silent, meeting, udp):
    assert check(seen, meeting, silent=tuple(silent)).udp == udp


def test_nothing_is_known_of_a_node_without_peers():
    assert check(asked=0).udp == "unknown"


def test_blocked_udp_has_a_remedy_and_is_a_problem():
    found = check(meeting="ab", silent=("a", "b", "c"))
    (remedy,) = found.remedies()
    assert "no packet of pc reaches any of its 3 peers, which reach others" in remedy
    assert found.has_problem
    assert found.sentence() == "UDP is blocked"


def test_a_router_with_another_port_for_each_peer_needs_a_hub_and_is_no_problem_as_long_as_all_works():
    found = check([f"{OUTSIDE}:40000", f"{OUTSIDE}:40001"])
    (remedy,) = found.remedies()
    assert "docs/guides/hubs.md" in remedy
    assert not found.has_problem


def test_a_router_that_changes_the_port_needs_one_that_is_forwarded():
    (remedy,) = check([f"{OUTSIDE}:40000"]).remedies()
    assert "a port that is forwarded" in remedy


def test_a_narrow_way_has_a_remedy_with_the_size_that_fits():
    found = check(["192.168.1.11:51820"], narrow={"b": 1300, "c": 1280})
    (remedy,) = found.remedies()
    assert "packets of more than 1280 bytes do not reach b, c: write `mtu: 1280`" in remedy
    assert found.has_problem


def test_a_node_without_nat_needs_nothing():
    assert list(check(["192.168.1.11:51820"]).remedies()) == []
