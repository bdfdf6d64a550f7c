"""What nodes answer when they are asked what they would change."""

import json

import pytest

from factories import change, public_key, subject
from saltext.wireguard.model.answers import MAX_CHANGES, Answer, Sessions, brief

CHANGES = (
    change("peer a", {"public_key": "A", "allowed_ips": ["10.42.0.1/32"], "keepalive": 0}, None),
    change("mtu", "1420", "1380"),
)


def test_an_answer_comes_back_as_it_was_sent():
    sent = Answer(CHANGES, {subject("peer a"): 1}, "d" * 64, Sessions(3, frozenset(["A"])))
    assert Answer.from_dict(json.loads(json.dumps(sent.to_dict()))) == sent


def test_an_error_is_all_that_a_node_says_that_cannot_tell():
    assert Answer.from_dict(Answer(error="no wg").to_dict()) == Answer(error="no wg")


def test_only_so_many_changes_travel_first_those_that_cut_sessions_off():
    changes = tuple(change(f"peer {number}", None, {}) for number in range(MAX_CHANGES + 7))
    told = brief(changes, {changes[-1].subject: 1})
    assert len(told["changes"]) == MAX_CHANGES
    assert told["changes"][0]["name"] == str(MAX_CHANGES + 6)
    assert told["more"] == 7
    assert [str(step.change.subject) for step in Answer.from_dict(told).steps("net", "a")][-1] == "7 more changes"


def test_steps_bear_the_sessions_that_they_cut_off():
    steps = {str(step.change.subject): step for step in Answer(CHANGES, {subject("peer a"): 1}).steps("net", "n")}
    assert (steps["peer a"].disturbs, steps["mtu"].disturbs) == (1, 0)
    assert steps["mtu"].to_dict() == {
        "network": "net",
        "node": "n",
        "kind": "mtu",
        "subject": "mtu",
        "old": "1420",
        "new": "1380",
        "disturbs": 0,
    }


def nested(depth):
    value = {}
    for _ in range(depth):
        value = {"x": value}
    return value


@pytest.mark.parametrize(
    "odd",
    [
        None,
        [],
        "text",
        {"changes": {"kind": "mtu"}},
        {"changes": [1]},
        {"changes": [{"kind": "mtu", "old": {"a": nested(3000)}}]},
        {"changes": [{"kind": "peer", "name": 1}]},
        {"changes": [{"kind": "peers", "name": "x"}]},
        {"changes": [{"kind": [], "name": "x"}]},
        {"changes": [{"name": "x"}]},
        {"changes": [{"kind": "peer", "name": "x"}, {"kind": "peer", "name": "x"}]},
        {"changes": [{"kind": "mtu", "disturbs": -1}]},
        {"changes": [{"kind": "mtu", "disturbs": "1"}]},
        {"live": 2**70},
        {"live_keys": "A"},
        {"digest": 3},
        {"more": None, "result": False, "comment": 3},
    ],
)
def test_a_return_can_be_forged_and_is_then_not_understood(odd):
    assert Answer.from_dict(odd).error == "its answer is malformed"


def test_what_is_huge_is_cut():
    facts = {"old": "y" * 10_000, "new": {"a": ["z" * 10_000] * 10_000}}
    (cut,) = Answer.from_dict({"changes": [{"kind": "peer", "name": "x" * 10_000, **facts}]}).changes
    assert max(len(cut.name), len(cut.old), len(cut.new["a"][0]), len(cut.new["a"])) <= 200


def test_a_node_may_have_more_sessions_than_changes_that_travel():
    """Of a hub's sessions, those beyond the first 50 counted as none, so a plan said that it cut nothing off there."""
    keys = frozenset(public_key(str(number)) for number in range(MAX_CHANGES + 7))
    sessions = Answer.from_dict(Answer(sessions=Sessions(len(keys), keys)).to_dict()).sessions
    assert [sessions.cut(each) for each in keys] == [1] * len(keys)
