"""Who has a UDP port that an interface cannot have."""

from __future__ import annotations

import re

from ..device.findings import Finding
from ..errors import NodeError
from ..system.commands import run
from ..wording import one_line, some

# What the C library says, and so `wg` and `ip`, in the language that commands run in.
_IN_USE = "Address already in use"
_PROCESS = re.compile(r'\("(?P<name>[^"]*)",pid=(?P<pid>\d+),')


def explained(error: NodeError, interface: str, port: int | None) -> NodeError:
    """The error of a command; if it failed because the port is in use, one that says who has it."""
    if port is None or _IN_USE not in str(error):
        return error
    finding = in_use(interface, port, holder(interface, port) or "something that `ss -uanp` does not name")
    return NodeError(f"{interface}: {finding.subject} is {finding.found}. {finding.advice} ({error})")


def in_use(interface: str, port: int, who: str) -> Finding:
    """The finding for a port that somebody else has."""
    return Finding(f"UDP port {port}", f"in use by {who}", f"End that, or give {interface} another `port:`", stops=True)


def holder(interface: str, port: int) -> str | None:
    """Who has the port, apart from the interface: another WireGuard interface, or processes. None if unknown."""
    lines = (line.split("\t") for line in run(["wg", "show", "all", "listen-port"], check=False).splitlines())
    names = [name for name, *number in lines if number == [str(port)] and name != interface]
    if names:
        return f"the WireGuard interface {some(names)}"
    try:
        text = run(["ss", "-H", "-u", "-a", "-n", "-p", f"sport = :{port}"], check=False)
    except NodeError:  # there is no `ss`
        return None
    found = {f"{one_line(each['name'])} (process {each['pid']})" for each in _PROCESS.finditer(text)}
    return some(found) if found else None
