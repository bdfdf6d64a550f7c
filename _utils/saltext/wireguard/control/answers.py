"""The returns of jobs: statements to store, and reasons to show. Any of it may be forged."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from ..master.intake import take_in
from ..master.master import Master
from ..model.statements import REGISTER_TAG, REPORT_TAG
from ..wording import one_line
from .bus import Bus

# A return carries one or two for each network of its node.
MAX_STATEMENTS = 100

# At most so many characters of a failure are shown, and searched for the reason: a traceback ends with it.
MAX_REASON = 500
MAX_TRACEBACK = 20_000


def hear_all(master: Master, node: str, answer: object) -> bool:
    """
    Take in the signed statements in a node's return. A return can be forged; its statements cannot, and only those of
    the node itself count.

    Returns whether the return may be the node's: it is not if it has statements and none of them is believed.
    """
    outcomes = _outcomes(master, node, answer)
    return not outcomes or any(outcome is not None for outcome in outcomes)


def _outcomes(master: Master, node: str, answer: object) -> list[bool | None]:
    """What ``take_in`` makes of each statement in a node's return."""
    found = [(tag, answer.get(tag)) for tag in (REGISTER_TAG, REPORT_TAG)] if isinstance(answer, dict) else []
    return [
        take_in(master, tag, {"id": node, "data": {"signed": signed}}, asked=node)
        for tag, statements in found
        for signed in (statements[:MAX_STATEMENTS] if isinstance(statements, list) else [])
    ]


def silent_nodes(bus: Bus, master: Master, nodes: Collection[str], timeout: float) -> set[str]:
    """
    The nodes that do not prove in time that they are up, by a new signed statement. A return alone can be forged.
    """
    missing = set(nodes)
    before = {node: _serials(master, node) for node in missing}
    jid = bus.publish(missing, "wireguard.sync", ["signed=True"]) if missing else None
    for tag, data in bus.events(timeout if jid else 0):
        node = tag.removeprefix(f"salt/job/{jid}/ret/")
        if node in missing and isinstance(data, Mapping):
            hear_all(master, node, data.get("return"))
            if _serials(master, node) != before[node]:
                missing.discard(node)
        if not missing:
            break
    return missing


def _serials(master: Master, node: str) -> Mapping[str, int]:
    """Network -> the last serial of a node: it grows by every new statement, even one that says nothing new."""
    key = master.salt_keys().get(node)
    return master.registry.last_serials(node, key.fingerprint) if key else {}


def is_of_clone(answer: object) -> bool:
    """Whether a copy of the node answered a sync. The node itself answers as well."""
    networks = answer.get("networks") if isinstance(answer, dict) else None
    parts = networks.values() if isinstance(networks, dict) else ()
    return any(isinstance(part, dict) and part.get("clone") for part in parts)


def failure(function: str, data: Mapping[str, Any]) -> str | None:
    """A one-line reason when a job's return is not a success, else None. Returns can be forged: no shape is certain."""
    answer = data.get("return")
    parts = answer.values() if isinstance(answer, dict) else ()
    if function == "wireguard.sync" and isinstance(answer, dict):
        networks = answer.get("networks")
        parts = networks.values() if isinstance(networks, dict) else ()
    elif data.get("success") and not data.get("retcode"):
        return None
    bad = [_text(part.get("comment")) for part in parts if isinstance(part, dict) and part.get("result") is False]
    if bad or (function == "wireguard.sync" and isinstance(answer, dict)):
        return one_line("; ".join(bad), MAX_REASON) or None
    lines = _text(answer).splitlines()
    return one_line(lines[-1] if lines else "") or "it gave no reason"


def _text(answer: object) -> str:
    """What should be a text, or a list of texts, as it came: its last line may be the one that says why."""
    if isinstance(answer, list):
        answer = "; ".join(part[:MAX_REASON] for part in answer[:MAX_STATEMENTS] if isinstance(part, str))
    return answer[-MAX_TRACEBACK:].strip() if isinstance(answer, str) else ""
