"""
Keeps every node in step with the mesh file, unasked: one reconcile for a burst of events, and one every few minutes.

Master configuration::

    engines:
      - wireguard: {}

Takes in registrations and reports, and reconciles when a node registered, a minion started, a minion key was accepted
or deleted, or the mesh file changed. Cheaper than the reactor (a few milliseconds an event), and made for large fleets.
Use one of the two.
"""

from typing import TYPE_CHECKING, Any

import salt.utils.event

from saltext.wireguard.control.engine import Engine
from saltext.wireguard.control.operator import Operator

if TYPE_CHECKING:
    # Salt's loader puts this here.
    __opts__: dict[str, Any] = {}

__virtualname__ = "wireguard"


def __virtual__():
    return __virtualname__


def start(quiet=1.0, at_most=5.0, interval=300.0):
    """
    Run until the master stops. All times are in seconds.

    quiet
        The first event after nothing has happened for so long is acted on at once. What follows is a burst: reconcile
        once nothing has happened for so long again.

    at_most
        Reconcile at the latest so long after the first event of a burst.

    interval
        Reconcile so often in any case, and rotate keys that are due.

    CLI Example:

    .. code-block:: bash

        salt-run wireguard.reconcile    # what this engine does, once and by hand
    """
    engine = Engine(Operator(__opts__, progress=lambda _: None), quiet, at_most, interval)
    with salt.utils.event.get_event("master", opts=__opts__, listen=True) as bus:
        while True:
            engine.step(bus.get_event(wait=0.5, full=True, auto_reconnect=True))
