"""
A hold: while an operator delivers a change in stages, nothing else delivers it.

It is a file, so that it outlives the process that began it: a change that was stopped must not reach all nodes because
a terminal was closed or the master restarted.
"""

from __future__ import annotations

import os

from ..system import files
from ..wording import when

_FILE = "hold"


def put_on_hold(directory: str, who: str, why: str) -> None:
    """Begin a hold, unless there is one. Raises NodeError or OSError."""
    if current_hold(directory):
        return
    os.makedirs(directory, mode=0o700, exist_ok=True)
    path = os.path.join(directory, _FILE)
    files.remove_leftovers(path)
    files.replace(path, f"{who} ({why})" if why else who)


def release_hold(directory: str) -> None:
    """End the hold, if there is one."""
    if current_hold(directory):
        os.unlink(os.path.join(directory, _FILE))


def current_hold(directory: str) -> str | None:
    """A sentence about the hold: since when, by whom, and how it ends; None if there is none."""
    path = os.path.join(directory, _FILE)
    try:
        with open(path, encoding="utf-8") as file:
            who = file.read()
            since = when(os.fstat(file.fileno()).st_mtime)
    except FileNotFoundError:
        return None
    return (
        f"changes are on hold since {since}, by {who}. `salt-run wireguard.release` ends the hold, and so does a"
        " `salt-run wireguard.reconcile` with canary or batch that completes"
    )
