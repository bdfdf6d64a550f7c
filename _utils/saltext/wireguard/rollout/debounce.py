"""When to reconcile: once for a burst of events, never while one runs, and every few minutes in any case."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass
class Debounce:
    """
    Debounces events. All times are seconds of one monotonic clock.

    Due ``quiet`` after the last event, at the latest ``at_most`` after the first, and ``interval`` after the last
    reconcile; never while one runs.
    """

    quiet: float
    at_most: float
    interval: float
    last_done: float
    _first: float | None = None
    _last: float = 0.0
    _running: bool = False
    _contact: set[str] = field(default_factory=set)

    def add(self, contact: Iterable[str], now: float) -> None:
        """Note an event; ``contact`` are minions that have just appeared."""
        self._first = now if self._first is None else self._first
        self._last = now
        self._contact.update(contact)

    def due(self, now: float) -> bool:
        """Whether to reconcile now."""
        if self._running:
            return False
        if now >= self.last_done + self.interval:
            return True
        return self._first is not None and now >= min(self._last + self.quiet, self._first + self.at_most)

    def begin(self) -> list[str]:
        """Start a reconcile. Events from now on count for the next one. Returns the minions that appeared."""
        contact, self._contact = sorted(self._contact), set()
        self._first = None
        self._running = True
        return contact

    def done(self, now: float) -> None:
        """The reconcile ended."""
        self.last_done = now
        self._running = False
