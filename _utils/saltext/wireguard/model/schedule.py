"""
What nodes do by themselves: a Salt minion runs what it finds under ``schedule`` in its pillar, when it starts and from
then on, and tells the master nothing of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .view import View

# The first time is when the minion starts: what did not come up at boot is reported then.
_REPORT_DRIFT = {"function": "wireguard.report_drift", "seconds": 900, "splay": 10, "return_job": False}

# Sessions expire after 180 seconds, so a node follows a peer at most five minutes after it moved.
_RERESOLVE = {"function": "wireguard.reresolve", "seconds": 90, "splay": 30, "return_job": False}


def schedule(views: Iterable[View]) -> dict[str, Any]:
    """What a node with these views has to do; names are looked up only where there are any."""
    known = list(views)
    jobs = {"wireguard_report_drift": _REPORT_DRIFT} if known else {}
    return {**jobs, "wireguard_reresolve": _RERESOLVE} if any(view.has_names for view in known) else jobs
