"""The paths of a matrix as rows for a terminal: a matrix where it fits, and else the worst paths."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]

# Of a path, see ``matrix``.
COLUMNS = {"network", "from", "to", "loss", "rtt_ms", "ipv4", "ipv6"}

# So many rows are read.
MOST = 40


def fold(paths: Sequence[Row]) -> list[dict[str, Any]]:
    """A row for each node and a column for each of its peers, or, where that is too wide, the first paths."""
    names = sorted({path["to"] for path in paths})
    matrix: dict[tuple[str, str], dict[str, Any]] = {}
    for path in sorted(paths, key=lambda path: (path["network"], path["from"])):
        start = {"network": path["network"], "from": path["from"], **dict.fromkeys(names)}
        matrix.setdefault((path["network"], path["from"]), start)[path["to"]] = _cell(path)
    rows = [*matrix.values()]
    if _width(rows) <= shutil.get_terminal_size().columns:
        return rows
    listed = [{name: path[name] for name in ("network", "from", "to")} | {"rtt": _cell(path)} for path in paths[:MOST]]
    if len(paths) > MOST:
        more = f"and {len(paths) - MOST} more, which are no worse: `--out=json` has them"
        listed.append({"network": more, "from": None, "to": None, "rtt": None})
    return listed


def _cell(path: Row) -> str:
    if path["loss"] is None:
        return "?"
    if path["loss"] == 1:
        return "lost" if path["rtt_ms"] is None else f"{path['rtt_ms']:g} one IP version lost"
    return f"{path['rtt_ms']:g}" + (f" {path['loss']:.0%} lost" if path["loss"] else "")


def _width(rows: Sequence[Row]) -> int:
    return 2 + sum(2 + max(len(name), *(len(str(row[name] or "-")) for row in rows)) for name in rows[0])
