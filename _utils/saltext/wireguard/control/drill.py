"""Who would lose whom without a node, and what would take over: from the model, or tried for a while."""

from __future__ import annotations

import time
from typing import Any

from ..errors import ConfigError
from ..fleet.takeover import shares
from ..master.decisions import networks_of
from ..meshfile.duration import parse_duration
from ..wording import some
from .drain import drain, rows, undrain
from .exit_codes import FAILED, exiting
from .operator import Operator

# The shortest and the longest drill that is done really.
LEAST_SECONDS, MOST_SECONDS = 5, 3600

# If whoever runs the drill does not end it, this much later it ends by itself.
GRACE_SECONDS = 30


def drill(operator: Operator, off: str, network: str | None, really: object, timeout: float) -> dict[str, Any]:
    """``salt-run wireguard.drill``."""
    seconds = _seconds(really)
    moment = operator.master.moment()
    joined = moment.fleet().networks
    found = {}
    for name in networks_of(moment, off, network):
        if name in joined and off in joined[name].members:
            found[name] = shares(off, joined[name], moment.if_drained(name, off).networks[name])
    if not found:
        raise ConfigError(f"{off} is no member of any network now, so nobody would lose anything without it")
    shown = rows(found)
    answer = {
        "answer": _sentence(off, shown),
        "node": off,
        "takes_over": [row for row in shown if row["to"] != off],
        "lost": [{name: row[name] for name in ("network", "behind", "nodes")} for row in shown if row["to"] == off],
    }
    return {**answer, **_done(operator, off, network, seconds, timeout)} if seconds else answer


def _seconds(really: object) -> int:
    """0 for a prediction alone. Raises ConfigError."""
    if really is None:
        return 0
    try:
        seconds = parse_duration(str(really))
    except ValueError as exc:
        raise ConfigError(f"really: {exc}") from exc
    if not LEAST_SECONDS <= seconds <= MOST_SECONDS:
        raise ConfigError(f"really: a drill takes from {LEAST_SECONDS}s to {MOST_SECONDS // 3600}h")
    return seconds


def _sentence(node: str, shown: list[dict[str, Any]]) -> str:
    if not shown:
        return f"without {node}, its peers would lose {node} itself, and nothing else"
    parts = []
    for row in shown:
        what = f"{some(row['nodes'])}: {some(row['behind'])} in network {row['network']}"
        parts.append(f"{what}, {'lost' if row['to'] == node else 'until ' + row['to'] + ' takes over'}")
    return f"without {node}, its peers would lose {node} itself, and " + "; ".join(parts)


def _done(operator: Operator, node: str, network: str | None, seconds: int, timeout: float) -> dict[str, Any]:
    """Move the others off the node for so many seconds. If this ends halfway, the registry ends the drain in time."""
    until = time.time() + seconds + timeout + GRACE_SECONDS
    moved = drain(operator, node, network, "a drill", timeout, force=False, until=until)
    try:
        operator.progress(f"{moved['answer']}; {seconds} s from now, they move back")
        time.sleep(seconds)
    finally:
        back = undrain(operator, node, network, "the drill is over", timeout)
    failed = bool(moved["missing"] or back["missing"])
    return exiting(FAILED if failed else 0, {"moved": moved["answer"], "moved_back": back["answer"]})
