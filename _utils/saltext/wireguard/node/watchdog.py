"""
Takes a change back whose process died before it was found to work; a program of its own (see ``trial``).

Arguments: the minion's cachedir, the interface, and the id of the trial that it watches.
"""

from __future__ import annotations

import sys
import syslog
import time

from ..device.confirm import RollbackState
from . import converge, lock
from .notes import Journal

ATTEMPTS = 30
PAUSE_SECONDS = 10


def main(cachedir: str, interface: str, trial: str) -> None:
    """Go back, and try again where that fails."""
    for _ in range(ATTEMPTS):
        try:
            # Whoever works on the interface, the change that is watched included, is waited for.
            with lock.hold(cachedir, interface):
                return end(Journal(cachedir, interface), interface, trial)
        except Exception as exc:  # Whatever it is: nobody else puts this interface right.
            syslog.syslog(syslog.LOG_ERR, f"wireguard: {interface} could not be rolled back: {exc}")
            time.sleep(PAUSE_SECONDS)


def end(journal: Journal, interface: str, trial: str) -> None:
    """End a trial that is not over. Raises WireguardError or OSError."""
    pending = journal.trial()
    if not pending or pending["id"] != trial:
        return
    if not converge.roll_back(interface, pending["key_file"], RollbackState.from_dict(pending["kept"])):
        return journal.end()
    why = "the process that applied it died before it was found to work"
    journal.take_back(pending["digest"], why, patience=0)
    syslog.syslog(syslog.LOG_WARNING, f"wireguard: {interface} was rolled back: {why}")


if __name__ == "__main__":
    main(*sys.argv[1:])
