"""Whether packets come through between all pairs; the nodes are stand-ins."""

import pytest

from answering import Fleet
from operating import operator_of
from saltext.wireguard.control.asking import NO_ANSWER
from saltext.wireguard.control.matrix import matrix
from saltext.wireguard.errors import ConfigError


@pytest.fixture
def fleet(tmp_path):
    return Fleet(tmp_path, "abc")


def ask(fleet, network=None, count=5):
    return matrix(operator_of(fleet), network, count, 0.2)


def test_each_path_is_a_row_with_what_came_back(fleet):
    answer = ask(fleet)
    assert (answer["answer"], answer["problems"]) == ("6 of 6 paths without loss", [])
    assert {(row["from"], row["to"]) for row in answer["paths"]} == {(a, b) for a in "abc" for b in "abc" if a != b}
    assert answer["paths"][0] == {
        "network": "net",
        "from": "a",
        "to": "b",
        "loss": 0,
        "rtt_ms": 0.5,
        "ipv4": {"sent": 5, "received": 5, "rtt_ms": 0.5},
        "ipv6": None,
    }


def test_what_loses_packets_comes_first(fleet):
    fleet.lost = {("b", "a")}
    answer = ask(fleet)
    assert answer["answer"] == "5 of 6 paths without loss, 1 without any answer"
    assert (answer["paths"][0]["from"], answer["paths"][0]["to"], answer["paths"][0]["loss"]) == ("b", "a", 1)


def test_of_a_silent_node_the_others_still_tell(fleet):
    fleet.off = {"c"}
    answer = ask(fleet)
    assert answer["problems"] == [{"node": "c", "problem": NO_ANSWER}]
    assert {row["from"]: row["loss"] for row in answer["paths"]} == {"a": 0, "b": 0, "c": None}
    assert answer["answer"] == "4 of 6 paths without loss, 2 not known"


def test_a_node_that_cannot_ping_says_why(fleet):
    fleet.broken = {"b": "wg0 is not set up"}
    assert ask(fleet)["problems"] == [{"node": "b", "problem": "wg0 is not set up"}]


def test_a_peer_that_a_node_lacks_is_a_path_on_which_nothing_comes_back(fleet):
    fleet.views["c"] = fleet.views["c"].without_peers([fleet.views["c"].peers[0].public_key])
    first = ask(fleet)["paths"][0]
    assert (first["from"], first["to"], first["loss"]) == ("c", "a", 1)


def test_nodes_are_asked_for_as_many_pings_as_the_operator_wants(fleet):
    assert ask(fleet, "net", 7)["paths"][0]["ipv4"]["sent"] == 7


@pytest.mark.parametrize("count", [0, 101, True, "5"])
def test_a_count_that_makes_no_sense_is_refused_before_anybody_is_asked(fleet, count):
    with pytest.raises(ConfigError, match="count must be a whole number from 1 to 100"):
        ask(fleet, count=count)
    assert fleet.jobs == []


def test_an_unknown_network_is_an_error(fleet):
    with pytest.raises(ConfigError, match="there is no network other"):
        ask(fleet, "other")
