"""
The default route through an exit node: which packets take it, by policy routing as wg-quick does it.

The interface's own packets bear a mark (``wg set fwmark``). Everything without it follows the main table where that has
a route other than the default one, and else a table of the interface's own, whose default route leads into the tunnel.
That stays there when the exit does not answer, or is gone: packets wait or are dropped, and none takes another way.

Outside stay the packets of the machine's other WireGuard interfaces, told by their ports, and what is for the Salt
master, or without one for whoever gave the exit by ssh: that connection would break when the default route changes, and
an exit that fails would take away the means to leave it.

Pure: nothing here runs a command.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import ip_address, ip_interface
from typing import Any

from ..model.addresses import DEFAULTS
from ..model.view import View
from .ip_json import objects, parsing

# Marks, and the tables of the same numbers, are unique to an interface by its port; the mask is what they share: "WG".
_BASE = 0x57470000
_MASK = 0xFFFF0000

# wg-quick lets the kernel choose, which takes the number below the lowest: above 32,000 on most machines.
_BYPASS, _MAIN, _TUNNEL = 31818, 31819, 31820

_RULE_SETTINGS = {
    "pref": "Priority",
    "fwmark": "FirewallMark",
    "ipproto": "IPProtocol",
    "sport": "SourcePort",
    "lookup": "Table",
    "suppress_prefixlength": "SuppressPrefixLength",
}

# What comes in from outside is checked by looking up the way back, which for packets without a mark is the tunnel. A
# strict check (1) drops it, a loose one (2), which is systemd's default, does not. Of `all` and a device's, the larger
# number counts.
LOOSEN = (
    "for f in /proc/sys/net/ipv4/conf/*/rp_filter; do"
    " if [ $(cat $f) = 1 ]; then echo 2 > /proc/sys/net/ipv4/conf/all/rp_filter; fi; done"
)
FILTERS = "/proc/sys/net/ipv4/conf/*/rp_filter"
FILTER_OF_ALL = "/proc/sys/net/ipv4/conf/all/rp_filter"


@dataclass(frozen=True, order=True)
class Item:
    """One rule or route of an IP version: what comes after ``ip -4 rule add`` or ``ip -6 route replace``."""

    version: int
    kind: str
    words: str

    @property
    def bypass(self) -> str | None:
        """What it keeps outside of the tunnel; None for a part of what leads into it."""
        words = self.words.split()
        if words[0] == "throw":
            return words[1]
        return f"UDP port {words[words.index('sport') + 1]}" if "sport" in words else None

    def added(self) -> tuple[str, ...]:
        """The command that makes it. A route may be there, a rule must not: ``ip`` would have it twice."""
        return self._argv("add" if self.kind == "rule" else "replace")

    def deleted(self) -> tuple[str, ...]:
        """The command that takes it away."""
        return self._argv("del")

    def _argv(self, verb: str) -> tuple[str, ...]:
        return ("ip", f"-{self.version}", self.kind, verb, *self.words.split())


@dataclass(frozen=True)
class Policy:
    """What a machine has of this for an interface. ``strict``: packets from outside are checked too strictly for it."""

    items: frozenset[Item] = frozenset()
    strict: bool = False

    @classmethod
    def of(cls, view: View) -> Policy:
        """What a view makes."""
        return cls(frozenset(items(view)))


NO_POLICY = Policy()


def mark(view: View) -> int:
    """The mark of the interface's own packets; 0 for none, where no default route leads into it."""
    return own_mark(view) if view.via is not None and view.port is not None else 0


def own_mark(view: View) -> int:
    """The mark that its own packets would have if a default route led into it."""
    return _BASE | (view.port or 0)


def is_ours(fwmark: int) -> bool:
    """Tell whether a mark is one of those above."""
    return fwmark & _MASK == _BASE


def versions(view: View) -> list[int]:
    """The IP versions whose default route leads into the interface."""
    return sorted({ip_interface(address).version for address in view.addresses}) if view.via is not None else []


def items(view: View) -> list[Item]:
    """What the view needs, in the order in which it is made: the rule that leads into the tunnel comes last."""
    table = mark(view)
    return [item for version in versions(view) for item in _items(view, version, table)]


def _items(view: View, version: int, table: int) -> Iterator[Item]:
    for address in view.bypass_addresses:
        if ip_address(address).version == version:
            yield Item(version, "route", _throw(address, table))
    yield Item(version, "route", f"default dev {view.interface} table {table}")
    for port in view.other_ports:
        yield Item(version, "rule", _rule_bypass(port, table))
    yield Item(version, "rule", _rule_main(table))
    yield Item(version, "rule", _rule_tunnel(table))


