"""WireGuard devices of this machine: read, made, removed."""

from __future__ import annotations

import glob
import os
import time
from collections.abc import Collection, Sequence
from ipaddress import ip_interface
from typing import Any

from ..device import exits, forwarding, limits, other_rules, overlaps, parse
from ..device.exits import NO_POLICY, Item, Policy
from ..device.findings import Finding
from ..device.limits import Limits
from ..errors import NodeError
from ..model.device import Device, DevicePeer
from ..model.view import View
from ..system import files, machine
from ..system.commands import run
from . import config_files

_USERSPACE_END_SECONDS = 5.0


def exists(interface: str) -> bool:
    """Whether there is a device of this name, of whatever kind."""
    return machine.here.has_device(interface)


def names() -> list[str]:
    """All WireGuard devices."""
    return run(["wg", "show", "interfaces"]).split() if machine.here.program("wg") else []


def read(interface: str) -> Device | None:
    """The device as it is; None where there is none. Raises NodeError or DeviceError."""
    if not exists(interface):
        return None
    return parse.parse(
        interface,
        run(["wg", "show", interface, "dump"]),
        run(["ip", "-json", "address", "show", "dev", interface]),
        run(["ip", "-json", "-4", "route", "show", "dev", interface, "table", "main"]),
        run(["ip", "-json", "-6", "route", "show", "dev", interface, "table", "main"]),
    )


def peers(interface: str) -> dict[str, DevicePeer]:
    """Only the peers, by public key: one command instead of four, where it is urgent."""
    return parse.parse_peers(interface, run(["wg", "show", interface, "dump"], secret=True))


def preshared_keys(interface: str) -> dict[str, str]:
    """Public key -> preshared key, which is a secret, of the peers that have one."""
    pairs = [line.split("\t") for line in run(["wg", "show", interface, "preshared-keys"], secret=True).splitlines()]
    return {pair[0]: pair[1] for pair in pairs if len(pair) == 2 and pair[1] != "(none)"}


def handshakes(interface: str) -> dict[str, int]:
    """Public key -> latest handshake in Unix seconds, 0 for never."""
    return parse.handshakes(run(["wg", "show", interface, "latest-handshakes"]))


def forwarded() -> list[int]:
    """The IP versions that this machine forwards."""
    return [version for version, path in forwarding.FILES.items() if files.read(path).strip() == "1"]


def policy(*marks: int) -> Policy:
    """What there is of default routes into interfaces with these marks; no command runs for none. Raises NodeError."""
    ours = {mark for mark in marks if exits.is_ours(mark)}
    if not ours:
        return NO_POLICY
    found: set[Item] = set()
    for version in (4, 6):
        ip = ["ip", "-json", f"-{version}"]
        # Without IPv6, there is none of it; a table without a route is an error to `ip`.
        found.update(exits.parse_rules(run([*ip, "rule", "show"], check=version == 4), version, ours))
        for mark in ours:
            text = run([*ip, "route", "show", "table", str(mark)], check=False)
            found.update(exits.parse_routes(text.removesuffix("["), version, mark))
    return Policy(frozenset(found), is_strict())


def is_strict() -> bool:
    """Whether packets from outside are checked too strictly for a default route into a tunnel."""
    filters = {path: files.read(path).strip() for path in glob.glob(exits.PATH_FILTERS)}
    return "1" in filters.values() and filters.get(exits.PATH_FILTER_OF_ALL) != "2"


def possible(view: View) -> View:
    """The view as far as the IP versions of this machine go."""
    has_any = any(":" in text for text in (*view.all_addresses, *view.routes))
    return view.without_ipv6() if has_any and not machine.here.has_ipv6(view.interface) else view


def limits_of(view: View, device: Device | None, former: str | None = None) -> Limits:
    """
    What of a view this machine cannot have. Raises NodeError or DeviceError.

    :param former: a device that is about to be removed
    """
    missing = view.routes - device.routes if device else view.routes
    ours = {view.interface, former or view.interface}
    paths = (*forwarding.FILES.values(), exits.PATH_FILTER_OF_ALL)
    held = overlaps.held_by_others(run(["ip", "-json", "address", "show"]), ours)
    networks = sorted({str(ip_interface(address).network) for address in view.addresses})
    shared = (
        *overlaps.shared_addresses(view.addresses, held),
        *overlaps.taken_peers(view.peers, held),
        *overlaps.shared_networks(networks, held),
    )
    return Limits(
        routes_of_others(missing, ours),
        frozenset(path for path in paths if not machine.here.is_writable(path)),
        (*shared, *(clashing_rules(view) if view.via is not None else ())),
    )


