"""The engine, which keeps every node in sync: what it does with each event, and when it reconciles."""

from __future__ import annotations

import contextlib
import logging
import math
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from salt.exceptions import SaltException

from ..errors import WireguardError
from ..master.intake import hear
from ..master.master import Moment
from ..master.others import differences, note_inputs
from ..master.status import calls_for_reconcile, leaves_drift
from ..meshfile.load import stamp
from ..model.names import MAX_HOST_NAME
from ..model.statements import REGISTER_TAG, REPORT_TAG
from ..rollout.debounce import Debounce
from ..rollout.hints import Hints
from ..wording import quoted
from .failover import Failover
from .operator import Operator
from .reconcile import reconcile
from .rotate import rotate_due

log = logging.getLogger(__name__)

# How long an error is in the log once only.
SAME_ERROR_SECONDS = 60.0


class Engine:
    """
    Takes in events, and reconciles once for a burst of them, in a thread of its own.

    ``quiet``, ``at_most`` and ``interval`` are those of ``Debounce``.
    """

    def __init__(self, operator: Operator, quiet: float, at_most: float, interval: float) -> None:
        self._operator = operator
        self._log = ErrorLog()
        self._held: contextlib.ExitStack | None = None  # keeps the registry open while statements come
        self._debounce = Debounce(quiet, at_most, interval, time.monotonic())
        self._hints = Hints()
        self._suspects: set[str] = set()  # those whom the next reconcile asks because of hints
        self._debounce.add((), time.monotonic())  # whatever happened while the master was away
        self._failover = Failover(operator)
        self._looking: threading.Thread | None = None
        self._watches = [
            Watch(self._mesh_stamp, 0.5),
            Watch(self._membership_ends, 5.0),
            Watch(self._other_masters, 2.0),
        ]

    def step(self, event: Mapping[str, Any] | None) -> None:
        """Handle an event, or None for a while without one; reconcile if that is due."""
        with self._log.errors():
            if event is None and self._held:
                self._held.close()
                self._held = None
            contact = self._contact_after(event) if event else None
            changed = [watch for watch in self._watches if watch.changed()]
            if contact is not None or changed:
                self._debounce.add(contact or (), time.monotonic())
        if time.monotonic() >= self._failover.next and not (self._looking and self._looking.is_alive()):
            self._looking = threading.Thread(target=self._look, name="wireguard-failover", daemon=True)
            self._looking.start()
        now = time.monotonic()
        if self._debounce.due(now):
            # Not again before ``done``, so there is never more than one of these.
            suspects, self._suspects = self._suspects, set()
            args = [self._debounce.begin(now), suspects]
            work = threading.Thread(target=self._work, args=args, name="wireguard", daemon=True)
            work.start()

    def _contact_after(self, event: Mapping[str, Any]) -> Collection[str] | None:
        """The minions that an event is about; None for an event that does not concern us."""
        tag, data = event["tag"], event["data"]
        if tag == "salt/key":
            return ()
        if tag.startswith("salt/minion/") and tag.endswith("/start"):
            node = _minion_of(data)
            return (node,) if node else ()
        if tag.startswith("salt/beacon/"):
            return self._contact_after_beacon(tag, data)
        if self._held is None and tag in (REGISTER_TAG, REPORT_TAG):
            self._held = contextlib.ExitStack()
            self._held.enter_context(self._operator.master.registry.held())
        news = hear(self._operator.master, tag, data)
        if news and tag == REPORT_TAG:
            self._operator.announce()  # it may tell of a rollback, which should not wait for a reconcile
        return () if news and calls_for_reconcile(self._operator.master, tag, data) else None

    def _contact_after_beacon(self, tag: str, data: object) -> Collection[str] | None:
        node = _minion_of(data)
        if node is None or not self._hints.heeds(tag, node, time.monotonic()):
            return None
        if tag.endswith("/drift") and leaves_drift(self._operator.master.moment(), node):
            return None
        log.info("wireguard: %s is asked to sync: %s", quoted(node), tag.rpartition("/")[2])
        self._suspects.add(node)
        return ()

    def _work(self, contact: Collection[str], suspects: Collection[str]) -> None:
        try:
            with self._log.errors():
                reconcile(self._operator, contact=contact, suspects=suspects)
                rotate_due(self._operator, rotations_at_once(self._operator.master.moment(), self._debounce.interval))
        finally:
            self._debounce.done(time.monotonic())

    def _look(self) -> None:
        with self._log.errors():
            self._failover.round()

    def _mesh_stamp(self) -> object:
        return stamp(self._operator.master.mesh_path)

    def _membership_ends(self) -> object:
        """The next time at which a node expires: it changes when that has come."""
        return self._operator.master.moment().fleet().valid_until

    def _other_masters(self) -> object:
        """What they changed in the registry, and whether they differ. They learn what this one has."""
        master = self._operator.master
        if not master.registry.leases.is_shared:
            return None
        moment = master.moment()
        note_inputs(moment)
        return moment.snapshot.generation, differences(moment)


def _minion_of(data: object) -> str | None:
    """The minion that an event claims to be of."""
    node = data.get("id") if isinstance(data, Mapping) else None
    return node if isinstance(node, str) and 0 < len(node) <= MAX_HOST_NAME else None


class Watch:
    """Notices that what a function returns changed. An error is a value like any other."""

    def __init__(self, look: Callable[[], object], every: float) -> None:
        self._look = look
        self._every = every
        self._next = 0.0
        self._value = self._current()

    def changed(self) -> bool:
        """Whether it is another value than last time; looks at most once ``every`` seconds."""
        if time.monotonic() < self._next:
            return False
        before, self._value = self._value, self._current()
        return before != self._value

    def _current(self) -> object:
        self._next = time.monotonic() + self._every
        try:
            return self._look()
        except WireguardError as exc:
            return str(exc)


class ErrorLog:
    """Writes each error once in a while, as events of anybody may bring the same one about many times a second."""

    def __init__(self) -> None:
        self._written: dict[str, float] = {}  # type and text -> when

    @contextlib.contextmanager
    def errors(self) -> Iterator[None]:
        """An invalid mesh file must not end the engine: it continues to listen, and the nodes keep what they have."""
        try:
            yield
        except (WireguardError, SaltException) as exc:
            if self._is_due(str(exc)):
                log.error("wireguard: %s", exc)
        except Exception as exc:  # a thread that ends by one leaves a traceback on the console, and nothing in the log
            if self._is_due(type(exc).__name__):
                log.exception("wireguard: please report this")

    def _is_due(self, text: str) -> bool:
        now = time.monotonic()
        self._written = {each: when for each, when in self._written.items() if now < when + SAME_ERROR_SECONDS}
        is_due = text not in self._written
        self._written.setdefault(text, now)
        return is_due


def rotations_at_once(moment: Moment, interval: float) -> int:
    """Enough to keep up with the shortest ``rotate_every`` when one of these comes every ``interval`` seconds."""
    networks = moment.fleet().networks
    rates = [
        len(networks[network.name].members) / network.rotate_every
        for network in moment.mesh.networks
        if network.rotate_every
    ]
    return math.ceil(sum(rates) * interval * 2)
