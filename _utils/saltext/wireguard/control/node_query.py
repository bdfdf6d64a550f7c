"""Asking nodes about each of their networks or interfaces."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, TypeVar

from ..rollout.reconcile import Reconcile
from .answers import failure
from .bus import Bus
from .progress import Progress

T = TypeVar("T")


class NodeQuery:
    """Asks nodes about each of their networks or interfaces."""

    def __init__(self, bus: Bus, timeout: float, progress: Progress) -> None:
        self._bus = bus
        self._timeout = timeout
        self._progress = progress

    def ask(
        self,
        function: str,
        nodes: Collection[str],
        arguments: Sequence[Any],
        convert: Callable[[object], T],
        hear: Callable[[str, object], object] | None = None,
    ) -> dict[str, dict[str, T] | str]:
        """
        Node -> what it answers, by network or interface, or the text of its error; silent ones are missing.

        :param hear: gets the name and the whole return of each node
        :param convert: makes the answer about one of these of what came, of which no shape is certain; does not raise
        """
        course = Reconcile(self._timeout)
        jobs: set[str] = set()  # the tags of their answers, but for the node
        answers: dict[str, dict[str, T] | str] = {}
        while True:
            left = {node: function for node in nodes if node not in answers}
            due = course.next(left, time.monotonic())
            if due:
                jobs.add(f"salt/job/{self._bus.publish(due, function, arguments)}/ret")
            waiting = course.waiting(time.monotonic())
            if not waiting:
                return answers
            self._progress.wait_for(waiting)
            for tag, data in self._bus.events(0.2):
                node = _author(data)
                if node in left and tag in {f"{job}/{node}" for job in jobs}:
                    if hear:
                        hear(node, data.get("return"))
                    answers[node] = _answers(function, data, convert)
                    if answers.keys() >= set(waiting):
                        break


def _author(data: object) -> str:
    node = data.get("id") if isinstance(data, Mapping) else None
    return node if isinstance(node, str) else ""


def _answers(function: str, data: Mapping[str, Any], convert: Callable[[object], T]) -> dict[str, T] | str:
    answer = data.get("return")
    parts = answer.get("networks", answer.get("interfaces")) if isinstance(answer, dict) else None
    if not isinstance(parts, dict):
        return failure(function, {**data, "success": False}) or "its answer is malformed"
    return {str(name): convert(each) for name, each in parts.items()}
