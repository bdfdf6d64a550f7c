"""
How often a member that never registered is asked for its first ``state.apply``, after an event said that it started.

Any minion can fire that event in the name of another. So the first one is answered at once, and each further one only
when twice as much time has passed as before the last. It is a file, as each reaction of the reactor is a process.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator

from ..system import files

_FILE = "greeted.json"

# How long the first greeting is good for, and the longest that any is; seconds.
FIRST_SECONDS = 60.0
LONGEST_SECONDS = 3600.0


class Greetings:
    """Of one master; whoever uses it has the lock of the reconcile. ``directory`` is the one of its state."""

    def __init__(self, directory: str) -> None:
        self._path = os.path.join(directory, _FILE)

    def due(self, nodes: Collection[str], now: float) -> list[str]:
        """Those of the nodes to ask now, in order; they count as asked from then on. ``now`` is in Unix seconds."""
        known = dict(self._known(now))
        found = sorted(node for node in nodes if node not in known or now >= _until(*known[node]))
        if found:
            asked = {node: (now, known[node][1] + 1 if node in known else 1) for node in found}
            files.replace(self._path, json.dumps({**known, **asked}))
        return found

    def _known(self, now: float) -> Iterator[tuple[str, tuple[float, int]]]:
        """(node, (when it was asked last, how often)); nothing of a file that is damaged, or of a time to come."""
        try:
            stored = json.loads(files.read(self._path) or "{}")
            entries = [(node, (float(when), int(count))) for node, (when, count) in stored.items()]
        except (ValueError, TypeError, AttributeError):
            return
        for node, (when, count) in entries:
            if when <= now < when + 2 * LONGEST_SECONDS:
                yield node, (when, count)


def _until(when: float, count: int) -> float:
    return when + min(FIRST_SECONDS * 2.0 ** min(count - 1, 20), LONGEST_SECONDS)
