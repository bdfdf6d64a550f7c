"""Forged events made waiting minions run state.apply again and again."""

import pytest

from saltext.wireguard.rollout.greetings import LONGEST_SECONDS, Greetings

NOON = 1_800_000_000.0


@pytest.fixture
def greetings(tmp_path):
    return Greetings(str(tmp_path))


def times(greetings, seconds, every=1.0):
    """When a node is greeted that starts all the time, in seconds from noon."""
    moments = (NOON + each * every for each in range(int(seconds / every)))
    return [moment - NOON for moment in moments if greetings.due(["a"], moment)]


def test_a_node_that_starts_for_the_first_time_is_greeted_at_once(greetings):
    assert greetings.due(["b", "a"], NOON) == ["a", "b"]


def test_each_further_greeting_comes_after_twice_the_time(greetings):
    assert times(greetings, 1000) == [0, 60, 180, 420, 900]


def test_a_day_of_starts_costs_a_greeting_an_hour(greetings):
    assert len(times(greetings, 86_400, every=60.0)) <= 30


def test_one_node_does_not_keep_another_waiting(greetings):
    greetings.due(["a"], NOON)
    assert greetings.due(["a", "b"], NOON + 1) == ["b"]


def test_a_node_that_was_quiet_for_hours_is_greeted_as_if_it_were_the_first_time(greetings):
    times(greetings, 1000)
    later = NOON + 1000 + 2 * LONGEST_SECONDS
    assert greetings.due(["a"], later) == ["a"]
    assert greetings.due(["a"], later + 61) == ["a"]


def test_another_process_knows_of_it(greetings, tmp_path):
    greetings.due(["a"], NOON)
    assert Greetings(str(tmp_path)).due(["a"], NOON + 1) == []


@pytest.mark.parametrize("text", ["", "{", "[]", '{"a": 1}', '{"a": ["x", 1]}', '{"a": [1, 2, 3]}', "null"])
def test_a_damaged_file_greets_everybody(greetings, tmp_path, text):
    (tmp_path / "greeted.json").write_text(text)
    assert greetings.due(["a"], NOON) == ["a"]


def test_a_clock_that_was_ahead_keeps_nobody_waiting(greetings):
    greetings.due(["a"], NOON + 10**9)
    assert greetings.due(["a"], NOON) == ["a"]
