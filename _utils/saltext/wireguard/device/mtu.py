"""
The MTU of an interface: the largest that fits through the paths to all its peers, but at most WireGuard's own default.

The routes to the configured endpoints count. Where peers roamed to does not, and neither does what the kernel learns
about a path for ten minutes, so the MTU is as stable as the configuration. Peers without an endpoint connect to this
node from anywhere, by either IP version, so the default routes stand for them.

Pure: ``node.local_facts`` runs ``ip``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..model.addresses import LEAST_MTU
from ..model.endpoint import Endpoint
from ..model.view import View
from . import exits
from .ip_json import answers, parsing

# What WireGuard adds to a packet: the outer IP header, UDP, and 32 bytes of its own.
OVERHEAD = {4: 60, 6: 80}

ETHERNET_MTU = 1500

# WireGuard's own default. Local devices and routes say nothing about the rest of the path: 1440 would fit through
# Ethernet over IPv4, but not through the PPPoE line at the other end.
WIREGUARD_MTU = ETHERNET_MTU - OVERHEAD[6]

_COMMAND = "`ip route get`"

# Addresses for documentation: only a default route leads to them.
_ANYWHERE = {4: "192.0.2.255", 6: "2001:db8:ffff::1"}


def route_queries(view: View, endpoints: Mapping[str, str]) -> dict[int, list[str]]:
    """
    Return IP version to the input of ``ip -4 -json -batch`` or ``ip -6 -json -batch``, line by line.

    :param endpoints: endpoint in the view to ``ip:port``, for those that resolve
    """
    resolved = {endpoints[peer.endpoint] for peer in view.peers if peer.endpoint and peer.endpoint in endpoints}
    hosts = {Endpoint.parse(text).host for text in resolved}
    wanted = {version: sorted(host for host in hosts if (":" in host) == (version == 6)) for version in OVERHEAD}
    if _is_reached_from_anywhere(view):
        wanted = {version: [*found, _ANYWHERE[version]] for version, found in wanted.items()}
    # With the mark of the interface's own packets, which never go through an exit.
    mark = exits.own_mark(view)
    return {version: [f"route get fibmatch {host} mark {mark}" for host in each] for version, each in wanted.items()}


def _is_reached_from_anywhere(view: View) -> bool:
    return not view.peers or any(peer.endpoint is None for peer in view.peers)


def routes(text: str) -> list[dict[str, Any]]:
    """The routes in the answer, which has a JSON list for each route found. Raises DeviceError."""
    return answers(text, _COMMAND)


def devices(route: Mapping[str, Any]) -> list[str]:
    """The devices that a route leads to: several for a multipath route. Raises DeviceError."""
    with parsing(_COMMAND):
        hops = route.get("nexthops") or [route]
        return [str(hop["dev"]) for hop in hops if "dev" in hop]


def path_mtu(route: Mapping[str, Any], of_devices: Iterable[int]) -> int:
    """The MTU of a route: its own, or that of its narrowest device. Raises DeviceError."""
    with parsing(_COMMAND):
        own = next((metric["mtu"] for metric in route.get("metrics", ()) if "mtu" in metric), None)
        return int(own) if own is not None else min(of_devices)


def fitting(view: View, paths: Mapping[int, Iterable[int]]) -> int | None:
    """
    Return the MTU that fits through all paths, None if no path is known.

    :param paths: IP version to the MTUs of the paths of this version
    """
    overhead = {version: OVERHEAD[6 if _is_reached_from_anywhere(view) else version] for version in paths}
    fits = [mtu - overhead[version] for version, mtus in paths.items() for mtu in mtus]
    return max(min(WIREGUARD_MTU, *fits), least(view)) if fits else None


def least(view: View) -> int:
    """The least MTU that the interface can have."""
    networks = [*view.addresses, *(text for peer in view.peers for text in peer.allowed_ips)]
    return LEAST_MTU[6 if any(":" in network for network in networks) else 4]
