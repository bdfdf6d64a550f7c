"""When the nodes leave one that fails them: never on one node's word, never for one round, and not back and forth."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saltext.wireguard.observe.failover import Decision, Limits, Trend, Verdict, Vote, decide, verdict

LIMITS = Limits(after=10.0, back=600.0)
ROUND_SECONDS = 8.0


def votes(lost=0, well=0, own_outage=0):
    kinds = [(False, True)] * lost + [(True, True)] * well + [(False, False)] * own_outage
    return [Vote(f"node{number}", *kind) for number, kind in enumerate(kinds)]


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (votes(lost=2), Verdict.LOST),
        (votes(lost=3, well=2), Verdict.LOST),
        (votes(lost=2, own_outage=1), Verdict.LOST),
        (votes(lost=1), Verdict.UNCLEAR),
        (votes(lost=2, well=3), Verdict.WELL),
        (votes(lost=2, well=2), Verdict.UNCLEAR),
        (votes(lost=1, well=1), Verdict.UNCLEAR),
        (votes(own_outage=5), Verdict.UNCLEAR),
        (votes(), Verdict.UNCLEAR),
    ],
)
def test_more_than_half_and_more_than_one_must_have_lost_it_and_a_tie_says_nothing(found, expected):
    """A tie counted as well, so one member that lied kept nodes on a dead hub while packets of others were lost."""
    assert verdict(found, 0) is expected


def test_those_who_are_silent_now_and_answered_lately_count_as_if_they_had_not_lost_it():
    """A master that is cut off from most nodes must not believe the two that it still hears."""
    assert verdict(votes(lost=2), expected=4) is Verdict.UNCLEAR
    assert verdict(votes(lost=3), expected=5) is Verdict.LOST


@given(st.integers(0, 20), st.integers(0, 20), st.booleans(), st.booleans())
def test_what_one_witness_says_never_makes_the_difference_to_a_node_that_is_well(well, own_outage, reaches, other):
    """Also if it lies, and signs that."""
    found = [*votes(well=well, own_outage=own_outage), Vote("liar", reaches, other)]
    assert verdict(found, 0) is not Verdict.LOST


def run(rounds, has_left=False, limits=LIMITS, failures=0):
    """The time of the first decision in rounds of verdicts; None if there is none."""
    trend = Trend()
    for number, found in enumerate(rounds):
        now = number * ROUND_SECONDS
        trend = trend.then(found, now)
        if decide(trend, now, limits, has_left, failures):
            return now
    return None


def test_a_node_is_left_after_three_rounds_and_the_time_of_the_mesh_file():
    assert run([Verdict.LOST] * 9) == 16.0
    assert run([Verdict.LOST] * 9, limits=Limits(40.0, None)) == 40.0


def test_one_good_round_in_between_begins_anew():
    assert run([Verdict.LOST, Verdict.LOST, Verdict.WELL, Verdict.LOST, Verdict.LOST]) is None


def test_rounds_without_a_clear_answer_neither_count_nor_begin_anew_for_a_while():
    unclear = [Verdict.UNCLEAR]
    assert run([Verdict.LOST, *unclear, Verdict.LOST, *unclear, Verdict.LOST]) == 32.0
    assert run([Verdict.LOST, Verdict.LOST, *unclear * 8, Verdict.LOST]) is None


def test_the_nodes_come_back_when_it_has_been_well_for_a_while_and_later_each_time():
    well = [Verdict.WELL] * 1000
    assert run(well, has_left=True) == 600.0
    assert run(well, has_left=True, failures=3) == 2400.0
    assert run(well, has_left=True, limits=Limits(10.0, None)) is None
    assert run([Verdict.LOST] * 1000, has_left=True) is None


def witness(chance, loss, pings=3, targets=2, hub_is_dead=False):
    """Of a mesh where each packet is lost with this probability, on each of the two ways through the hub."""
    way = (1 - loss) ** 4
    reaches = not hub_is_dead and any(chance.random() < way for _ in range(pings * targets))
    return reaches, any(chance.random() < (1 - loss) ** 2 for _ in range(pings))


@given(st.integers(0, 2**32), st.integers(1, 5), st.sampled_from([0.0, 0.05]), st.booleans())
def test_in_an_hour_of_five_percent_loss_and_one_nodes_own_outage_nothing_is_left(seed, count, loss, has_outage):
    chance = random.Random(seed)
    rounds = []
    for _ in range(450):
        found = [Vote(f"node{number}", *witness(chance, loss)) for number in range(count)]
        if has_outage:
            found[0] = Vote("node0", False, chance.random() < 0.5)
        rounds.append(verdict(found, count))
    assert run(rounds) is None


@given(st.integers(0, 2**32), st.integers(2, 5))
def test_a_dead_hub_is_left_whatever_one_of_three_witnesses_says(seed, count):
    chance = random.Random(seed)
    rounds = []
    for _ in range(8):
        found = [Vote(f"node{number}", *witness(chance, 0.05, hub_is_dead=True)) for number in range(count)]
        rounds.append(verdict([Vote("liar", True, True), *found[1:]] if count > 2 else found, count))
    assert Verdict.WELL not in rounds
    assert run(rounds) is not None


def test_a_decision_says_which_way():
    assert decide(Trend(Verdict.LOST, 0.0, 3, 20.0), 20.0, LIMITS, has_left=False) is Decision.LEAVE
    assert decide(Trend(Verdict.WELL, 0.0, 3, 600.0), 600.0, LIMITS, has_left=True) is Decision.RETURN
