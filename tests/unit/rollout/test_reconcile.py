import pytest

from saltext.wireguard.rollout.reconcile import LAST_WAITS, MAX_ASKS, WINDOW, Reconcile


@pytest.fixture
def course():
    return Reconcile(patience=20.0)


def test_every_node_that_is_out_of_date_is_asked_in_order_of_name(course):
    assert course.next({"b": "1", "a": "1"}, 0.0) == ["a", "b"]


def test_a_node_is_not_asked_twice_for_the_same(course):
    course.next({"a": "1"}, 0.0)
    assert course.next({"a": "1"}, 1.0) == []
    assert course.next({"a": "1"}, 100.0) == []


def test_a_node_that_answered_is_not_waited_for(course):
    course.next({"a": "1", "b": "1"}, 0.0)
    course.answered("a")
    assert course.waiting(1.0) == ["b"]


def test_a_node_that_is_no_longer_out_of_date_is_not_waited_for(course):
    course.next({"a": "1", "b": "1"}, 0.0)
    course.next({"b": "1"}, 1.0)
    assert course.waiting(1.0) == ["b"]


def test_patience_ends(course):
    course.next({"a": "1"}, 0.0)
    assert course.waiting(19.9) == ["a"]
    assert course.waiting(20.0) == []


def test_a_node_whose_view_changed_while_it_was_busy_is_asked_again_when_it_is_free(course):
    course.next({"a": "1"}, 0.0)
    assert course.next({"a": "2"}, 1.0) == []
    course.answered("a")
    assert course.next({"a": "2"}, 2.0) == ["a"]


def test_a_node_that_did_not_answer_in_time_is_asked_for_its_new_view(course):
    course.next({"a": "1"}, 0.0)
    assert course.next({"a": "2"}, 20.0) == ["a"]


def test_a_node_is_not_asked_for_ever(course):
    asked = 0
    for now in range(2 * MAX_ASKS):
        asked += len(course.next({"a": str(now)}, float(now)))
        course.answered("a")
    assert asked == MAX_ASKS


def test_a_node_that_is_reconsidered_is_asked_again_for_the_same_if_it_is_out_of_date_still(course):
    course.next({"a": "1", "b": "1"}, 0.0)
    for node in "ab":
        course.answered(node)
        course.reconsider(node)
    assert course.next({"a": "1"}, 1.0) == ["a"]
    course.answered("a")
    assert course.next({"a": "1"}, 2.0) == []
    assert sorted(course.asked) == ["a", "b"]


def test_no_more_nodes_work_at_the_same_time_than_the_window_allows(course):
    wanted = {f"n{number:03}": "1" for number in range(2 * WINDOW)}
    first = course.next(wanted, 0.0)
    assert len(first) == WINDOW
    assert course.next(wanted, 1.0) == []
    for node in first[:3]:
        course.answered(node)
        del wanted[node]
    assert len(course.next(wanted, 2.0)) == 3


def test_nodes_that_stay_silent_make_room_for_others(course):
    wanted = {f"n{number:03}": "1" for number in range(WINDOW + 1)}
    course.next(wanted, 0.0)
    assert course.next(wanted, 20.0) == [f"n{WINDOW:03}"]


def test_an_error_is_kept_until_the_node_is_asked_again(course):
    course.next({"a": "1"}, 0.0)
    course.answered("a", "no wg")
    assert course.failed == {"a": "no wg"}
    course.next({"a": "2"}, 1.0)
    assert course.failed == {}


def test_silent_is_who_was_asked_and_neither_did_it_nor_said_why_not(course):
    course.next({"done": "1", "failed": "1", "silent": "1"}, 0.0)
    course.answered("failed", "no wg")
    assert course.silent(["failed", "silent", "never asked"]) == ["silent"]


# --- nodes that were asked by other means ----------------------------------------------------------------------------


def test_a_node_that_is_expected_is_waited_for_until_it_answers(course):
    """Nodes in their first state.apply are not out of date but unregistered: nobody waited for them at all."""
    course.expect(["new"], 180.0)
    course.next({}, 0.0)
    assert course.waiting(179.0) == ["new"]
    course.answered("new")
    assert course.waiting(1.0) == []


def test_a_node_that_is_expected_is_not_asked_before_it_answers(course):
    """It registers in the middle of its state.apply, reports at the end of it, and needs no sync in between."""
    course.expect(["new"], 180.0)
    assert course.next({"new": "1"}, 1.0) == []
    course.answered("new")
    assert course.next({"new": "1"}, 2.0) == ["new"]


def test_a_node_that_is_expected_in_vain_is_asked(course):
    course.expect(["new"], 180.0)
    assert course.next({"new": "1"}, 180.0) == ["new"]


def test_nodes_that_are_expected_leave_the_window_to_others(course):
    course.expect([f"new{number}" for number in range(2 * WINDOW)], 180.0)
    assert course.next({"a": "1"}, 0.0) == ["a"]


def test_waiting_is_over_at_the_end_of_the_expectation(course):
    course.expect(["new"], 180.0)
    assert course.waiting(180.0) == []


# --- nodes that come last --------------------------------------------------------------------------------------------

LAST = frozenset({"a"})


def test_a_node_that_comes_last_is_asked_when_the_others_have_answered(course):
    assert course.next({"a": "1", "b": "1"}, 0.0, LAST) == ["b"]
    assert course.next({"a": "1", "b": "1"}, 0.1, LAST) == []
    course.answered("b")
    assert course.next({"a": "1"}, 0.2, LAST) == ["a"]


def test_a_node_that_comes_last_waits_a_moment_for_others_that_do_not_answer(course):
    course.next({"a": "1", "b": "1"}, 0.0, LAST)
    assert course.next({"a": "1", "b": "1"}, LAST_WAITS - 0.1, LAST) == []
    assert course.next({"a": "1", "b": "1"}, LAST_WAITS, LAST) == ["a"]


def test_a_node_that_comes_last_does_not_wait_when_nobody_else_is_asked(course):
    assert course.next({"a": "1"}, 0.0, LAST) == ["a"]


def test_nodes_that_come_last_do_not_wait_for_each_other(course):
    both = frozenset({"a", "b"})
    assert course.next({"a": "1"}, 0.0, both) == ["a"]
    assert course.next({"a": "1", "b": "1"}, 0.1, both) == ["b"]


def test_a_node_that_comes_last_waits_until_the_window_has_had_all_others(course):
    wanted = {f"n{number:03}": "1" for number in range(WINDOW + 1)} | {"a": "1"}
    for node in course.next(wanted, 0.0, LAST):
        course.answered(node)
        del wanted[node]
    assert course.next(wanted, 3.0, LAST) == [f"n{WINDOW:03}"]
    assert course.next(wanted, 5.0, LAST) == ["a"]


def test_whoever_must_answer_sooner_than_the_last_would_wait_delays_them_no_longer():
    hasty = Reconcile(patience=0.3)
    assert hasty.next({"a": "1", "b": "1"}, 0.0, LAST) == ["b"]
    assert hasty.next({"a": "1", "b": "1"}, 0.3, LAST) == ["a"]
