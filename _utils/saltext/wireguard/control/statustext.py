"""The pairs of a status as rows for a terminal: those that need a look come first, and only so many are shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..wording import ago

Row = Mapping[str, Any]

# Of a pair, see ``status``.
COLUMNS = {"network", "a", "b", "state", "disagree", "handshake_age", "kept_alive", "a_sees", "b_sees"}

# So many rows are read.
MOST = 40


def fold(pairs: Sequence[Row]) -> list[dict[str, Any]]:
    """Rows of network, a, b, state, last handshake, and what either end sees. The order stays."""
    folded = [_row(pair) for pair in pairs[:MOST]]
    if len(pairs) > MOST:
        more = f"and {len(pairs) - MOST} more, which are no worse: `--out=json` or `node=` shows them"
        folded.append({**dict.fromkeys(folded[0]), "network": more})
    return folded


def _row(pair: Row) -> dict[str, Any]:
    return {
        "network": pair["network"],
        "a": pair["a"],
        "b": pair["b"],
        "state": pair["state"] + (" (ends disagree)" if pair["disagree"] else ""),
        "last handshake": None if pair["handshake_age"] is None else ago(pair["handshake_age"]),
        "a sees": _end(pair["a_sees"]),
        "b sees": _end(pair["b_sees"]),
    }


def _end(end: Row) -> str:
    if end["lacks_peer"]:
        return "lacks this peer"
    if end["state"] == "unknown":
        return "does not say"
    where = f" at {end['endpoint']}" if end["endpoint"] else ""
    return f"{end['state']}{where}{' (roamed)' if end['roamed'] else ''}"
