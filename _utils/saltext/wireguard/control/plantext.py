"""
The steps of a plan as rows for a terminal: what is the same on many nodes is one line.

``+``, ``-`` and ``~`` stand for what comes, goes and changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..model.changes import Kind

Row = Mapping[str, Any]

# Of a step, see ``answers.Step``.
COLUMNS = {"network", "node", "kind", "subject", "old", "new", "disturbs"}

FILE, PEER = Kind.FILE.value, Kind.PEER.value

# So many names are read; more are counted.
FEW = 4

# What a person reads of a peer that comes; of one that goes, its networks and its key.
_COMES = ("allowed_ips", "endpoint", "public_key")
_GOES = ("allowed_ips", "public_key")


def fold(steps: Sequence[Row]) -> list[dict[str, Any]]:
    """Steps, as ``Step.to_dict`` makes them, to rows of network, nodes, change, details, and sessions cut off."""
    alike: dict[tuple[str, str, str], list[Row]] = {}
    for step in _without_files(steps):
        alike.setdefault((step["network"], *_change(step)), []).append(step)
    lines = [_line(network, change, details, each) for (network, change, details), each in alike.items()]
    return _many_peers(sorted(lines, key=lambda line: (line["network"], line["nodes"], line["change"][2:])))


def _without_files(steps: Sequence[Row]) -> list[Row]:
    """That a configuration file is written says something only where nothing else changes."""
    others = {(step["network"], step["node"]) for step in steps if step["kind"] != FILE}
    return [step for step in steps if step["kind"] != FILE or (step["network"], step["node"]) not in others]


def _change(step: Row) -> tuple[str, str]:
    subject, old, new = step["subject"], step["old"], step["new"]
    if old is None and new is None:
        return f"  {subject}", ""
    if old is None:
        return f"+ {subject}", _details(new, _COMES, subject)
    if new is None:
        return f"- {subject}", _details(old, _GOES, subject)
    both = [_details(value, [*old, *new] if isinstance(old, Mapping) else (), "") for value in (old, new)]
    return f"~ {subject}", " -> ".join(text or "none" for text in both)


def _details(value: object, names: Iterable[str], subject: str) -> str:
    if isinstance(value, Mapping):
        facts = [_fact(name, value.get(name)) for name in dict.fromkeys(names)]
        return ", ".join(fact for fact in facts if fact)
    return "" if value is None or str(value) in subject.split() else str(value)


def _fact(name: str, value: object) -> str:
    if value in (None, [], ""):
        return ""
    if name == "public_key":
        return f"key {str(value)[:8]}..."
    if isinstance(value, list):
        return " ".join(str(each) for each in value)
    return f"at {value}" if name == "endpoint" else f"{name} {value}"


def _line(network: str, change: str, details: str, steps: Sequence[Row]) -> dict[str, Any]:
    known = [step["disturbs"] for step in steps if step["disturbs"] is not None]
    cut = str(sum(known)) if len(known) == len(steps) else f"{sum(known)} or more" if known else "not known"
    nodes = sorted({step["node"] for step in steps})
    return {
        "network": network,
        "nodes": ", ".join(nodes) if len(nodes) <= FEW else f"{len(nodes)} nodes",
        "change": change,
        "details": details,
        "cuts off": cut if cut != "0" else None,
        "names": nodes,
        "kind": steps[0]["kind"],
    }


def _many_peers(lines: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Many peers that come to, or leave, the very same nodes are one line."""
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for line in lines:
        comes_or_goes = line.pop("kind") == PEER and line["change"][0] in "+-" and not line["cuts off"]
        alike = line["change"][0] if comes_or_goes else line["change"] + line["details"]
        groups.setdefault((line["network"], *line.pop("names"), alike), []).append(line)
    result = []
    for group in groups.values():
        if len(group) > FEW:
            names = [line["change"][7:] for line in group]
            text = ", ".join(names[:FEW]) + f" and {len(names) - FEW} more"
            result.append({**group[0], "change": f"{group[0]['change'][:2]}{len(group)} peers", "details": text})
        else:
            result += group
    return result
