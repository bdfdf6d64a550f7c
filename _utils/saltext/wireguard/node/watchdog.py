"""
Rolls a change back if its process died before the change was found to work. It runs as a separate program (see
``trial``).

Arguments: the minion's cachedir, the interface, and the id of the trial that it watches.
"""

from __future__ import annotations

import sys
import syslog
import time

from ..device.rollback import RollbackState
from . import converge, lock
from .notes import Journal

ATTEMPTS = 30
PAUSE_SECONDS = 10


def main(cachedir: str, interface: str, trial: str) -> None:
    """Roll back, and try again where that fails."""
    for _ in range(ATTEMPTS):
        try:
            # This waits for any run that works on the interface, the watched one included.
            with lock.hold(cachedir, interface):
                return roll_back_unfinished(Journal(cachedir, interface), interface, trial)
        except Exception as exc:  # Whatever it is: nothing else repairs this interface.
            syslog.syslog(syslog.LOG_ERR, f"wireguard: {interface} could not be rolled back: {exc}")
            time.sleep(PAUSE_SECONDS)


def roll_back_unfinished(journal: Journal, interface: str, trial: str) -> None:
    """Roll the change back if its trial is not over. Raises WireguardError or OSError."""
    pending = journal.trial()
    if not pending or pending["id"] != trial:
        return
    if not converge.roll_back(interface, pending["key_file"], RollbackState.from_dict(pending["rollback_state"])):
        return journal.end()
    reason = "the process that applied it died before it was found to work"
    journal.record_rollback(pending["digest"], reason, retry_seconds=0)
    syslog.syslog(syslog.LOG_WARNING, f"wireguard: {interface} was rolled back: {reason}")


if __name__ == "__main__":
    main(*sys.argv[1:])
