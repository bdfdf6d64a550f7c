"""
Routing rules of others (``ip rule``), and routes, that keep packets from the routes of an interface.

Every machine has rules for the tables local, main and default, and none of them is in the way.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from ..model.view import View
from . import exits
from .findings import Finding
from .ip_json import objects, parsing

Rule = Mapping[str, Any]

_ADVICE = "See what made this rule, such as another VPN: only one of the two can have these packets"

# By these a rule chooses some packets only.
_SELECTORS = ("srclen", "dst", "iif", "oif", "uid_start", "ipproto", "sport", "dport", "tos", "fwmark", "l3mdev")


def clashes(text: str, version: int, view: View, has_default: Callable[[str], bool]) -> Iterator[Finding]:
    """
    In the output of ``ip -json -4 rule show``. Raises DeviceError.

    :param has_default: whether this table has a route for everything
    """
    command = f"`ip -json -{version} rule show`"
    mark = exits.mark(view) if version in exits.versions(view) else 0
    rules = objects(text, command)
    with parsing(command):
        others = [each for each in rules if not exits.is_ours(exits.number(each.get("fwmark")))]
        taking = [each["priority"] for each in others if _takes_all(each) and _leads_on(each, has_default)]
        yield from _of_exit(others, taking, version, view, mark) if mark else _of_routes(others, taking, version)


# A VPN that leaves the default route alone has these two instead, and the main table comes first with them.
HALVES = ("0.0.0.0/1", "128.0.0.0/1", "::/1", "8000::/1")


def halves_taken(taken: Mapping[str, str], view: View) -> Iterator[Finding]:
    """``taken``: of HALVES, those to which others have a route, and how that is written."""
    for network in sorted(taken):
        version = 6 if ":" in network else 4
        if version in exits.versions(view):
            yield Finding(_default_route(version, view), f"this machine has {network} {taken[network]}", _ADVICE)


def _default_route(version: int, view: View) -> str:
    return f"all of the IPv{version} default route through {view.via}"


def _of_routes(rules: Sequence[Rule], taking: Collection[int], version: int) -> Iterator[Finding]:
    """The interface's routes are in the main table: what comes before that and takes everything."""
    for rule in rules:
        if rule.get("table") == "main" and not _selects(rule):
            return
        if rule["priority"] in taking:
            yield Finding(f"its IPv{version} routes", f"{_words(rule, version)} comes first", _ADVICE)


def _of_exit(rules: Sequence[Rule], taking: Collection[int], version: int, view: View, mark: int) -> Iterator[Finding]:
    subject = _default_route(version, view)
    for rule in rules:
        comes_first = rule["priority"] <= exits.TUNNEL_PRIORITY
        if rule["priority"] in taking:
            yield Finding(
                subject, f"{_words(rule, version)} {'comes first' if comes_first else 'is left out'}", _ADVICE
            )
        elif comes_first and _has_mark(rule, mark):
            yield Finding(subject, f"{_words(rule, version)} takes the tunnel's own packets", _ADVICE)


def _takes_all(rule: Rule) -> bool:
    """Whether a rule of others takes packets of all kinds elsewhere; a mark that is to be missing chooses nothing."""
    if rule.get("table") in ("local", "main", "default") or "suppress_prefixlen" in rule:
        return False
    return not _selects(rule)


def _leads_on(rule: Rule, has_default: Callable[[str], bool]) -> bool:
    return "table" not in rule or has_default(str(rule["table"]))


def _selects(rule: Rule) -> bool:
    chosen = {name for name in _SELECTORS if name in rule}
    return bool(chosen - {"fwmark"} if "not" in rule else chosen) or rule.get("src", "all") != "all"


def _has_mark(rule: Rule, mark: int) -> bool:
    if "fwmark" not in rule or "not" in rule:
        return False
    mask = exits.number(rule.get("fwmask")) or 0xFFFFFFFF
    return (exits.number(rule["fwmark"]) ^ mark) & mask == 0


def _words(rule: Rule, version: int) -> str:
    where = f"lookup {rule['table']}" if "table" in rule else str(rule.get("action"))
    return f"`ip -{version} rule` {rule['priority']}, {where},"
