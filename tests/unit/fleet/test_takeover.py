"""What moves where when the nodes are moved off one."""

from dataclasses import replace

from factories import accepted, mesh, row, snapshot
from saltext.wireguard.fleet.fleet import Fleet
from saltext.wireguard.fleet.takeover import Share, moves, shares
from saltext.wireguard.model.addresses import parse_address
from saltext.wireguard.registry.rows import Drain

HUBS = "'*': {endpoint: false}, h: {hub: true}, i: {hub: true, priority: 9}, r: {routes: [192.168.44.0/24]}"
LINKS = "links: [[h, '*'], [i, '*']]"
NAMES = "abhir"
SUBNET, BEHIND = "10.42.0.0/24", "192.168.44.0/24"


def network(*drained, nodes=HUBS, until=None, now=10.0):
    rows = [row(name, parse_address(f"10.42.0.{number}")) for number, name in enumerate(NAMES, 1)]
    known = replace(snapshot(*rows), drains={("net", node): Drain(1.0, "alice", "", until) for node in drained})
    return Fleet(mesh(nodes, extra=LINKS), known, accepted(*NAMES), now).networks["net"]


def test_all_that_a_hub_carries_goes_to_the_next_hub_and_its_own_addresses_stay():
    assert shares("h", network(), network("h")) == [
        Share("i", (SUBNET,), ("r",)),
        Share("i", (SUBNET, BEHIND), ("a", "b")),
    ]


def test_with_all_hubs_drained_the_first_is_used_as_if_none_were():
    assert shares("h", network(), network("h", "i")) == [
        Share("h", (SUBNET,), ("r",)),
        Share("h", (SUBNET, BEHIND), ("a", "b")),
    ]


def test_a_drain_counts_until_its_time_is_over():
    before, after = network("h", until=20.0, now=19.9), network("h", until=20.0, now=20.0)
    assert before.carriers("a")[SUBNET] == "i"
    assert after.carriers("a")[SUBNET] == "h"


def test_the_moves_between_two_views_are_all_that_a_node_needs():
    before, after = network().view("a"), network("h").view("a")
    found = moves(before, after)
    assert set(found) == {SUBNET, BEHIND}
    assert before.moved(found).digest == after.digest
    assert moves(before, before) == {}


def test_a_change_of_anything_else_is_no_move():
    others = HUBS.replace("'*': {endpoint: false}", "'*': {endpoint: false, port: 7}")
    assert moves(network().view("a"), network("h", nodes=others).view("a")) is None


EXITS = "'*': {via: [g, i]}, g: {exit: true}, i: {exit: true}"


def exits(*drained, names="agi", nodes=EXITS):
    rows = [row(name, parse_address(f"10.42.0.{number}")) for number, name in enumerate(names, 1)]
    known = replace(snapshot(*rows), drains={("net", node): Drain(1.0, "alice", "") for node in drained})
    return Fleet(mesh(nodes), known, accepted(*names), 10.0).networks["net"]


def test_a_drained_exit_is_left_for_the_next_of_via_and_both_are_peers():
    before, after = exits(), exits("g")
    assert (before.view("a").via, after.view("a").via) == ("g", "i")
    assert shares("g", before, after) == [Share("i", ("0.0.0.0/0",), ("a",))]
    found = moves(before.view("a"), after.view("a"))
    assert set(found) == {"0.0.0.0/0"}
    assert [peer.name for peer in before.view("a").peers] == ["g", "i"]


def test_with_all_exits_drained_the_first_is_used_and_one_that_has_not_registered_never():
    assert exits("g", "i").view("a").via == "g"
    assert exits(names="ai").view("a").via == "i"
    assert exits(names="a").view("a").via is None


def test_exits_of_everybody_have_no_exit_themselves():
    """They would send everything to each other."""
    network = exits(nodes="'*': {via: [g, i]}, g: {exit: true}, i: {exit: true}")
    assert [network.view(node).via for node in "agi"] == ["g", None, None]
