"""What the master knows before it asks anybody why two nodes do not meet, and whom it asks; the nodes are stand-ins."""

import pytest

from answering import Fleet
from factories import accept, mesh_text, public_key
from operating import operator_of
from saltext.wireguard.control.why import why
from saltext.wireguard.errors import ConfigError
from saltext.wireguard.model.examination import Counters, Examination, Look, Target


@pytest.fixture
def fleet(tmp_path):
    """Nodes whose tunnels work, as far as they say; ``examined``: node -> its targets."""
    made = Fleet(tmp_path, "abc")
    made.examined = {}

    def examine(node, network, targets):
        made.examined[node] = targets[node]
        looks = {
            peer: Look(
                public_key(peer),
                endpoint="192.0.2.2:51820",
                path="eth0",
                allowed_ips=("0.0.0.0/0",),
                before=Counters(5, 0, 0),
                after=Counters(5, 9, 9),
                targets={each: Target("wg0", True, True) for each in addresses},
            )
            for peer, addresses in targets[node].items()
        }
        return {"networks": {network: Examination("wg0", True, public_key(node), 51820, 1420, looks=looks).to_dict()}}

    made.functions_of_nodes = {"wireguard.examine": examine}
    answer = made._answer
    made._answer = lambda node, function, words, keywords: (
        examine(node, *words) if function == "wireguard.examine" else answer(node, function, words, keywords)
    )
    return made


def ask(fleet, one="a", other="b", network=None):
    return why(operator_of(fleet), one, other, network, 0.2)


def test_both_ends_are_asked_at_once_and_ping_each_other(fleet):
    answer = ask(fleet)
    assert (answer["cause"], answer["network"]) == ("none", "net")
    assert "retcode" not in answer
    assert fleet.functions == [("wireguard.examine", ["a", "b"])]
    assert fleet.examined == {"a": {"b": ["10.42.0.2"]}, "b": {"a": ["10.42.0.1"]}}


def test_a_cause_makes_the_command_fail(fleet):
    fleet.off = {"a", "b"}
    answer = ask(fleet)
    assert (answer["cause"], answer["retcode"]) == ("no answer", 1)
    assert answer["seen"] == ["a: no answer", "b: no answer"]


def test_a_node_that_was_revoked_is_no_member_and_nobody_is_asked(fleet):
    fleet.master.registry.admissions.revoke("net", "b", "alice", "stolen")
    answer = ask(fleet)
    assert (answer["cause"], answer["because"]) == ("no member", "b is not in net: revoked by alice")
    assert fleet.jobs == []


def test_a_node_that_never_registered(fleet):
    accept(fleet.master, "d")
    assert ask(fleet, "a", "d")["cause"] == "not registered"


def test_nodes_without_a_link(fleet):
    nodes = "a: {}, b: {}, c: {}"
    fleet.mesh.write_text(mesh_text(nodes, extra="links: [[a, c], [b, c]]"))
    assert ask(fleet)["cause"] == "not linked"


def test_nodes_that_use_a_hub_are_asked_together_with_it(fleet):
    fleet.mesh.write_text(mesh_text("a: {endpoint: false}, b: {endpoint: false}, c: {hub: true, endpoint: 192.0.2.3}"))
    ask(fleet)
    assert fleet.functions == [("wireguard.examine", ["a", "b", "c"])]
    assert fleet.examined["a"] == {"c": ["10.42.0.3", "10.42.0.2"]}
    assert fleet.examined["c"] == {"a": ["10.42.0.1"], "b": ["10.42.0.2"]}


def test_an_external_peer_cannot_be_asked(fleet):
    peer = f"phone: {{public_key: {public_key('phone')}, addresses: [10.42.0.9]}}"
    fleet.mesh.write_text(mesh_text("'*': {}", peers=peer))
    answer = ask(fleet, "a", "phone")
    assert fleet.functions == [("wireguard.examine", ["a"])]
    assert "phone: is no minion, so nobody can ask it" in answer["seen"]


@pytest.mark.parametrize(
    ("one", "other", "network", "message"),
    [
        ("a", "a", None, "name two nodes"),
        ("a", "z", None, "'z' is no node or external peer"),
        ("a", "b", "other", "there is no network other"),
    ],
)
def test_what_there_is_not_is_an_error(fleet, one, other, network, message):
    with pytest.raises(ConfigError, match=message):
        ask(fleet, one, other, network)
