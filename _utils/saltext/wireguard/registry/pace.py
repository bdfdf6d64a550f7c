"""
Of statements whose signatures are right, those that come too fast: told in memory, as to take one in is a write.

Only new ones count. What somebody else recorded of a node, and sends again, must not keep the node from speaking.
"""

from __future__ import annotations

import threading
import time

from ..errors import RefusedError
from ..model.statements import Registration, Report

# Of one node, a process looks at so many at once, and so many a second from then on.
AT_ONCE = 200
A_SECOND = 5.0

_MOST_REMEMBERED = 20_000

_paces: dict[str, Pace] = {}


class Pace:
    """That of all nodes, as one process sees it."""

    def __init__(self) -> None:
        self._latest: dict[tuple[str, ...], int] = {}  # serials
        self._left: dict[str, tuple[float, float]] = {}  # node -> how many, and when that was
        self._lock = threading.Lock()

    def allows(self, node: str, kind: tuple[str, ...], serial: int, now: float) -> bool:
        """
        Whether to look at a statement of this node.

        :param kind: of what serials grow by themselves
        :param now: of a clock that is never set
        """
        author = (node, *kind)
        with self._lock:
            if serial <= self._latest.get(author, 0):
                return True
            left, at = self._left.get(node, (float(AT_ONCE), now))
            left = min(left + (now - at) * A_SECOND, AT_ONCE)
            if left < 1:
                return False
            if len(self._latest) >= _MOST_REMEMBERED:
                self._latest.clear()
            self._latest[author] = serial
            self._left[node] = (left - 1, now)
            return True


def refuse_haste(registry: str, statement: Registration | Report, salt_key: str) -> None:
    """
    Raise RefusedError where a node says too much to look at. ``registry``: the path of the one that would be asked.

    The signature was verified, with the key whose fingerprint is ``salt_key``.
    """
    pace = _paces.setdefault(registry, Pace())
    kind = (statement.KIND, statement.network, salt_key)
    if not pace.allows(statement.node, kind, statement.serial, time.monotonic()):
        raise RefusedError(f"it is one of more than {A_SECOND:g} statements a second", "haste")
