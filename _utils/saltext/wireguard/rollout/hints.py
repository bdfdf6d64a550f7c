"""
Hints that a node's device is not as it should be, though it reported that it was: whom to ask to sync because of them.

Anybody can send one, in the name of any node. So each node is asked once in a while because of hints, and a few nodes
at most. Those beyond hint again, as long as something is wrong with them.
"""

from __future__ import annotations

import re

# What a sync mends, of what the beacon tells. Salt has the beacon's name in the tag.
_TAG = re.compile(r"salt/beacon/[^/]+/wireguard/(?:drift|interface_gone)")

# Each node once in so many seconds, and so many nodes.
SECONDS = 600.0
MOST_NODES = 20


class Hints:
    """Those of a while."""

    def __init__(self) -> None:
        self._heard: dict[str, float] = {}  # node -> when it was heeded

    def heeds(self, tag: str, node: str, now: float) -> bool:
        """
        Whether to ask the node because of the event with this tag.

        :param now: of a clock that is never set
        """
        if not _TAG.fullmatch(tag):
            return False
        self._heard = {each: when for each, when in self._heard.items() if now < when + SECONDS}
        if node in self._heard or len(self._heard) >= MOST_NODES:
            return False
        self._heard[node] = now
        return True
