import pytest

from saltext.wireguard.rollout.debounce import Debounce


@pytest.fixture
def burst():
    return Debounce(quiet=1.0, at_most=5.0, interval=300.0, last_done=0.0)


def test_without_events_nothing_is_due_before_the_interval_is_over(burst):
    assert [burst.due(now) for now in (0.0, 299.9, 300.0)] == [False, False, True]


def test_the_first_event_after_a_quiet_time_is_due_at_once(burst):
    burst.add([], 10.0)
    assert burst.due(10.0)


def started(burst, now=10.0):
    """A first event, and a reconcile that served it in no time."""
    burst.add([], now)
    burst.begin(now)
    burst.done(now)
    return burst


def test_what_follows_is_due_once_it_was_quiet(burst):
    started(burst).add([], 10.5)
    assert [burst.due(now) for now in (10.5, 11.4, 11.5)] == [False, False, True]


def test_another_event_starts_the_quiet_time_over(burst):
    started(burst).add([], 10.5)
    burst.add([], 11.4)
    assert [burst.due(now) for now in (11.5, 12.3, 12.4)] == [False, False, True]


def test_after_a_quiet_time_the_next_event_is_due_at_once_again(burst):
    started(burst).add([], 11.0)
    assert burst.due(11.0)


def test_events_right_after_a_long_reconcile_are_a_burst(burst):
    burst.add([], 10.0)
    burst.begin(10.0)
    burst.done(70.0)
    burst.add([], 70.5)
    assert [burst.due(now) for now in (70.5, 71.5)] == [False, True]


def test_the_start_of_the_master_is_no_quiet_time():
    """All minions are about to connect again: who is asked before that does not answer."""
    burst = Debounce(quiet=1.0, at_most=5.0, interval=300.0, last_done=50.0)
    burst.add([], 50.0)
    assert [burst.due(now) for now in (50.0, 50.9, 51.0)] == [False, False, True]


def test_an_endless_stream_of_events_does_not_put_it_off_for_ever(burst):
    started(burst)
    times = [10.5 + 0.5 * step for step in range(11)]
    due = []
    for now in times:
        burst.add([], now)
        due.append(burst.due(now))
    assert due == [False] * 10 + [True]


def test_hundreds_of_events_within_seconds_are_a_few_reconciles(burst):
    begun = 0
    for step in range(1000):
        now = 10.0 + step / 100
        burst.add([], now)
        if burst.due(now):
            burst.begin(now)
            burst.done(now)
            begun += 1
    assert begun == 2


def test_a_storm_of_minions_is_greeted_in_parts(burst):
    names = [f"n{number:03}" for number in range(250)]
    burst.add(names, 10.0)
    parts = []
    for now in (10.0, 20.0, 30.0):
        assert burst.due(now)
        parts.append(burst.begin(now))
        burst.done(now + 1.0)
    assert [len(part) for part in parts] == [100, 100, 50]
    assert [name for part in parts for name in part] == names
    assert not burst.due(100.0)


def test_it_is_not_due_while_one_runs(burst):
    burst.begin(10.0)
    burst.add([], 10.0)
    assert not burst.due(1000.0)


def test_what_came_while_one_ran_is_due_when_it_is_done(burst):
    burst.begin(10.0)
    burst.add([], 10.0)
    burst.done(20.0)
    assert burst.due(20.0)


def test_what_came_before_the_start_is_served_by_it(burst):
    burst.add([], 10.0)
    burst.begin(10.0)
    burst.done(12.0)
    assert not burst.due(100.0)


def test_the_interval_counts_from_the_end_of_the_last_one(burst):
    burst.begin(10.0)
    burst.done(100.0)
    assert [burst.due(now) for now in (399.9, 400.0)] == [False, True]


def test_minions_that_appeared_are_handed_out_once_each_and_once(burst):
    burst.add(["b"], 10.0)
    burst.add(["a", "b"], 10.1)
    burst.add([], 10.2)
    assert burst.begin(10.0) == ["a", "b"]
    burst.done(12.0)
    assert burst.begin(10.0) == []


def test_minions_that_appear_while_one_runs_are_for_the_next(burst):
    burst.begin(10.0)
    burst.add(["c"], 10.0)
    burst.done(12.0)
    assert burst.begin(10.0) == ["c"]
