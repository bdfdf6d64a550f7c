"""
What on this machine is in the way of its networks, found before anything is changed.

The same is looked for when a view is applied: what stops it is refused before the node registers, and the rest becomes
the obstacles that reports name.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from typing import Any

from ..device import exits, overlaps
from ..device.findings import Finding
from ..device.limits import IPV6_OFF, taken_route
from ..errors import NodeError, WireguardError
from ..model.endpoint import Endpoint
from ..model.view import View
from ..system import machine
from ..system.commands import run
from ..wording import some
from . import devices, endpoints, firewall, other_managers, ports, renaming
from .minion import Minion
from .ownership import refuse_foreign
from .pillar import all_views, label, select

# wireguard-go makes its devices by this.
TUN = "/dev/net/tun"

# No clock is before these modules were written.
_WRITTEN = 1764000000


def check(minion: Minion, network: str | None) -> dict[str, Any]:
    """Network, or interface described by hand -> what is in the way, as data. Raises WireguardError or OSError."""
    views = select(all_views(minion.fresh_pillar() if minion.has_master else minion.pillar), network)
    if not views:
        raise NodeError(
            "the pillar says nothing about WireGuard for this minion: no entry of the mesh file matches its id, or its"
            " Salt key is not accepted"
        )
    return {"networks": {label(view): _answer(view, [*findings(minion, view)]) for view in views}}


def _answer(view: View, found: list[Finding]) -> dict[str, Any]:
    stopping = sum(each.stops for each in found)
    comment = f"{view.interface} can be set up on this machine"
    if stopping:
        comment = f"{view.interface} cannot be set up on this machine"
    elif found:
        comment += ", but not all of it will work"
    ordered = sorted(found, key=lambda each: not each.stops)
    return {"result": not stopping, "comment": comment, "findings": [each.to_dict() for each in ordered]}


def refuse_impossible(minion: Minion, view: View) -> None:
    """Raise NodeError rather than let a node register for what it could not apply then."""
    refuse_foreign(view, renaming.key_file(view))
    minion.boot()
    if not devices.exists(view.interface) and renaming.former(view) is None:
        found = [each.sentence for each in _stopping(view)]
        if found:
            raise NodeError(f"{view.interface} cannot be set up, and nothing was changed: {'; '.join(found)}")


def findings(minion: Minion, view: View) -> Iterator[Finding]:
    """All that is in the way of a view, whether it is applied already or not."""
    missing = [name for name in ("ip", "wg") if not machine.here.program(name)]
    if missing:
        installs = minion.config("install_packages", True)
        yield _not_installed(missing, bool(installs))
    if "ip" in missing:
        return
    try:
        refuse_foreign(view, renaming.key_file(view))
        minion.boot()
        minion.safety(False, None)
    except WireguardError as exc:
        yield Finding(f"interface {view.interface}", str(exc), "", stops=True)
    if not devices.exists(view.interface) and renaming.former(view) is None:
        yield from _stopping(view)
    yield from _networks(view)
    yield from devices.clashing_rules(view)
    yield from other_managers.managing(view)
    if view.port:
        yield from other_managers.same_port(view)
        yield from filter(None, [firewall.closed(view.port)])
    yield from _names(view)
    yield from _master(minion, view)
    yield from _clock()


def _not_installed(programs: list[str], installs: bool) -> Finding:
    advice = "`state.apply wireguard` installs what is missing" if installs else "Install wireguard-tools and iproute2"
    return Finding(some(programs), "not installed", advice, stops=not installs)


def _stopping(view: View) -> Iterator[Finding]:
    """What no first apply gets past, and before one there is no device that could be in its own way."""
    if not machine.here.may_make_devices():
        yield Finding(
            "network devices",
            "this minion lacks the capability CAP_NET_ADMIN",
            "Run it as root, and a container with this capability",
            stops=True,
        )
    elif machine.here.has_module("wireguard") is False:
        yield from _of_userspace()
    if view.port:
        holder = ports.holder(view.interface, view.port)
        yield from [ports.in_use(view.interface, view.port, holder)] if holder else []
    wanted = [*view.addresses, *view.expected_subnets]
    if wanted and all(":" in each for each in wanted) and not machine.here.has_ipv6(view.interface):
        yield Finding(IPV6_OFF.subject, f"{IPV6_OFF.found}, and the network has no IPv4", "Turn it on", stops=True)


def _of_userspace() -> Iterator[Finding]:
    if not devices.userspace():
        yield devices.NO_WIREGUARD
    elif not os.path.exists(TUN):
        yield Finding("wireguard-go", f"it needs {TUN}, which is missing", "Let the container have that", stops=True)


def _networks(view: View) -> Iterator[Finding]:
    """Clashes of routes and networks: by its view, and before it has one by what it may expect."""
    ours = {view.interface, renaming.former(view) or view.interface}
    held = overlaps.held_by_others(run(["ip", "-json", "address", "show"]), ours)
    if view.addresses:
        possible = devices.possible(view)
        limits = devices.limits_of(possible, devices.read(view.interface), renaming.former(view))
        yield from limits.obstacles(possible, devices.forwarded(), devices.is_strict())
        yield from overlaps.surrounding_networks(possible.routes, held)
        return
    expected = (*view.expected_subnets, *view.expected_routes)
    if any(":" in each for each in expected) and not machine.here.has_ipv6(view.interface):
        yield IPV6_OFF
        expected = tuple(each for each in expected if ":" not in each)
    yield from overlaps.shared_networks([each for each in view.expected_subnets if each in expected], held)
    yield from overlaps.surrounding_networks(expected, held)
    taken = devices.routes_of_others(set(expected) & set(view.expected_routes), ours)
    yield from (taken_route(network, way) for network, way in sorted(taken.items()))


def _names(view: View) -> Iterator[Finding]:
    found = endpoints.look_up(peer.endpoint for peer in view.peers if peer.endpoint)
    for peer in view.peers:
        if peer.endpoint and peer.has_name_as_endpoint and Endpoint.parse(peer.endpoint).host not in found:
            yield Finding(
                f"the endpoint {peer.endpoint} of {peer.name}",
                "the name does not resolve here",
                "Correct the name, or this machine's resolver; it is tried again every two minutes",
            )


def _master(minion: Minion, view: View) -> Iterator[Finding]:
    """A master in a network behind the tunnel: nobody could repair what goes wrong there."""
    networks = [*view.routes, *view.expected_subnets, *view.expected_routes]
    if not minion.master_ip or exits.mark(view):
        return
    address = ip_address(minion.master_ip)
    inside = [each for each in networks if address in ip_network(each)]
    if inside:
        yield Finding(
            "a way to the Salt master beside the tunnel",
            f"its address {address} is in {some(inside)}",
            "Let minions reach the master by another address, or choose other networks",
        )


def _clock() -> Iterator[Finding]:
    told = ""
    if machine.here.program("timedatectl"):
        told = run(["timedatectl", "show", "--property=NTPSynchronized", "--value"], check=False).strip()
    now = time.time()
    if now < _WRITTEN:
        says = time.strftime("%Y-%m-%d", time.gmtime(now))
        yield Finding("the right time", f"the clock says {says}", "Set it, or run an NTP client")
    elif told == "no":
        yield Finding(
            "the right time for sure",
            "no NTP client keeps the clock",
            "Run one: a clock that is set back keeps WireGuard from new sessions until it is right again",
        )
