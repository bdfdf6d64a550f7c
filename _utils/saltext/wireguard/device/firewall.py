"""What a firewall does with packets that nobody asked for, as far as its rules say without being run."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from .findings import Finding

_ENDS = ("drop", "reject")
_OPENS = ("accept", "jump", "goto")
_CONDITIONS = ("match", "xt", "limit", "vmap")


def dropping_chains(ruleset: str, *hooks: str) -> tuple[str, ...]:
    """
    The chains in the output of ``nft --json list ruleset`` that drop the packets of these hooks which no rule accepts:
    by their policy, or by a last rule for all that is left. Nothing if the output is malformed.
    """
    chains, rules = _objects(ruleset, "chain"), _objects(ruleset, "rule")
    last = {_place(rule, "chain"): rule.get("expr") for rule in rules}
    return tuple(
        " ".join(_place(chain, "name"))
        for chain in chains
        if chain.get("hook") in hooks and (chain.get("policy") == "drop" or _ends_all(last.get(_place(chain, "name"))))
    )


def may_accept(ruleset: str, port: int) -> bool:
    """Whether any rule may let packets to this UDP port in, whatever else it asks of them."""
    sets = {(*_place(each, "name")[:2], f"@{each.get('name')}"): each.get("elem") for each in _objects(ruleset, "set")}
    for rule in _objects(ruleset, "rule"):
        steps = [step for step in rule.get("expr") or () if isinstance(step, dict)]
        if not any(name in step for step in steps for name in (*_OPENS, "vmap")):
            continue
        for wanted in filter(None, map(_ports_of, steps)):
            named = sets.get((*_place(rule, "chain")[:2], str(wanted)), wanted)
            if _has(named, port):
                return True
    return False


def iptables_drops(rules: str) -> bool:
    """Whether ``iptables -S`` shows that incoming packets are dropped which no rule accepts."""
    of_input = re.findall(r"^-[AP] INPUT .*$", rules, re.MULTILINE)
    return any(re.fullmatch(r"-P INPUT DROP|-A INPUT -j (DROP|REJECT\b.*)", line) for line in of_input)


def iptables_may_accept(rules: str, port: int) -> bool:
    """Whether any rule of ``iptables -S`` may let packets to this UDP port in."""
    for line in rules.splitlines():
        ports = re.search(r" -p udp .*--dports? (\S+)", line)
        if ports and not re.search(r" -j (DROP|REJECT)", line) and _listed(ports[1], port):
            return True
    return False


def closed(port: int, where: str) -> Finding:
    """The finding for a port that nothing lets in."""
    return Finding(
        f"UDP port {port} from outside",
        f"the firewall drops what no rule accepts in {where}, and no rule names the port",
        f"Accept UDP port {port}, unless this node connects to all of its peers and none to it",
    )


def _listed(ports: str, port: int) -> bool:
    for part in ports.split(","):
        low, _, high = part.partition(":")
        if low.isdigit() and (high or low).isdigit() and int(low) <= port <= int(high or low):
            return True
    return False


def _ports_of(step: Mapping[str, Any]) -> object:
    """What a step of a rule compares the port of a packet with; None if it compares something else."""
    match, vmap = step.get("match"), step.get("vmap")
    if isinstance(match, dict) and '"dport"' in json.dumps(match.get("left")):
        return match.get("right") if match.get("op") in ("==", "in") and "payload" in match.get("left", ()) else "any"
    return "any" if (vmap is not None and '"dport"' in json.dumps(vmap)) or "xt" in step else None


def _has(ports: object, port: int) -> bool:
    """Whether these ports, or what is beyond us, have this one."""
    if isinstance(ports, dict) and "set" in ports:
        return _has(ports["set"], port)
    if isinstance(ports, dict) and isinstance(ports.get("range"), list):
        low, high = ports["range"]
        return bool(low <= port <= high)
    if isinstance(ports, list):
        return any(_has(each, port) for each in ports)
    return ports == port or not isinstance(ports, int)


def _ends_all(steps: object) -> bool:
    """Whether a rule drops every packet that gets to it."""
    known = [step for step in steps if isinstance(step, dict)] if isinstance(steps, list) else []
    names = {name for step in known for name in step}
    return not names.isdisjoint(_ENDS) and names.isdisjoint(_CONDITIONS)


def _place(item: Mapping[str, Any], name: str) -> tuple[str, str, str]:
    return str(item.get("family")), str(item.get("table")), str(item.get(name))


def _objects(ruleset: str, kind: str) -> list[dict[str, Any]]:
    try:
        found = json.loads(ruleset or "{}").get("nftables", [])
    except (ValueError, AttributeError, RecursionError):
        return []
    return [*_of_kind(found, kind)] if isinstance(found, list) else []


def _of_kind(found: list[object], kind: str) -> Iterator[dict[str, Any]]:
    for each in found:
        if isinstance(each, dict) and isinstance(each.get(kind), dict):
            yield each[kind]
