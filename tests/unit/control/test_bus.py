"""What comes back from nodes over the event bus, any of which may be made up."""

import pytest

from saltext.wireguard.control import answers
from saltext.wireguard.control.answers import MAX_STATEMENTS, failure, hear_all
from saltext.wireguard.model.statements import REGISTER_TAG, REPORT_TAG


def deep(levels):
    nested = []
    for _ in range(levels):
        nested = [nested]
    return nested


MASTER = object()


@pytest.fixture
def heard(monkeypatch):
    """What the master takes in; it believes everything but what is forged."""
    found = []

    def take_in(master, tag, event, asked):
        assert (master, event["id"]) == (MASTER, asked)
        signed = event["data"]["signed"]
        found.append((tag, event["id"], signed))
        return None if signed == "forged" else False

    monkeypatch.setattr(answers, "take_in", take_in)
    return found


def sync(**data):
    return failure("wireguard.sync", {"success": True, "retcode": 0, **data})


def apply(**data):
    return failure("state.apply", {"success": True, "retcode": 0, **data})


def test_a_sync_without_failed_networks_is_no_failure():
    assert sync(**{"return": {"networks": {"wg0": {"result": True, "comment": "in sync"}}}}) is None
    assert sync(**{"return": {"networks": {}}}) is None


def test_a_failed_network_gives_its_comment():
    networks = {"wg0": {"result": False, "comment": "no module"}, "wg1": {"result": True, "comment": "fine"}}
    assert sync(**{"return": {"networks": networks}}) == "no module"


def test_a_state_run_that_succeeded_is_no_failure():
    assert apply(**{"return": {"a": {"result": True}}}) is None


def test_failed_states_give_their_comments():
    states = {"a": {"result": False, "comment": "first"}, "b": {"result": False, "comment": "second"}}
    assert apply(retcode=2, **{"return": states}) == "first; second"


def test_errors_of_rendering_are_the_reason():
    assert apply(retcode=1, **{"return": ["Rendering SLS failed", "No matching sls"]}) == (
        "Rendering SLS failed; No matching sls"
    )


def test_of_a_traceback_the_last_line_is_the_reason():
    assert (
        sync(success=False, **{"return": "Traceback:\n  File\nValueError: that is why\n"}) == "ValueError: that is why"
    )


GARBAGE = {
    "nothing": None,
    "white space": " \n\t ",
    "number": 7,
    "list": [1, {"a": 2}],
    "list of lists": deep(3),
    "too deep to print": deep(5000),
    "empty": {},
    "networks of the wrong type": {"networks": [1, 2]},
    "networks in text": {"networks": {"wg0": "broken"}},
    "comment too deep to print": {"networks": {"wg0": {"result": False, "comment": deep(5000)}}},
    "statements of the wrong type": {REGISTER_TAG: "text", REPORT_TAG: {"a": 1}},
}


@pytest.mark.parametrize("function", ["wireguard.sync", "state.apply"])
@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE)
def test_a_return_of_any_shape_is_a_short_line_at_most(function, garbage, heard):
    """White space raised IndexError and deep nesting RecursionError, which ended the reconcile."""
    for data in ({"return": garbage}, {"return": garbage, "retcode": 1}, {"success": garbage, "retcode": garbage}):
        reason = failure(function, data)
        assert reason is None or (isinstance(reason, str) and len(reason) <= 500)
    hear_all(MASTER, "a", garbage)
    assert heard == []


def test_a_long_reason_is_cut():
    assert len(sync(success=False, **{"return": "x" * 100_000})) == 300


def test_the_statements_of_a_return_are_all_heard(heard):
    hear_all(MASTER, "a", {REGISTER_TAG: ["first"], REPORT_TAG: ["second", "third"]})
    assert heard == [(REGISTER_TAG, "a", "first"), (REPORT_TAG, "a", "second"), (REPORT_TAG, "a", "third")]


@pytest.mark.parametrize(
    ("statements", "is_the_nodes"),
    [([], True), (["true"], True), (["forged"], False), (["forged", "true"], True), (["forged", "forged"], False)],
)
def test_a_return_of_which_no_statement_is_believed_is_not_the_nodes(statements, is_the_nodes, heard):
    assert hear_all(MASTER, "a", {REPORT_TAG: statements}) is is_the_nodes


def test_a_return_full_of_statements_does_not_keep_the_master_busy(heard):
    hear_all(MASTER, "a", {REPORT_TAG: ["forged"] * 100_000})
    assert len(heard) == MAX_STATEMENTS
