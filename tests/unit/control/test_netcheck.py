"""How a node and its peers are asked about its network; the nodes are stand-ins."""

import pytest

from answering import Fleet
from factories import accept, mesh_text, public_key
from operating import operator_of
from saltext.wireguard.control.netcheck import netcheck
from saltext.wireguard.errors import ConfigError
from saltext.wireguard.model.live import LiveInterface, LivePeer
from saltext.wireguard.model.netcheck import LocalNet


@pytest.fixture
def fleet(tmp_path):
    """``local``: what the node says of itself; ``places``: peer -> where it sees node a, None for nowhere."""
    made = Fleet(tmp_path, "abc")
    made.local = LocalNet(51820, 1420, ("192.168.1.11",), (4,), asked=2)
    made.places = {"b": "203.0.113.7:51820", "c": "203.0.113.7:51820"}
    answer = made._answer

    def status(node):
        place = made.places.get(node)
        peers = {public_key("b" if node == "c" else "c"): LivePeer("192.0.2.1:51820", 5, 1, 1)}
        if place:
            peers[public_key("a")] = LivePeer(place, 5, 1, 1)
        return {"networks": {"net": LiveInterface("wg0", True, 1420, peers).to_dict()}}

    def answer_job(node, function, words, keywords):
        if function == "wireguard.netcheck":
            return {"networks": {"net": made.local.to_dict()}}
        return status(node) if function == "wireguard.status" else answer(node, function, words, keywords)

    made._answer = answer_job
    return made


def ask(fleet, node="a", network=None, **options):
    return netcheck(operator_of(fleet, **options), node, network, 0.2)


def versions(answer):
    return {each["ip"]: (each["nat"], each["outside"]) for each in answer["versions"]}


def test_the_node_looks_first_and_then_its_peers_say_where_they_see_it(fleet):
    answer = ask(fleet)
    assert fleet.functions == [("wireguard.netcheck", ["a"]), ("wireguard.status", ["b", "c"])]
    assert (answer["udp"], answer["answer"]) == ("open", "IPv4: NAT, keeps the port, IPv6: not used")
    assert versions(answer) == {4: ("keeps the port", ["203.0.113.7:51820"]), 6: ("unknown", [])}
    assert "retcode" not in answer


def test_a_node_that_none_of_its_peers_sees_while_they_meet_is_behind_a_firewall(fleet):
    fleet.places = {}
    fleet.local = LocalNet(51820, 1420, ("192.168.1.11",), (4,), asked=2, silent=("b", "c"))
    answer = ask(fleet)
    assert (answer["udp"], answer["retcode"]) == ("blocked", 1)


def test_a_forged_place_is_passed_over(fleet):
    fleet.places = {"b": "not a place", "c": "[::1"}
    assert ask(fleet)["seen"] == []


def test_a_silent_node_is_an_answer_that_fails(fleet):
    fleet.off = {"a"}
    answer = ask(fleet)
    assert (answer["answer"], answer["retcode"]) == ("a cannot say: no answer", 1)
    assert fleet.functions == [("wireguard.netcheck", ["a"])]


def test_so_is_one_that_cannot_look(fleet):
    fleet.local = LocalNet(error="wg0 is not set up")
    assert ask(fleet)["answer"] == "a cannot say: wg0 is not set up"


def test_a_node_that_never_registered_is_an_error(fleet):
    accept(fleet.master, "d")
    with pytest.raises(ConfigError, match="d has never registered in net"):
        ask(fleet, "d")


def test_a_node_of_several_networks_needs_one(fleet):
    other = mesh_text("'*': {}", "10.43.0.0/24").replace("net:", "other:").replace("networks:\n", "")
    fleet.mesh.write_text(fleet.mesh.read_text() + other + "    interface: wg1\n    port: 51821\n")
    with pytest.raises(ConfigError, match="a is in net, other: name one of them"):
        ask(fleet)
    assert ask(fleet, network="net")["network"] == "net"


def test_a_stranger_is_an_error(fleet):
    with pytest.raises(ConfigError, match="'z' is no member"):
        ask(fleet, "z")
