"""
The default route through an exit node: which packets take it, by policy routing as in wg-quick.

The interface's own packets carry a mark (``wg set fwmark``). Packets without it follow the main table if that has a
more specific route than the default one. Otherwise they follow a table of the interface, whose default route leads into
the tunnel. That route stays when the exit does not answer or is gone: packets wait or are dropped, and none leaves by
another route.

Some packets bypass the exit: those of the machine's other WireGuard interfaces, recognised by their ports, and those to
the Salt master, or without a master to the ssh client that applied the exit. That connection would break when the
default route changes, and a failing exit would take away the means to leave it.

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

# A mark, and the table of the same number, is unique to an interface by its port. The upper half spells "WG".
_BASE = 0x57470000
_MASK = 0xFFFF0000

# wg-quick lets the kernel choose, which takes the next number below the lowest: above 32,000 on most machines.
_BYPASS, _MAIN, TUNNEL_PRIORITY = 31818, 31819, 31820

_RULE_SETTINGS = {
    "pref": "Priority",
    "fwmark": "FirewallMark",
    "ipproto": "IPProtocol",
    "sport": "SourcePort",
    "lookup": "Table",
    "suppress_prefixlength": "SuppressPrefixLength",
}

# The reverse path filter looks up the route back to the sender of a packet, which is now the tunnel for packets from
# outside. A strict filter (1) drops these, a loose one (2, systemd's default) does not. The larger number of `all` and
# the device counts.
LOOSEN_PATH_FILTER = (
    "for f in /proc/sys/net/ipv4/conf/*/rp_filter; do"
    " if [ $(cat $f) = 1 ]; then echo 2 > /proc/sys/net/ipv4/conf/all/rp_filter; fi; done"
)
PATH_FILTERS = "/proc/sys/net/ipv4/conf/*/rp_filter"
PATH_FILTER_OF_ALL = "/proc/sys/net/ipv4/conf/all/rp_filter"


@dataclass(frozen=True, order=True)
class Item:
    """One rule or route of an IP version; ``arguments`` follow ``ip -4 rule add`` or ``ip -6 route replace``."""

    version: int
    kind: str
    arguments: str

    @property
    def bypass(self) -> str | None:
        """The traffic that it keeps out of the tunnel; None for an item that leads into it."""
        words = self.arguments.split()
        if words[0] == "throw":
            return words[1]
        return f"UDP port {words[words.index('sport') + 1]}" if "sport" in words else None

    def added(self) -> tuple[str, ...]:
        """The command that adds it. A route may exist already, a rule must not: ``ip`` would add it twice."""
        return self._argv("add" if self.kind == "rule" else "replace")

    def deleted(self) -> tuple[str, ...]:
        """The command that deletes it."""
        return self._argv("del")

    def _argv(self, verb: str) -> tuple[str, ...]:
        return ("ip", f"-{self.version}", self.kind, verb, *self.arguments.split())


@dataclass(frozen=True)
class Policy:
    """The items that a machine has for an interface. ``strict``: its reverse path filter would drop packets."""

    items: frozenset[Item] = frozenset()
    strict: bool = False

    @classmethod
    def of(cls, view: View) -> Policy:
        """The items that a view needs."""
        return cls(frozenset(items(view)))


NO_POLICY = Policy()


def mark(view: View) -> int:
    """The mark of the interface's own packets; 0 for none, if no default route leads into it."""
    return own_mark(view) if view.via is not None and view.port is not None else 0


def own_mark(view: View) -> int:
    """The mark that the interface's own packets have if a default route leads into it."""
    return _BASE | (view.port or 0)


def is_ours(fwmark: int) -> bool:
    """Whether a mark is one that ``own_mark`` makes."""
    return fwmark & _MASK == _BASE


def versions(view: View) -> list[int]:
    """The IP versions whose default route leads into the interface."""
    return sorted({ip_interface(address).version for address in view.addresses}) if view.via is not None else []


def items(view: View) -> list[Item]:
    """What the view needs, in the order of creation: the rule that leads into the tunnel comes last."""
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
    """For this address, the lookup leaves the table and continues with the next rule."""
    return f"throw {address} table {table}"


def _rule_bypass(port: int, table: int) -> str:
    # With a mask of 0, the mark matches every packet. It is there to say whose rule this is.
    return f"pref {_BYPASS} fwmark {table:#x}/0 ipproto udp sport {port} lookup main"


