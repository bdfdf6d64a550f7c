"""Does the mesh carry packets? Every node pings every other at its mesh addresses, with no Salt involved.

The two directions of a pair never run at the same moment: two first handshakes that cross cost WireGuard five seconds.
"""

import ipaddress
import json
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

from .host import Host

WORKERS = 8
PAUSE_SECONDS = 0.3
# One shell for all addresses of a node: entering a host costs more than a ping does.
ADDRESSES = 'for i in $(wg show interfaces); do ip -json address show dev "$i"; done'
PINGS = (
    'for a in "$@"; do'
    ' printf "%s %s\\n" "$a" "$(ping -n -c 1 -W 1 "$a" 2>/dev/null | sed -n "s/.*time=\\([0-9.]*\\).*/\\1/p")";'
    " done"
)
Mesh = dict[str, dict[tuple[str, int], list[str]]]


@dataclass(frozen=True)
class Pair:
    """One direction between two nodes, at one address. Without an address the other node cannot be reached at all."""

    sender: str
    receiver: str
    address: str | None
    family: int | None
    ok: bool = False
    ms: float | None = None

    def as_json(self) -> dict[str, str | float | bool | None]:
        """Return the pair in the words of the command's JSON output."""
        fields = asdict(self)
        return {
            "from": fields["sender"],
            "to": fields["receiver"],
            **{key: fields[key] for key in ("address", "ok", "ms")},
        }


def ping_mesh(hosts: list[Host], wait: float) -> list[Pair]:
    """Ping all pairs; try what fails again until the time is over. Addresses are read anew for every try."""
    deadline = time.monotonic() + wait
    done: dict[tuple[str, str, str | None], Pair] = {}
    by_name = {host.name: host for host in hosts}
    while True:
        with ThreadPoolExecutor(WORKERS) as pool:
            mesh = dict(zip([host.name for host in hosts], pool.map(_addresses, hosts), strict=True))
            tries = [
                [[done.get((p.sender, p.receiver, p.address), p) for p in direction] for direction in both]
                for both in _all_pairs(hosts, mesh)
            ]
            pairs = [pair for both in pool.map(_ping_both, [by_name] * len(tries), tries) for pair in both]
        done = {(pair.sender, pair.receiver, pair.address): pair for pair in pairs if pair.ok}
        if len(done) == len(pairs) or time.monotonic() + PAUSE_SECONDS > deadline:
            return pairs
        time.sleep(PAUSE_SECONDS)


def table(names: list[str], pairs: list[Pair]) -> str:
    """Return one table an address family: milliseconds from the row's node to the column's."""
    blocks = []
    families = sorted({pair.family for pair in pairs if pair.family})
    width = max(len(name) for name in [*names, "FAIL", "0.000"]) + 2
    shown: Sequence[int | None] = families or [None]
    for family in shown:
        cells: dict[tuple[str, str], list[Pair]] = {}
        for pair in pairs:
            if pair.family in (family, None):
                cells.setdefault((pair.sender, pair.receiver), []).append(pair)
        title = f"IPv{family} ms" if family else "no mesh"
        lines = [title.ljust(width) + "".join(name.rjust(width) for name in names)]
        for row in names:
            lines.append(row.ljust(width) + "".join(_cell(cells.get((row, name), [])).rjust(width) for name in names))
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def _cell(pairs: list[Pair]) -> str:
    if not pairs:
        return "-"
    if not all(pair.ok for pair in pairs):
        return "FAIL"
    return f"{max(pair.ms or 0 for pair in pairs):.2f}"


def _addresses(host: Host) -> dict[tuple[str, int], list[str]]:
    """Return the host's addresses by WireGuard interface and family."""
    if not host.is_on():
        return {}
    found: dict[tuple[str, int], list[str]] = {}
    for interface in _documents(host.run(["sh", "-c", ADDRESSES]).stdout):
        for entry in interface.get("addr_info", []):
            if entry["scope"] != "link":
                family = ipaddress.ip_address(entry["local"]).version
                found.setdefault((interface["ifname"], family), []).append(entry["local"])
    return found


def _documents(text: str) -> Iterator[dict[str, Any]]:
    """Parse what ``ip -json`` printed, once for each interface."""
    for line in re.split(r"(?<=\])\s*\n", text.strip()):
        if line.strip():
            yield from json.loads(line)


def _all_pairs(hosts: list[Host], mesh: Mesh) -> list[list[list[Pair]]]:
    """Return, for every two nodes, the pairs of one direction and those of the other."""
    families: dict[str, set[int]] = {}
    for interfaces in mesh.values():
        for interface, family in interfaces:
            families.setdefault(interface, set()).add(family)
    names = [host.name for host in hosts]
    return [[_direction(a, b, mesh, families), _direction(b, a, mesh, families)] for a, b in combinations(names, 2)]


def _direction(sender: str, receiver: str, mesh: Mesh, families: dict[str, set[int]]) -> list[Pair]:
    """Return what one node should reach of another: on interfaces of the same name, in every family used there."""
    shared = {name for name, _ in mesh[sender]} & {name for name, _ in mesh[receiver]}
    if not shared:
        return [Pair(sender, receiver, None, None)]
    pairs = []
    for interface in sorted(shared):
        for family in sorted(families[interface]):
            addresses: Iterable[str | None] = mesh[receiver].get((interface, family)) or [None]
            pairs += [Pair(sender, receiver, address, family) for address in addresses]
    return pairs


def _ping_both(hosts: dict[str, Host], both: list[list[Pair]]) -> list[Pair]:
    """Ping one direction, then the other."""
    return [pair for direction in both for pair in _ping(hosts[direction[0].sender], direction)]


def _ping(host: Host, pairs: list[Pair]) -> list[Pair]:
    """Ping those of the pairs that have not answered yet."""
    addresses = [pair.address for pair in pairs if pair.address and not pair.ok]
    if not addresses or not host.is_on():
        return pairs
    printed = host.run(["sh", "-c", PINGS, "ping", *addresses]).stdout
    times = dict(line.split(" ", 1) for line in printed.splitlines() if " " in line)
    return [pair if pair.ok or not pair.address else _answered(pair, times.get(pair.address, "")) for pair in pairs]


def _answered(pair: Pair, ms: str) -> Pair:
    if not ms:
        return pair
    return Pair(pair.sender, pair.receiver, pair.address, pair.family, ok=True, ms=float(ms))
