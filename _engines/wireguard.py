"""
Keeps every node in step with the mesh file, unasked: one reconcile for a burst of events, and one every few minutes.

Master configuration::

    engines:
      - wireguard: {}

Takes in registrations and reports, and reconciles when a node registered, a minion started, a minion key was accepted
or deleted, or the mesh file changed. Cheaper than the reactor (a few milliseconds an event), and made for large fleets.
Use one of the two.
"""

import contextlib
import contextvars
import logging
import math
import threading
import time

import salt.utils.event
from salt.exceptions import SaltException

from saltext.wireguard.control.bus import announce as _announce
from saltext.wireguard.errors import WireguardError
from saltext.wireguard.master.intake import hear as _hear
from saltext.wireguard.master.master import Master
from saltext.wireguard.master.status import calls_for_reconcile as _calls_for_reconcile
from saltext.wireguard.meshfile.load import stamp
from saltext.wireguard.model.statements import REPORT_TAG
from saltext.wireguard.rollout.debounce import Debounce

log = logging.getLogger(__name__)

__virtualname__ = "wireguard"


def __virtual__():
    return __virtualname__


def start(quiet=1.0, at_most=5.0, interval=300.0):
    """
    Run until the master stops. All times are in seconds.

    quiet
        Reconcile once nothing has happened for so long.

    at_most
        Reconcile at the latest so long after the first event of a burst.

    interval
        Reconcile so often in any case, and rotate keys that are due.

    CLI Example:

    .. code-block:: bash

        salt-run wireguard.reconcile    # what this engine does, once and by hand
    """
    burst = Debounce(quiet, at_most, interval, time.monotonic())
    burst.add((), time.monotonic())  # whatever happened while the master was away
    watches = [_Watch(_mesh_stamp, 0.5), _Watch(_membership_ends, 5.0)]
    with salt.utils.event.get_event("master", opts=__opts__, listen=True) as bus:
        while True:
            event = bus.get_event(wait=0.5, full=True, auto_reconnect=True)
            with _logged_errors():
                contact = _contact_after(event) if event else None
                changed = [watch for watch in watches if watch.changed()]
                if contact is not None or changed:
                    burst.add(contact or (), time.monotonic())
            if burst.due(time.monotonic()):
                _work(burst, interval)


def _contact_after(event):
    """None for an event that is none of ours, else the minions that it brings to our notice."""
    tag, data = event["tag"], event["data"]
    if tag == "salt/key":
        return ()
    if tag.startswith("salt/minion/") and tag.endswith("/start"):
        return (str(data.get("id")),)
    master = _master()
    news = _hear(master, tag, data)
    if news and tag == REPORT_TAG:
        _announce(__opts__, master)  # it may tell of a rollback, which should not wait for a reconcile
    return () if news and _calls_for_reconcile(master, tag, data) else None


def _master():
    return Master.from_opts(__opts__)


class _Watch:
    """Notices that what a function returns changed. An error is a value like any other, logged when it is new."""

    def __init__(self, look, every):
        self._look = look
        self._every = every
        self._next = 0.0
        self._value = self._current()

    def changed(self):
        if time.monotonic() < self._next:
            return False
        before, self._value = self._value, self._current()
        return before != self._value

    def _current(self):
        self._next = time.monotonic() + self._every
        try:
            return self._look()
        except WireguardError as exc:
            return str(exc)


def _mesh_stamp():
    return stamp(_master().mesh_path)


def _membership_ends():
    """The next time at which a node expires: it changes when that has come."""
    return _master().moment().fleet().valid_until


@contextlib.contextmanager
def _logged_errors():
    """An invalid mesh file must not end the engine: it goes on listening, and the nodes keep what they have."""
    try:
        yield
    except (WireguardError, SaltException) as exc:
        log.error("wireguard: %s", exc)
    except Exception:  # a thread that ends by one leaves a traceback on the console, and nothing in the log
        log.exception("wireguard: please report this")


def _work(burst, interval):
    """
    Reconcile in a thread of its own, so that this one goes on taking in events meanwhile.

    ``Burst`` is not due again before ``done``, so there is never more than one.
    """

    def work(contact):
        try:
            with _logged_errors():
                __runners__["wireguard.reconcile"](contact=contact)
                __runners__["wireguard.rotate_due"](limit=_rotations_at_once(interval))
        finally:
            burst.done(time.monotonic())

    # Salt's loader finds the options of a module in a context variable, which a new thread does not have by itself
    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(work, burst.begin()), daemon=True).start()


def _rotations_at_once(interval):
    """Enough to keep up with the shortest ``rotate_every`` when one of these comes every ``interval`` seconds."""
    fleet = _master().moment().fleet()
    rates = [
        len(fleet.networks[network.name].members) / network.rotate_every
        for network in fleet.mesh.networks
        if network.rotate_every
    ]
    return math.ceil(sum(rates) * interval * 2)
