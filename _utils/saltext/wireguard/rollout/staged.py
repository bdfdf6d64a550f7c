"""A reconcile in stages: first the canary alone, then batches, and no further stage once too many nodes failed."""

from __future__ import annotations

import fnmatch
import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from ..errors import ConfigError
from ..wording import some
from .reconcile import WINDOW, Reconcile

_NONE = (0, "0")
_NUMBER = re.compile(r"\d+")
_PERCENTAGE = re.compile(r"%(\d+(?:\.\d+)?)|(\d+(?:\.\d+)?)%")


@dataclass(frozen=True)
class Stages:
    """
    The stages that an operator wants.

    ``canary``: minion ids. ``batch``: the number of nodes at once after that, 0 for none, or, if ``percent``, their
    percentage of the nodes to ask. ``stop_after``: stop after so many failed or silent nodes; one of the canary is
    always enough.
    """

    canary: tuple[str, ...] = ()
    batch: float = WINDOW
    percent: bool = False
    stop_after: int = 1

    def size(self, total: int) -> int:
        """The number of nodes in a batch, if ``total`` are to be asked."""
        wanted = self.batch * total / 100 if self.percent else self.batch
        return min(max(math.floor(wanted), 1), WINDOW)


def parse_stages(canary: object, batch: object, stop_after: object, nodes: Collection[str]) -> Stages | None:
    """
    The stages from an operator's arguments; None without any, for all nodes at once.

    ``canary``: a minion id, a glob, or a list of these, each of which must match one of ``nodes``. ``batch``: a number
    or a percentage, as ``salt --batch`` has it; with a canary, 0 for no other node. Raises ConfigError.
    """
    if canary is None and batch is None:
        if stop_after is not None:
            raise ConfigError("stop_after needs canary or batch: without them all nodes are asked at once")
        return None
    number, percent = (0.0, False) if canary is not None and batch in _NONE else _parse_batch(batch)
    return Stages(_parse_canary(canary, nodes), number, percent, _parse_limit(stop_after))


def _parse_canary(canary: object, nodes: Collection[str]) -> tuple[str, ...]:
    if canary is None:
        return ()
    patterns = [str(each) for each in canary] if isinstance(canary, list | tuple) else [str(canary)]
    matching = {pattern: fnmatch.filter(nodes, pattern) for pattern in patterns}
    nobody = [pattern for pattern, found in matching.items() if not found]
    if nobody or not patterns:
        names = ", ".join(map(repr, nobody)) or "an empty list"
        raise ConfigError(f"canary: no registered node matches {names}; see `salt-run wireguard.nodes`")
    return tuple(sorted(set().union(*matching.values())))


def _parse_batch(batch: object) -> tuple[float, bool]:
    if batch is None:
        return WINDOW, False
    text = str(batch).strip()
    percentage = _PERCENTAGE.fullmatch(text)
    number = float(percentage[1] or percentage[2]) if percentage else float(text) if _NUMBER.fullmatch(text) else 0.0
    if number > 0:
        return number, percentage is not None
    raise ConfigError(f"batch: {text!r} is neither a number of nodes from 1 on nor a percentage, such as 10%")


def _parse_limit(stop_after: object) -> int:
    if stop_after is None:
        return 1
    if isinstance(stop_after, int) and not isinstance(stop_after, bool) and stop_after > 0:
        return stop_after
    raise ConfigError(f"stop_after: {stop_after!r} is not a number of nodes from 1 on")


@dataclass
class Staged(Reconcile):
    """
    A reconcile that starts the next of its ``stages`` when no node of the current one is due or waited for.
    ``progress``: a line about the current stage. ``stopped``: why no further stage starts, if so.
    ``is_over``: whether none is to start after the canary.

    A node whose view changes after its stage is asked again, in place of a node of the current stage.
    """

    stages: Stages = field(default_factory=Stages)
    progress: str = ""
    stopped: str | None = None
    is_over: bool = False
    _open: set[str] = field(default_factory=set)  # the nodes of the stages taken so far
    _size: int = 0  # of a batch; 0 before the first stage
    _batch: int = 0  # the number of the present one; 0 before the first

    def _admit(
        self, due: list[str], wanted: Mapping[str, str], busy: set[str], last: frozenset[str], now: float
    ) -> list[str]:
        if not self.stopped and not self.is_over and not self._open.intersection(busy.union(due)):
            self._go_on(due, wanted, last)
        if self.stopped or self.is_over:
            return []
        room = self._size if self._batch else WINDOW
        return [node for node in due if node in self._open][: max(room - len(busy), 0)]

    def _go_on(self, rest: list[str], wanted: Mapping[str, str], last: frozenset[str]) -> None:
        """``rest``: the nodes that no stage has had yet."""
        canaries = set(self.stages.canary).intersection(rest)
        if self._size:
            self._sum_up(rest, wanted, last)
        else:
            self._size = self.stages.size(len(rest))
            self._open = canaries
            self.progress = "" if canaries else self._canary(set())
        self.is_over = not self.stages.batch and not self._open.intersection(rest)
        if rest and not self.stopped and not self.is_over and not self._open.intersection(rest):
            others = [node for node in rest if node not in last]
            self._batch += 1
            self._asks.clear()  # the limit applies to each stage: much may change in a long rollout
            self._open.update((others or rest)[: self._size])

    def _sum_up(self, rest: list[str], wanted: Mapping[str, str], last: frozenset[str]) -> None:
        bad = set(self.asked).intersection(wanted)
        failed = len(bad.intersection(self.failed))
        outcome = f"{failed} failed, {len(bad) - failed} silent"
        place = "; ".join(filter(None, [self._canary(bad), self._numbered(rest, last)]))
        total = len({*self.asked, *wanted})
        self.progress = f"{place}: {len(self.asked) - len(bad)} of {total} nodes have it, {outcome}"
        if rest and (len(bad) >= self.stages.stop_after or bad.intersection(self.stages.canary)):
            self.stopped = f"{outcome}; {len(rest)} not asked"

    def _canary(self, bad: set[str]) -> str:
        if not self.stages.canary:
            return ""
        asked = set(self.stages.canary).intersection(self.asked)
        state = "not ok" if asked.intersection(bad) else "ok" if asked else "in sync already"
        return f"canary {some(self.stages.canary)} {state}"

    def _numbered(self, rest: list[str], last: frozenset[str]) -> str:
        """The number of the batch, of as many as there will be if nothing else changes."""
        left = [[node for node in rest if (node in last) == wanted] for wanted in (False, True)]
        total = self._batch + sum(math.ceil(len(nodes) / self._size) for nodes in left)
        return f"batch {self._batch} of {total}" if self._batch else ""