def routes_of_others(networks: Collection[str], ours: Collection[str]) -> dict[str, str]:
    """Of these networks, those to which the machine has a route that leads elsewhere, and how that is written."""
    found: dict[str, str] = {}
    for version in (4, 6):
        asked = limits.questions(network for network in networks if (":" in network) == (version == 6))
        if asked:
            ip = ["ip", f"-{version}", "-json", "-force", "-batch", "-"]
            found.update(limits.routes_of_others(run(ip, stdin="\n".join(asked) + "\n", check=False), ours))
    return found


def clashing_rules(view: View) -> tuple[Finding, ...]:
    """Rules of others that keep packets from the interface's routes. Raises NodeError or DeviceError."""
    found: list[Finding] = []
    if view.via is not None:
        found += other_rules.halves_taken(routes_of_others(other_rules.HALVES, {view.interface}), view)
    for version in (4, 6):

        def has_default(table: str, version: int = version) -> bool:
            return bool(
                run(["ip", "-json", f"-{version}", "route", "show", "table", table, "default"], check=False).strip(
                    "[]\n "
                )
            )

        text = run(["ip", "-json", f"-{version}", "rule", "show"], check=version == 4)
        found += other_rules.clashes(text, version, view, has_default)
    return tuple(found)


NO_WIREGUARD = Finding(
    "WireGuard",
    "this kernel has none, and there is no wireguard-go",
    "Install the kernel module, or wireguard-go; after an upgrade of the kernel, boot",
    stops=True,
)


def userspace() -> str | None:
    """The program that makes a device where the kernel cannot."""
    return machine.here.program(os.environ.get("WG_QUICK_USERSPACE_IMPLEMENTATION") or "wireguard-go")


def create(interface: str, command: Sequence[str]) -> None:
    """By the kernel, with this command, where it can; else by wireguard-go, as wg-quick does. Raises NodeError."""
    try:
        run(command)
    except NodeError as exc:
        if exists(interface):
            raise
        program = userspace()
        if not program:
            raise NodeError(f"this kernel has no WireGuard ({exc}). {NO_WIREGUARD.advice}") from exc
        os.makedirs("/run/wireguard", mode=0o700, exist_ok=True)
        _await_end_of_userspace(interface)
        run([program, interface])


def _await_end_of_userspace(interface: str) -> None:
    """
    The wireguard-go of a device that is just gone removes its socket when it notices, also if it is a new one's then.
    A socket that stays belonged to one that was killed, and is in nobody's way.
    """
    deadline = time.monotonic() + _USERSPACE_END_SECONDS
    while os.path.exists(f"/run/wireguard/{interface}.sock") and time.monotonic() < deadline:
        time.sleep(0.02)


def delete(interface: str) -> None:
    """Remove the device if there is one, and what leads into it."""
    found = read(interface)
    for item in sorted(policy(found.mark if found else 0, config_files.applied(interface).mark).items, reverse=True):
        run(item.deleted())
    if exists(interface):
        run(["ip", "link", "delete", "dev", interface])
        _await_end_of_userspace(interface)


def show(interface: str | None) -> dict[str, Any]:
    """Interface -> the device as data for people; all WireGuard devices for None. Raises NodeError or DeviceError."""
    found = {name: read(name) for name in ([interface] if interface else names())}
    if interface and not found[interface]:
        raise NodeError(f"there is no interface {interface}")
    return {name: _described(name, device) for name, device in found.items() if device}


def _described(interface: str, device: Device) -> dict[str, Any]:
    """A device as data for people, without secrets."""
    known = config_files.applied(interface).names
    return {
        "public_key": device.public_key,
        "port": device.port,
        "mtu": device.mtu,
        "up": device.up,
        "addresses": sorted(device.addresses),
        "routes": sorted(device.routes),
        "peers": {key: _described_peer(known.get(key), peer) for key, peer in sorted(device.peers.items())},
    }


def _described_peer(name: str | None, peer: DevicePeer) -> dict[str, Any]:
    return {
        "name": name,
        "endpoint": peer.endpoint,
        "allowed_ips": sorted(peer.allowed_ips),
        "latest_handshake": peer.latest_handshake or None,
        "received": peer.rx,
        "sent": peer.tx,
        "keepalive": peer.keepalive,
        "preshared_key": "(hidden)" if peer.preshared_key else None,
    }
