"""What minions return from jobs: statements to take in, and words to show. Any of it may be forged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..master.intake import take_in
from ..master.master import Master
from ..model.statements import REGISTER_TAG, REPORT_TAG

# A return carries one or two for each network of its node.
MAX_STATEMENTS = 100


def hear_all(master: Master, node: str, answer: object) -> bool:
    """
    Take in the signed statements in a node's return. A return can be forged; its statements cannot, and only those of
    the node itself count.

    Returns whether it may be the node's: not where there are statements, and none of them is believed.
    """
    outcomes = []
    for tag in (REGISTER_TAG, REPORT_TAG):
        statements = answer.get(tag) if isinstance(answer, dict) else None
        for signed in statements[:MAX_STATEMENTS] if isinstance(statements, list) else []:
            outcomes.append(take_in(master, tag, {"id": node, "data": {"signed": signed}}, asked=node))
    return not outcomes or any(outcome is not None for outcome in outcomes)


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
        return "; ".join(bad)[:500] or None
    return (_text(answer).splitlines() or ["it gave no reason"])[-1][:300]


def _text(answer: object) -> str:
    """What should be a text, or a list of texts; anything else may be nested too deeply to be printed."""
    if isinstance(answer, list):
        answer = "; ".join(part for part in answer if isinstance(part, str))
    return answer.strip() if isinstance(answer, str) else ""
