"""The ways of a matrix as rows for a terminal: a matrix where it fits, and else the worst ways."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]

# Of a way, see ``matrix``.
COLUMNS = {"network", "from", "to", "loss", "rtt_ms", "ipv4", "ipv6"}

# So many rows are read.
MOST = 40


def fold(ways: Sequence[Row]) -> list[dict[str, Any]]:
    """A row for each node and a column for each of its peers, or, where that is too wide, the first ways."""
    names = sorted({way["to"] for way in ways})
    matrix: dict[tuple[str, str], dict[str, Any]] = {}
    for way in sorted(ways, key=lambda way: (way["network"], way["from"])):
        start = {"network": way["network"], "from": way["from"], **dict.fromkeys(names)}
        matrix.setdefault((way["network"], way["from"]), start)[way["to"]] = _cell(way)
    rows = [*matrix.values()]
    if _width(rows) <= shutil.get_terminal_size().columns:
        return rows
    listed = [{name: way[name] for name in ("network", "from", "to")} | {"rtt": _cell(way)} for way in ways[:MOST]]
    if len(ways) > MOST:
        more = f"and {len(ways) - MOST} more, which are no worse: `--out=json` has them"
        listed.append({"network": more, "from": None, "to": None, "rtt": None})
    return listed


def _cell(way: Row) -> str:
    if way["loss"] is None:
        return "?"
    if way["loss"] == 1:
        return "lost" if way["rtt_ms"] is None else f"{way['rtt_ms']:g} one IP version lost"
    return f"{way['rtt_ms']:g}" + (f" {way['loss']:.0%} lost" if way["loss"] else "")


def _width(rows: Sequence[Row]) -> int:
    return 2 + sum(2 + max(len(name), *(len(str(row[name] or "-")) for row in rows)) for name in rows[0])
