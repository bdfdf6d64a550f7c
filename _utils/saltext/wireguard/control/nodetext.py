"""What functions of the execution module return, of one node or of many, as tables for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..model.answers import Answer
from ..model.changes import Kind
from ..wording import when

# The name of a table, and a row of it.
Entry = tuple[str, dict[str, Any]]

# What a part of a return has, by which it is known: the name of the function does not get everywhere.
_PING = {"mtu", "asked", "silent", "narrow", "comment"}
_DEVICE = {"public_key", "port", "mtu", "up", "addresses", "routes", "peers"}
_DRIFT = {"changes", "more", "digest", "live"}
_CHECK = {"result", "comment", "findings"}
_RESULT = {"result", "comment"}


def tabulated(data: object) -> object:
    """Node -> what it returned, as tables with a row for each of its networks or interfaces; all else as it is."""
    if not isinstance(data, Mapping):
        return data
    tables: dict[str, Any] = {}
    others = {}
    for node, answer in sorted(data.items(), key=lambda item: str(item[0])):
        entries = _entries(str(node), answer)
        for table, row in entries:
            tables.setdefault(table, []).append(row)
        if not entries:
            others[node] = answer
    if not tables:
        return data
    return {**tables, "others": others} if others else tables


def _entries(node: str, answer: object) -> list[Entry]:
    """Nothing for what no table is made of. Whatever a node returns, it must not keep others from being shown."""
    networks = answer.get("networks") if isinstance(answer, Mapping) else None
    parts = networks if isinstance(networks, Mapping) else answer
    if not isinstance(parts, Mapping):
        return []
    try:
        return [entry for name, part in parts.items() for entry in _of_part(node, str(name), part)]
    except (ArithmeticError, AttributeError, KeyError, OSError, TypeError, ValueError):
        return []


def _of_part(node: str, name: str, part: Mapping[str, Any]) -> Iterator[Entry]:
    """``name``: of a network, or of an interface."""
    if part.keys() == _PING:
        return _ping(node, name, part)
    if part.keys() == _DEVICE:
        return _device(node, name, part)
    if part.keys() >= _DRIFT:
        return _steps(node, name, part)
    if part.keys() == _CHECK:
        return _findings(node, name, part)
    if part.keys() >= _RESULT:
        return _result(node, name, part)
    raise ValueError("something else")


def _ping(node: str, network: str, part: Mapping[str, Any]) -> Iterator[Entry]:
    narrow = [f"{name} {size}" for name, size in part["narrow"].items()]
    facts = {"asked": part["asked"], "silent": part["silent"], "mtu": part["mtu"], "narrow": narrow}
    yield "pings", {"node": node, "network": network, **facts}
    if part["silent"] or narrow:
        yield "comments", {"node": node, "network": network, "comment": part["comment"]}


def _device(node: str, interface: str, part: Mapping[str, Any]) -> Iterator[Entry]:
    yield "interfaces", {"node": node, "interface": interface, **{key: part[key] for key in part if key != "peers"}}
    for public_key, peer in part["peers"].items():
        facts = {key: value for key, value in peer.items() if key != "name"}
        last = when(peer["latest_handshake"]) if peer["latest_handshake"] else None
        row = {"node": node, "interface": interface, "peer": peer["name"], "public_key": public_key}
        yield "peers", {**row, **facts, "latest_handshake": last}


def _result(node: str, network: str, part: Mapping[str, Any]) -> Iterator[Entry]:
    yield "results", {"node": node, "network": network, "result": part["result"], "comment": part["comment"]}
    changes = part.get("changes")
    if isinstance(changes, list):  # of a sync that only tries
        yield from _steps(node, network, part)
    elif changes:
        yield from (("changes", _step(node, network, *change)) for change in changes.items())


def _findings(node: str, network: str, part: Mapping[str, Any]) -> Iterator[Entry]:
    for each in part["findings"]:
        found = f"{each['subject']} ({each['found']})"
        yield "in_the_way", {"node": node, "network": network, "stops": each["stops"], "what": found}
        yield "advice", {"what": each["subject"], "do": each["advice"]}
    yield "results", {"node": node, "network": network, "result": part["result"], "comment": part["comment"]}


def _steps(node: str, network: str, part: Mapping[str, Any]) -> Iterator[Entry]:
    answer = Answer.from_dict(part)
    yield from (("changes", step.to_dict()) for step in answer.steps(network, node))
    yield from (("obstacles", {"node": node, "network": network, "obstacle": each}) for each in answer.obstacles)


def _step(node: str, network: str, subject: str, sides: Mapping[str, Any]) -> dict[str, Any]:
    """A change in Salt's words, as ``Step.to_dict`` has it. Its kind tells files and peers from the rest."""
    kind = Kind.FILE if subject.startswith("/") else Kind.PEER if subject.startswith("peer ") else Kind.DEVICE
    return {"network": network, "node": node, "kind": kind.value, "subject": subject, **sides, "disturbs": 0}
