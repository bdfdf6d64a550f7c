"""Waiting until a mesh is as it should be, for scripts and orchestration."""

from __future__ import annotations

import time
from typing import Any

from ..errors import ConfigError
from ..wording import one_line, some
from .asking import members
from .exit_codes import FAILED, exiting
from .matrix import probe, unreachable
from .operator import Operator
from .progress import Progress

# How long to wait before looking again.
AGAIN_SECONDS = 2.0

# How long a node has to answer that is to ping its peers.
PROBE_SECONDS = 15.0


def wait(operator: Operator, network: str | None, node: str | None, until: str, timeout: float) -> dict[str, Any]:
    """``salt-run wireguard.wait``."""
    if until not in _MISSING:
        raise ConfigError(f"until must be {' or '.join(_MISSING)}, not {one_line(str(until), 50)!r}")
    started = time.monotonic()
    progress = Progress(operator.progress)
    while True:
        missing = _MISSING[until](operator, network, node)
        seconds = time.monotonic() - started
        if not missing or seconds + AGAIN_SECONDS > timeout:
            break
        progress.wait_for(missing)
        time.sleep(AGAIN_SECONDS)
    answer = f"not {until} yet: {some(missing)}" if missing else until
    return exiting(FAILED if missing else 0, {"answer": answer, "seconds": round(seconds, 1), "missing": missing})


def _out_of_sync(operator: Operator, network: str | None, node: str | None) -> list[str]:
    found = members(operator, operator.master.moment(), network, node)
    return sorted({each.member.node for each in found if each.reason})


def _unreachable(operator: Operator, network: str | None, node: str | None) -> list[str]:
    found, _ = probe(operator, network, node, 1, PROBE_SECONDS)
    return _out_of_sync(operator, network, node) + unreachable(found)


# What to wait for -> the names of what is missing for that.
_MISSING = {"in_sync": _out_of_sync, "reachable": _unreachable}
