"""What came of an apply, as data and as a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..model.answers import total
from ..model.changes import Changes, Subject, as_salt
from ..model.view import View
from ..wording import some


@dataclass(frozen=True)
class Outcome:
    """
    What was changed or, if ``pending``, would be; ``comment`` says it in a sentence.

    ``disturbs``: subject of a pending change to the number of live sessions that it would cut off. ``obstacles``: what
    this machine cannot have of the view, and why, a few words each.
    """

    changes: Changes
    comment: str
    pending: bool = False
    disturbs: Mapping[Subject, int] = field(default_factory=dict)
    obstacles: tuple[str, ...] = ()

    def to_salt(self) -> dict[str, object]:
        """As Salt's functions and states return it."""
        result = None if self.pending else True
        return {"result": result, "changes": as_salt(self.changes), "comment": self.comment}


def outcome_of(
    view: View, changes: Changes, test: bool, disturbs: Mapping[Subject, int], obstacles: tuple[str, ...], forced: str
) -> Outcome:
    """Of changes that were made, or that a test run would make."""
    left_out = f"; left out: {some(obstacles)}" if obstacles else ""
    if not changes:
        return Outcome((), f"{view.interface} is as it should be{left_out}", obstacles=obstacles)
    said = f"{'would be' if test else 'was'} changed: {summary(changes)}{sessions_cut_off(disturbs)}"
    return Outcome(changes, f"{view.interface} {said}{left_out}{forced}", test, disturbs, obstacles)


def sessions_cut_off(disturbs: Mapping[Subject, int]) -> str:
    """The end of a comment: how many live sessions end."""
    return f"; live sessions cut off: {total(disturbs)}" if disturbs else ""


def summary(changes: Changes) -> str:
    """What the changes are about."""
    subjects = [str(change.subject) for change in changes]
    return some(each if len(each) < 60 else each[:57] + "..." for each in subjects)
