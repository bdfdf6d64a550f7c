"""
A hold: while an operator tries a change step by step, nothing else brings it to the nodes.

It is a file, so that it outlives whoever began it: what was tried and stopped must not go to all nodes because a
terminal was closed or the master restarted.
"""

from __future__ import annotations

import os
import time

from ..system import files

_FILE = "hold"


def put_on_hold(directory: str, who: str, why: str) -> None:
    """Hold from now on. A hold that lasts already stays as it is. Raises NodeError or OSError."""
    if current_hold(directory):
        return
    os.makedirs(directory, mode=0o700, exist_ok=True)
    path = os.path.join(directory, _FILE)
    files.remove_leftovers(path)
    files.replace(path, f"{who} ({why})" if why else who)


def release_hold(directory: str) -> None:
    """Hold no longer."""
    if current_hold(directory):
        os.unlink(os.path.join(directory, _FILE))


def current_hold(directory: str) -> str | None:
    """A sentence about the hold that lasts: since when, by whom, and how it ends; None if there is none."""
    path = os.path.join(directory, _FILE)
    try:
        with open(path, encoding="utf-8") as file:
            who = file.read()
            since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(os.fstat(file.fileno()).st_mtime))
    except FileNotFoundError:
        return None
    return (
        f"changes are on hold since {since}, by {who}. `salt-run wireguard.release` ends the hold, and so does a"
        " `salt-run wireguard.reconcile` with canary or batch that completes"
    )
