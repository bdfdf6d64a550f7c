"""Who announces, who is taken over, and what an operator hears of it; the nodes are stand-ins."""

import itertools

import pytest

from answering import Fleet
from factories import accept, public_key, registration, salt_key
from operating import operator_of
from saltext.wireguard.control.takeover import take
from saltext.wireguard.errors import ConfigError
from saltext.wireguard.model import statements
from saltext.wireguard.model.statements import REGISTER_TAG, REPORT_TAG, Report

serials = itertools.count(10_000)


@pytest.fixture
def fleet(tmp_path):
    """a is a node already; b and c have interfaces of somebody else, with keys that nobody knows here yet."""
    made = Fleet(tmp_path, "a")
    for node in "bc":
        accept(made.master, node)
        made.minions.add(node)
    made.refusing = {}

    def adopt(node, signed, announce=False, force=False, reason=None):
        assert signed
        if announce:
            known = registration(node, next(serials), public_key=public_key(f"old {node}"))
            signed = [statements.sign(known, salt_key(node).private_pem)]
            return {"networks": {"net": {"result": True, "comment": "keeps its key"}}, REGISTER_TAG: signed}
        if node in made.refusing and not force:
            return {"networks": {"net": {"result": False, "comment": made.refusing[node]}}, REPORT_TAG: []}
        digest = made.master.moment().views(node)["net"].digest
        report = statements.sign(Report(node, "net", digest, next(serials)), salt_key(node).private_pem)
        return {"networks": {"net": {"result": True, "comment": "kept"}}, REPORT_TAG: [report]}

    made._answer = lambda node, function, words, keywords: (
        adopt(node, **keywords) if function == "wireguard.adopt" else None
    )
    return made


def run(fleet, target, force=False, reason=""):
    return take(operator_of(fleet), target, force, reason, 0.2)


def test_all_nodes_announce_first_and_only_those_named_are_taken_over(fleet):
    answer = run(fleet, "b")
    assert fleet.functions == [("wireguard.adopt", ["a", "b", "c"]), ("wireguard.adopt", ["b"])]
    assert answer == {
        "answer": "1 of 1 nodes are taken over",
        "taken": [{"network": "net", "node": "b", "comment": "kept"}],
        "failed": [],
    }
    rows = fleet.master.registry.snapshot().rows
    assert rows["net", "c"].public_key == public_key("old c")
    assert rows["net", "b"].salt_key == salt_key("b").accepted.fingerprint
    assert fleet.master.registry.applied()["net", "b"].digest == fleet.master.moment().views("b")["net"].digest


def test_globs_and_lists_name_several(fleet):
    assert run(fleet, "[ab], c")["answer"] == "3 of 3 nodes are taken over"


def test_a_refusal_and_a_silent_node_make_the_command_fail(fleet):
    fleet.refusing = {"b": "the mesh file does not have 1 of its peers (alice)"}
    fleet.off = {"c"}
    answer = run(fleet, "*")
    assert answer["retcode"] == 1
    assert answer["answer"] == "1 of 3 nodes are taken over; 3 problems"
    assert answer["failed"] == [
        {"network": None, "node": "c", "problem": "was not announced: no answer"},
        {"network": "net", "node": "b", "problem": "the mesh file does not have 1 of its peers (alice)"},
        {"network": None, "node": "c", "problem": "no answer"},
    ]
    fleet.off = set()
    assert "retcode" not in run(fleet, "b", force=True, reason="she is gone")


def test_where_salt_fails_for_once_the_node_is_asked_again(fleet):
    """A master on a busy machine gave one node no pillar, so it was not announced, and all others were refused."""
    answer, asked = fleet._answer, []

    def fail_first(node, function, words, keywords):
        asked.append(node)
        return None if node == "c" and asked.count("c") == 1 else answer(node, function, words, keywords)

    fleet._answer = fail_first
    assert run(fleet, "*")["answer"] == "3 of 3 nodes are taken over"
    assert asked == ["a", "b", "c", "c", "a", "b", "c"]


def test_a_key_that_the_node_did_not_sign_for_is_not_taken_in(fleet):
    """A return can be forged; with a key in it, whoever forged it would have become the node."""
    forged = registration("b", next(serials), public_key=public_key("evil"))
    signed = statements.sign(forged, salt_key("c").private_pem)
    answer = fleet._answer
    fleet._answer = lambda node, function, words, keywords: (
        {"networks": {"net": {"result": True, "comment": ""}}, REGISTER_TAG: [signed]}
        if keywords.get("announce")
        else answer(node, function, words, keywords)
    )
    run(fleet, "a")
    assert ("net", "b") not in fleet.master.registry.snapshot().rows


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(("nobody*",), "the mesh file has no accepted minion 'nobody\\*'"), (("a", True), "force=True needs a reason")],
)
def test_what_makes_no_sense_asks_nobody(fleet, arguments, message):
    with pytest.raises(ConfigError, match=message):
        run(fleet, *arguments)
    assert fleet.jobs == []
