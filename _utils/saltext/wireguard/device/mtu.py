"""
The MTU of an interface, from the paths that its packets take to the peers: the largest that fits through all of
them, but no more than WireGuard's own default.

What counts are the routes to the endpoints as they are configured. Not where peers roamed to, nor what the kernel
learned of a path for ten minutes: so the MTU stays as it is as long as the configuration does. Peers without an
endpoint connect to this node from wherever they are, by either IP version: all that is known of these is the
default route.

Pure: ``ip`` is asked by ``node.local_facts``.
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

# What WireGuard itself takes. The devices and routes here say nothing about what comes after them: 1440 would fit into
# Ethernet by IPv4, but not through the PPPoE line at the other end.
WIREGUARD_MTU = ETHERNET_MTU - OVERHEAD[6]

_COMMAND = "`ip route get`"

# Of the ranges for documentation: only a default route leads there.
_ANYWHERE = {4: "192.0.2.255", 6: "2001:db8:ffff::1"}


def lines(view: View, endpoints: Mapping[str, str]) -> dict[int, list[str]]:
    """
    Return what to ask ``ip -4 -json -batch`` and ``ip -6 -json -batch``.

    :param endpoints: endpoint as the view has it to ``ip:port``, of those that can be resolved
    """
    resolved = {endpoints[peer.endpoint] for peer in view.peers if peer.endpoint and peer.endpoint in endpoints}
    hosts = {Endpoint.parse(text).host for text in resolved}
    wanted = {version: sorted(host for host in hosts if (":" in host) == (version == 6)) for version in OVERHEAD}
    if _is_reached_from_anywhere(view):
        wanted = {version: [*found, _ANYWHERE[version]] for version, found in wanted.items()}
    # As the packets of the interface itself, which never go through an exit.
    mark = exits.own_mark(view)
    return {version: [f"route get fibmatch {host} mark {mark}" for host in found] for version, found in wanted.items()}


def _is_reached_from_anywhere(view: View) -> bool:
    return not view.peers or any(peer.endpoint is None for peer in view.peers)


def routes(text: str) -> list[dict[str, Any]]:
    """The routes in the answer, one JSON list for each that there is. Raises DeviceError."""
    return answers(text, _COMMAND)


def devices(route: Mapping[str, Any]) -> list[str]:
    """The devices that a route leads to: several where it has several ways. Raises DeviceError."""
    with parsing(_COMMAND):
        ways = route.get("nexthops") or [route]
        return [str(way["dev"]) for way in ways if "dev" in way]


def path_mtu(route: Mapping[str, Any], of_devices: Iterable[int]) -> int:
    """The MTU of a route: its own, or else that of its narrowest device. Raises DeviceError."""
    with parsing(_COMMAND):
        own = next((metric["mtu"] for metric in route.get("metrics", ()) if "mtu" in metric), None)
        return int(own) if own is not None else min(of_devices)


def fitting(view: View, paths: Mapping[int, Iterable[int]]) -> int | None:
    """
    Return the MTU that fits through all paths, None where nothing is known of any.

    :param paths: IP version to the MTUs of the paths of this version
    """
    from_anywhere = _is_reached_from_anywhere(view)
    found = [
        mtu - (OVERHEAD[6] if from_anywhere else OVERHEAD[version]) for version, mtus in paths.items() for mtu in mtus
    ]
    return max(min(WIREGUARD_MTU, *found), least(view)) if found else None


def least(view: View) -> int:
    """The least MTU that the interface can have."""
    networks = [*view.addresses, *(text for peer in view.peers for text in peer.allowed_ips)]
    return LEAST_MTU[6 if any(":" in network for network in networks) else 4]
