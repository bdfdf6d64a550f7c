"""
How often the start event of a member that never registered leads to its first ``state.apply``.

Any minion can fire that event in the name of another. So the first event counts at once, and each further one only
after twice the time. The times are in a file, because the reactor runs each reaction in a process of its own.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator

from ..system import files

_FILE = "greeted.json"

# Seconds until the second event counts, and the most until any further one does.
FIRST_SECONDS = 60.0
LONGEST_SECONDS = 3600.0


class Greetings:
    """Those of one master. Callers hold the reconcile lock. ``directory``: that of the master's state."""

    def __init__(self, directory: str) -> None:
        self._path = os.path.join(directory, _FILE)

    def due(self, nodes: Collection[str], now: float) -> list[str]:
        """Return the nodes to ask now, in order, and note them as asked. ``now`` is in Unix seconds."""
        known = dict(self._known(now))
        found = sorted(node for node in nodes if node not in known or now >= _until(*known[node]))
        if found:
            asked = {node: (now, known[node][1] + 1 if node in known else 1) for node in found}
            files.replace(self._path, json.dumps({**known, **asked}))
        return found

    def _known(self, now: float) -> Iterator[tuple[str, tuple[float, int]]]:
        """(node, (time of the last ask, number of asks)), without damaged entries and times in the future."""
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
