"""When to reconcile: once for a burst of events, never while one runs, and every few minutes in any case."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

# How many minions that appeared a reconcile asks for their first state.apply. The others are for the next ones.
MOST_CONTACTS = 100


@dataclass
class Debounce:
    """
    Debounces events. All times are seconds of one monotonic clock.

    Due at the first event after nothing has happened for ``quiet``. Then ``quiet`` after the last event, at the latest
    ``at_most`` after the first, and ``interval`` after the last reconcile; never while one runs.
    """

    quiet: float
    at_most: float
    interval: float
    last_done: float
    _first: float | None = None
    _last: float = 0.0
    _was_quiet: bool = False  # before the first one
    _running: bool = False
    _contact: set[str] = field(default_factory=set)

    def add(self, contact: Iterable[str], now: float) -> None:
        """Note an event; ``contact`` are minions that have just appeared."""
        if self._first is None:
            self._first = now
            self._was_quiet = now >= max(self._last, self.last_done) + self.quiet and not self._running
        self._last = now
        self._contact.update(contact)

    def due(self, now: float) -> bool:
        """Whether to reconcile now."""
        if self._running:
            return False
        if now >= self.last_done + self.interval:
            return True
        if self._first is None:
            return False
        return self._was_quiet or now >= min(self._last + self.quiet, self._first + self.at_most)

    def begin(self, now: float) -> list[str]:
        """Start a reconcile. Events from now on count for the next one. Returns minions that appeared."""
        contact = sorted(self._contact)[:MOST_CONTACTS]
        self._contact.difference_update(contact)
        self._first = now if self._contact else None
        self._was_quiet = False
        self._running = True
        return contact

    def done(self, now: float) -> None:
        """The reconcile ended."""
        self.last_done = now
        self._running = False
