"""
When the nodes leave a hub, or a node with a network behind it, that fails them, and when they come back.

Witnesses are some of those that use it. Each says whether packets come back through it, and whether packets come back
from the node that would take over. Nothing is decided on one node's word: whoever lies, or has a bad line of its own,
is one vote. Who does not reach the other one either has no vote: the fault may be its own, and a move would not help.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum

# Of votes that it is lost, and of rounds with such votes.
LEAST_VOTES = 2
LEAST_ROUNDS = 3

# After so long without a clear answer, what was found before does not count.
FORGOTTEN_SECONDS = 60.0

# Each time that it fails again within a day, the nodes stay away twice as long; at most so much longer.
MOST_DOUBLINGS = 7


@dataclass(frozen=True)
class Vote:
    """What a witness says: whether packets come back through the node, and from the one that would take over."""

    node: str
    reaches: bool
    reaches_other: bool


class Verdict(Enum):
    """What a round of questions finds."""

    LOST = "lost"
    WELL = "well"
    UNCLEAR = "unclear"


class Decision(Enum):
    """What to do."""

    LEAVE = "leave"
    RETURN = "return"


def verdict(votes: Collection[Vote], expected: int) -> Verdict:
    """
    What more than half of those with a vote say; a tie says nothing. ``expected``: the number of those asked that have
    answered lately. More than half of these, too, must have lost it.
    """
    counted = [vote for vote in votes if vote.reaches_other]
    lost = sum(1 for vote in counted if not vote.reaches)
    if lost >= LEAST_VOTES and 2 * lost > max(expected, len(counted)):
        return Verdict.LOST
    if len(counted) > 2 * lost:
        return Verdict.WELL
    return Verdict.UNCLEAR


@dataclass(frozen=True)
class Trend:
    """The clear verdict of the last rounds: ``since`` when, in how many ``rounds``, and when ``last``, in seconds."""

    verdict: Verdict = Verdict.UNCLEAR
    since: float = 0.0
    rounds: int = 0
    last: float = 0.0

    def then(self, found: Verdict, now: float) -> Trend:
        """After another round, which began at ``now``."""
        if found is Verdict.UNCLEAR:
            return self if now < self.last + FORGOTTEN_SECONDS else Trend()
        if found is self.verdict and now < self.last + FORGOTTEN_SECONDS:
            return Trend(found, self.since, self.rounds + 1, now)
        return Trend(found, now, 1, now)


@dataclass(frozen=True)
class Limits:
    """
    ``after``: seconds for which a node must be lost before the others leave it. ``back``: seconds for which it must be
    well before they come back, None for never.
    """

    after: float
    back: float | None


def decide(trend: Trend, now: float, limits: Limits, has_left: bool, failures: int = 0) -> Decision | None:
    """
    What to do now, if anything.

    :param has_left: whether the others have left the node
    :param failures: how often they have within a day
    """
    lasted = now - trend.since
    if not has_left:
        is_lost = trend.verdict is Verdict.LOST and trend.rounds >= LEAST_ROUNDS and lasted >= limits.after
        return Decision.LEAVE if is_lost else None
    if limits.back is None or trend.verdict is not Verdict.WELL:
        return None
    return Decision.RETURN if lasted >= limits.back * 2 ** min(max(failures - 1, 0), MOST_DOUBLINGS) else None
