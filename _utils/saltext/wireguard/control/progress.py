"""Progress, for the person who waits."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection

from ..wording import some

log = logging.getLogger(__name__)

EVERY_SECONDS = 5.0

# Takes one line of text.
Say = Callable[[str], object]


class Progress:
    """Lines for the person who waits, not too many of them."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._last = 0.0

    def wait_for(self, nodes: Collection[str]) -> None:
        """One line every few seconds."""
        if time.monotonic() - self._last > EVERY_SECONDS:
            if self._last:
                self.tell(f"waiting for {len(nodes)} nodes: {some(nodes)}")
            self._last = time.monotonic()

    def tell(self, text: str) -> None:
        """Salt's progress events fail now and then in the threads of the reactor, which is no reason to stop."""
        try:
            self._say(text)
        except Exception as exc:
            log.debug("wireguard: progress could not be shown: %s", exc)
