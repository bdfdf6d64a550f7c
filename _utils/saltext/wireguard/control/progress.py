"""What the person who waits is told meanwhile."""

from __future__ import annotations

import logging
import time

from ..wording import some

log = logging.getLogger(__name__)

EVERY_SECONDS = 5.0


class Progress:
    """``say`` takes one line of text."""

    def __init__(self, say):
        self._say = say
        self._told = 0.0

    def wait_for(self, nodes):
        """One line every few seconds."""
        if time.monotonic() - self._told > EVERY_SECONDS:
            if self._told:
                self.tell(f"waiting for {len(nodes)} nodes: {some(nodes)}")
            self._told = time.monotonic()

    def tell(self, text):
        """Salt's progress events fail now and then in the threads of the reactor, which is no reason to stop."""
        try:
            self._say(text)
        except Exception as exc:
            log.debug("wireguard: progress could not be shown: %s", exc)
