import pytest

from saltext.wireguard.rollout.debounce import Debounce


@pytest.fixture
def burst():
    return Debounce(quiet=1.0, at_most=5.0, interval=300.0, last_done=0.0)


def test_without_events_nothing_is_due_before_the_interval_is_over(burst):
    assert [burst.due(now) for now in (0.0, 299.9, 300.0)] == [False, False, True]


def test_after_an_event_it_is_due_once_it_was_quiet(burst):
    burst.add([], 10.0)
    assert [burst.due(now) for now in (10.0, 10.9, 11.0)] == [False, False, True]


def test_another_event_starts_the_quiet_time_over(burst):
    burst.add([], 10.0)
    burst.add([], 10.9)
    assert [burst.due(now) for now in (11.0, 11.8, 11.9)] == [False, False, True]


def test_an_endless_stream_of_events_does_not_put_it_off_for_ever(burst):
    times = [10.0 + 0.5 * step for step in range(11)]
    due = []
    for now in times:
        burst.add([], now)
        due.append(burst.due(now))
    assert due == [False] * 10 + [True]


def test_it_is_not_due_while_one_runs(burst):
    burst.begin()
    burst.add([], 10.0)
    assert not burst.due(1000.0)


def test_what_came_while_one_ran_is_due_when_it_is_done(burst):
    burst.begin()
    burst.add([], 10.0)
    burst.done(20.0)
    assert burst.due(20.0)


def test_what_came_before_the_start_is_served_by_it(burst):
    burst.add([], 10.0)
    burst.begin()
    burst.done(12.0)
    assert not burst.due(100.0)


def test_the_interval_counts_from_the_end_of_the_last_one(burst):
    burst.begin()
    burst.done(100.0)
    assert [burst.due(now) for now in (399.9, 400.0)] == [False, True]


def test_minions_that_appeared_are_handed_out_once_each_and_once(burst):
    burst.add(["b"], 10.0)
    burst.add(["a", "b"], 10.1)
    burst.add([], 10.2)
    assert burst.begin() == ["a", "b"]
    burst.done(12.0)
    assert burst.begin() == []


def test_minions_that_appear_while_one_runs_are_for_the_next(burst):
    burst.begin()
    burst.add(["c"], 10.0)
    burst.done(12.0)
    assert burst.begin() == ["c"]