def _throw(address: str, table: int) -> str:
    """To this address, the lookup leaves the table and goes on as it would without it."""
    return f"throw {address} table {table}"


def _rule_bypass(port: int, table: int) -> str:
    # A mark of which no bit counts: every packet has it, and the rule says whose it is.
    return f"pref {_BYPASS} fwmark {table:#x}/0 ipproto udp sport {port} lookup main"


def _rule_main(table: int) -> str:
    return f"pref {_MAIN} not fwmark {table:#x}/{_MASK:#x} lookup main suppress_prefixlength 0"


def _rule_tunnel(table: int) -> str:
    return f"pref {_TUNNEL} not fwmark {table:#x}/{_MASK:#x} lookup {table}"


# -- for the configuration file


def at_up(view: View) -> list[str]:
    """The shell commands after which a new device has it all. A rule may be left of an earlier device."""
    commands = [LOOSEN] if 4 in versions(view) else []
    for item in items(view):
        if item.kind == "rule":
            commands.append(f"{' '.join(item.deleted())} 2>/dev/null || :")
        commands.append(" ".join(item.added()))
    return commands


def at_down(view: View) -> list[str]:
    """The shell commands that take away what does not go with the device."""
    return [f"{' '.join(item.deleted())} || :" for item in reversed(items(view)) if _outlives(item)]


def _outlives(item: Item) -> bool:
    return item.kind == "rule" or item.words.startswith("throw ")


def bypass_addresses_of(text: str) -> list[str]:
    """The addresses that stay outside, as the commands of ``at_up`` have them."""
    return list(dict.fromkeys(re.findall(r"throw (\S+) table", text)))


def other_ports_of(text: str) -> list[int]:
    """The ports whose packets stay outside, as the commands of ``at_up`` have them."""
    return [int(port) for port in dict.fromkeys(re.findall(r"sport (\d+) lookup", text))]


# -- for systemd-networkd


def networkd(item: Item) -> list[str]:
    """The section of a ``.network`` file that makes it."""
    words = item.words.split()
    if words[0] == "throw":
        return ["[Route]", f"Destination={words[1]}", "Type=throw", f"Table={words[-1]}"]
    if item.kind == "route":
        scope = ["Scope=link"] if item.version == 4 else []
        return ["[Route]", f"Destination={DEFAULTS[item.version]}", f"Table={words[-1]}", "Protocol=boot", *scope]
    given = {name: words[words.index(name) + 1] for name in _RULE_SETTINGS if name in words}
    lines = ["[RoutingPolicyRule]", f"Family=ipv{item.version}", *(["InvertRule=yes"] if "not" in words else [])]
    return lines + [f"{_RULE_SETTINGS[name]}={value}" for name, value in given.items()]


# -- reading


def parse_rules(text: str, version: int, marks: Iterable[int]) -> Iterator[Item]:
    """The rules of these marks in the output of ``ip -json -4 rule show``. Raises DeviceError."""
    known = set(marks)
    command = f"`ip -json -{version} rule show`"
    for rule in objects(text, command):
        with parsing(command):
            table = _number(rule.get("fwmark"))
            # What somebody made of it counts by what it says, and is not what any view needs.
            words = _by_preference(rule, table) or f"pref {rule.get('priority')} fwmark {table:#x}"
        if table in known:
            yield Item(version, "rule", words)


def _by_preference(rule: dict[str, Any], table: int) -> str | None:
    shape = (rule.get("priority"), str(rule.get("table")), _number(rule.get("fwmask")), "not" in rule)
    if shape == (_BYPASS, "main", 0, False) and rule.get("ipproto") == "udp" and "sport" in rule:
        return _rule_bypass(rule["sport"], table)
    if shape == (_MAIN, "main", _MASK, True) and rule.get("suppress_prefixlen") == 0:
        return _rule_main(table)
    if shape == (_TUNNEL, str(table), _MASK, True):
        return _rule_tunnel(table)
    return None


def parse_routes(text: str, version: int, table: int) -> Iterator[Item]:
    """What is in a table of ours, of the output of ``ip -json -4 route show table N``. Raises DeviceError."""
    for route in objects(text, f"`ip -json -{version} route show table {table}`"):
        destination = route.get("dst")
        words = _throw(str(destination), table) if route.get("type") == "throw" else None
        yield Item(version, "route", words or f"{destination} dev {route.get('dev')} table {table}")


def _number(value: object) -> int:
    """Releases of iproute2 differ in whether they write a number as such or as text."""
    try:
        return int(str(value), 0)
    except ValueError:
        return 0
