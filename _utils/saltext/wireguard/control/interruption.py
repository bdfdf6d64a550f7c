"""The answer to an operator who interrupts a command: what it has decided, and what goes on without it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from ..errors import WireguardError
from ..master.master import Master
from ..master.status import UNFINISHED, leftovers, statuses
from ..registry.history import Entry
from ..rollout.hold import current_hold
from ..wording import shell, some

# More than one command decides.
_MOST = 1000


def interrupted(master: Master, who: str, since: float) -> dict[str, Any]:
    """What is so now, by registry and mesh file, after a command that ``who`` began at ``since``, in Unix seconds."""
    entries = master.registry.audit.history(limit=_MOST)
    done = [entry for entry in entries if entry.who == who and entry.time >= since]
    return {
        "answer": "interrupted; what it decided is not undone" if done else "interrupted",
        "done": [{"network": entry.network, "node": entry.node, "what": entry.what} for entry in done],
        "next": [*_to_be_proved(done), *_going_on(master)],
    }


def _to_be_proved(done: Collection[Entry]) -> Iterator[str]:
    for node in sorted({entry.node for entry in done if entry.what == "revoked"}):
        yield f"{shell('salt-run wireguard.dropped', node)} lists the nodes that have dropped it, and asks the others"


def _going_on(master: Master) -> Iterator[str]:
    try:
        moment = master.moment()
        found = [status for status in statuses(moment) if status.member.has_registered and status.reason]
        behind = {status.member.node for status in found} | {node for _, node in leftovers(moment)}
    except WireguardError as exc:  # an invalid mesh file is one more thing that an interrupted command may have met
        yield f"nodes cannot be changed now: {exc}"
        return
    rotating = {status.member.node for status in found if status.reason == UNFINISHED}
    if rotating:
        yield f"the rotation of {some(rotating)} is not finished: peers accept both keys, and a reconcile ends it"
    if behind:
        yield (
            f"{some(behind)}: not confirmed yet. A node that was asked finishes by itself. The next reconcile, by the"
            " engine or `salt-run wireguard.reconcile`, asks the others"
        )
    on_hold = current_hold(master.state_dir)
    if on_hold:
        yield on_hold
