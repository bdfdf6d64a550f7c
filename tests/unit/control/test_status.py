"""What an operator is shown of all nodes and pairs, and waits for; the nodes are stand-ins."""

import pytest

from answering import Fleet
from factories import public_key, registration
from operating import operator_of
from saltext.wireguard.control.asking import NO_ANSWER, NO_MINION, NOT_ASKED
from saltext.wireguard.control.status import NO_INTERFACE, status
from saltext.wireguard.errors import ConfigError
from saltext.wireguard.master.decisions import enroll

PEERS = "peers: {phone: {public_key: mz8OIWOFMGdsAaGpl4S01Wzn7LBVlnBHSn9cBWJTsFs=, addresses: [10.42.0.9]}}"


@pytest.fixture
def fleet(tmp_path):
    return Fleet(tmp_path, "abc")


def look(fleet, network=None, node=None, **options):
    return status(operator_of(fleet, **options), network, node, 0.2)


def states(answer):
    return {(row["a"], row["b"]): row["state"] for row in answer["pairs"]}


def problems(answer):
    return {row["node"]: row["problem"] for row in answer["nodes"]}


def test_configured_applied_and_living_truth_stand_side_by_side(fleet):
    answer = look(fleet)
    assert answer["answer"] == "3 of 3 nodes in sync; pairs: 3 up"
    assert states(answer) == {("a", "b"): "up", ("a", "c"): "up", ("b", "c"): "up"}
    assert answer["nodes"][0] == {
        "network": "net",
        "node": "a",
        "in_sync": True,
        "why": None,
        "interface_up": True,
        "mtu": 1420,
        **{"up": 2, "idle": 0, "unknown": 0, "stale": 0, "down": 0},
        "problem": None,
    }


def test_all_nodes_are_asked_by_one_job(fleet):
    look(fleet)
    assert fleet.functions == [("wireguard.status", ["a", "b", "c"])]


def test_of_a_silent_node_its_peers_tell(fleet):
    fleet.off = {"c"}
    answer = look(fleet)
    assert problems(answer)["c"] == NO_ANSWER
    assert states(answer)["a", "c"] == "up"
    assert {row["b"]: row["b_sees"]["state"] for row in answer["pairs"]}["c"] == "unknown"


def test_a_node_that_cannot_look_says_why(fleet):
    fleet.broken = {"b": "wg0 is not set up"}
    assert problems(look(fleet))["b"] == "wg0 is not set up"


def test_a_node_with_modules_from_before_there_was_a_status_says_so(fleet):
    fleet._answer = lambda *_: None
    assert "is not available" in problems(look(fleet))["a"]


def test_a_node_without_an_interface_of_the_network_says_so(fleet):
    fleet._answer = lambda *_: {"networks": {}}
    assert set(problems(look(fleet)).values()) == {NO_INTERFACE}


def test_without_a_salt_master_nobody_is_asked(fleet):
    answer = look(fleet, running=False)
    assert set(problems(answer).values()) == {NOT_ASKED}
    assert set(states(answer).values()) == {"unknown"}
    assert fleet.jobs == []


def test_the_worst_pairs_come_first(fleet):
    fleet.views["c"] = fleet.views["c"].without_peers([fleet.views["c"].peers[0].public_key])
    answer = look(fleet)
    first = answer["pairs"][0]
    assert (first["a"], first["b"], first["state"], first["disagree"]) == ("a", "c", "down", True)
    assert first["b_sees"]["lacks_peer"]
    assert answer["answer"] == "3 of 3 nodes in sync; pairs: 2 up, 1 down; the ends of 1 disagree"


def test_one_node_is_looked_at_with_its_peers_alone(fleet):
    fleet.mesh.write_text(fleet.mesh.read_text().replace("'*': {}", "a: {}, b: {}, c: {}") + "    links: [[a, b]]\n")
    fleet.reconcile()
    fleet.forget()
    answer = look(fleet, node="a")
    assert fleet.functions == [("wireguard.status", ["a", "b"])]
    assert [row["node"] for row in answer["nodes"]] == ["a"]
    assert [*states(answer)] == [("a", "b")]


def test_an_external_peer_is_no_node_that_could_be_asked(fleet):
    fleet.mesh.write_text(fleet.mesh.read_text() + f"    {PEERS}\n")
    fleet.reconcile()
    fleet.forget()
    assert states(look(fleet))["a", "phone"] == "up"
    assert fleet.functions == [("wireguard.status", ["a", "b", "c"])]


def test_a_host_without_a_minion_cannot_be_asked(fleet):
    fleet.delete_salt_key("c")
    enroll(fleet.master, registration("c", 1, public_key=public_key("c")), "alice")
    assert problems(look(fleet))["c"] == NO_MINION
    assert fleet.functions == [("wireguard.status", ["a", "b"])]


def test_a_host_whose_salt_key_is_gone_is_neither_shown_nor_asked(fleet):
    fleet.delete_salt_key("c")
    answer = look(fleet)
    assert fleet.functions == [("wireguard.status", ["a", "b"])]
    assert [row["node"] for row in answer["nodes"]] == ["a", "b"]


@pytest.mark.parametrize(
    ("network", "node", "message"),
    [
        ("other", None, "there is no network other"),
        (None, "z", "'z' is no member of any network"),
        ("net", "z", "'z' is no member of network net"),
    ],
)
def test_what_there_is_not_is_an_error(fleet, network, node, message):
    with pytest.raises(ConfigError, match=message):
        look(fleet, network, node)