def _rule_main(table: int) -> str:
    return f"pref {_MAIN} not fwmark {table:#x}/{_MASK:#x} lookup main suppress_prefixlength 0"


def _rule_tunnel(table: int) -> str:
    return f"pref {TUNNEL_PRIORITY} not fwmark {table:#x}/{_MASK:#x} lookup {table}"


# -- for the configuration file


def at_up(view: View) -> list[str]:
    """The shell commands that set it all up for a new device. A rule may be left over from an earlier device."""
    commands = [f"{{ {LOOSEN_PATH_FILTER}; }} || :"] if 4 in versions(view) else []
    for item in items(view):
        if item.kind == "rule":
            commands.append(f"{' '.join(item.deleted())} 2>/dev/null || :")
        commands.append(" ".join(item.added()))
    return commands


def at_down(view: View) -> list[str]:
    """The shell commands that delete what outlives the device."""
    return [f"{' '.join(item.deleted())} || :" for item in reversed(items(view)) if _outlives(item)]


def _outlives(item: Item) -> bool:
    return item.kind == "rule" or item.arguments.startswith("throw ")


def bypass_addresses_of(text: str) -> list[str]:
    """The addresses that bypass the exit, read from the commands of ``at_up``."""
    return list(dict.fromkeys(re.findall(r"throw (\S+) table", text)))


def other_ports_of(text: str) -> list[int]:
    """The ports whose packets bypass the exit, read from the commands of ``at_up``."""
    return [int(port) for port in dict.fromkeys(re.findall(r"sport (\d+) lookup", text))]


# -- for systemd-networkd


def networkd(item: Item) -> list[str]:
    """The section of a ``.network`` file for an item."""
    words = item.arguments.split()
    if words[0] == "throw":
        return ["[Route]", f"Destination={words[1]}", "Type=throw", f"Table={words[-1]}"]
    if item.kind == "route":
        scope = ["Scope=link"] if item.version == 4 else []
        return ["[Route]", f"Destination={DEFAULTS[item.version]}", f"Table={words[-1]}", "Protocol=boot", *scope]
    lines = ["[RoutingPolicyRule]", f"Family=ipv{item.version}", *(["InvertRule=yes"] if "not" in words else [])]
    present = [(name, setting) for name, setting in _RULE_SETTINGS.items() if name in words]
    return lines + [f"{setting}={words[words.index(name) + 1]}" for name, setting in present]


# -- reading


def parse_rules(text: str, version: int, marks: Iterable[int]) -> Iterator[Item]:
    """The rules of these marks in the output of ``ip -json -4 rule show``. Raises DeviceError."""
    known = set(marks)
    command = f"`ip -json -{version} rule show`"
    for rule in objects(text, command):
        with parsing(command):
            table = number(rule.get("fwmark"))
            # A rule that somebody changed keeps its own arguments. No view needs these, so it will be deleted.
            arguments = _by_preference(rule, table) or f"pref {rule.get('priority')} fwmark {table:#x}"
        if table in known:
            yield Item(version, "rule", arguments)


def _by_preference(rule: dict[str, Any], table: int) -> str | None:
    shape = (rule.get("priority"), str(rule.get("table")), number(rule.get("fwmask")), "not" in rule)
    if shape == (_BYPASS, "main", 0, False) and rule.get("ipproto") == "udp" and "sport" in rule:
        return _rule_bypass(rule["sport"], table)
    if shape == (_MAIN, "main", _MASK, True) and rule.get("suppress_prefixlen") == 0:
        return _rule_main(table)
    if shape == (TUNNEL_PRIORITY, str(table), _MASK, True):
        return _rule_tunnel(table)
    return None


def parse_routes(text: str, version: int, table: int) -> Iterator[Item]:
    """The routes in a table of ours, from the output of ``ip -json -4 route show table N``. Raises DeviceError."""
    for route in objects(text, f"`ip -json -{version} route show table {table}`"):
        destination = route.get("dst")
        throw = _throw(str(destination), table) if route.get("type") == "throw" else None
        yield Item(version, "route", throw or f"{destination} dev {route.get('dev')} table {table}")


def number(value: object) -> int:
    """Some releases of iproute2 print numbers as JSON numbers, others as text."""
    try:
        return int(str(value), 0)
    except ValueError:
        return 0
