"""
Which of its addresses a node offers as endpoints.

The address that the node uses towards its Salt master comes first, then the others, IPv4 before IPv6. A node does not
offer loopback, link-local, temporary and deprecated addresses, nor those of WireGuard interfaces (a tunnel cannot carry
itself), of bridges for containers and virtual machines, and of overlays. Of a point-to-point device, which leads to a
provider or into a tunnel, it offers only public addresses. The operator can name interfaces and networks to offer,
whatever they are, and others not to offer.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection
from typing import Any

from ..errors import DeviceError
from ..model.addresses import Address, can_be_endpoint
from ..model.offers import ANY, Offers
from ..model.statements import MAX_ENDPOINTS
from .ip_json import objects, parsing

_INTERNAL = (
    "cali", "cbr", "cilium", "cni", "docker", "flannel", "genev", "gre", "gretap", "incusbr", "ipsec", "kube-ipvs",
    "lxc", "lxdbr", "nodelocaldns", "ovs-system", "podman", "tailscale", "tap", "tun", "veth", "virbr", "vnet", "vxlan",
    "weave", "wt", "xfrm", "zt",
)  # fmt: skip
_DOCKER_BRIDGE = re.compile(r"br-[0-9a-f]{12}")  # br-ex, br-lan and the like carry the addresses of real machines


def candidates(
    address_json: str, towards_master: str | None, tunnels: Collection[str], offers: Offers = ANY
) -> tuple[str, ...]:
    """
    The node's endpoint candidates, best first.

    ``address_json``: of ``ip -json address show``. ``towards_master``: the source address of the route to the master,
    if known. ``tunnels``: names of WireGuard interfaces. Raises DeviceError.
    """
    command = "`ip -json address show`"
    links = objects(address_json, command)
    with parsing(command):
        good = [address for link in links if link.get("ifname") not in tunnels for address in _offered(link, offers)]
    best_first = sorted(good, key=lambda address: (str(address) != towards_master, address.version))
    return tuple(str(address) for address in best_first[:MAX_ENDPOINTS])


def source_address(route_json: str) -> str | None:
    """The source address in the answer of ``ip -json route get``, None if it has none."""
    source = _route(route_json).get("prefsrc")
    return source if isinstance(source, str) else None


def device(route_json: str) -> str | None:
    """The device in the answer of ``ip -json route get``, None where it names none."""
    name = _route(route_json).get("dev")
    return name if isinstance(name, str) else None


def is_own(route_json: str) -> bool:
    """Whether ``ip -json route get`` was asked for an address of this machine."""
    return _route(route_json).get("type") == "local"


def _route(route_json: str) -> dict[str, Any]:
    """The route in the answer, empty if there is none: `ip` fails without a route, and may print anything."""
    try:
        return next(iter(objects(route_json, "`ip -json route get`")), {})
    except DeviceError:
        return {}


def _offered(link: dict[str, Any], offers: Offers) -> list[Address]:
    name: str = link.get("ifname", "")
    is_internal = bool(name.startswith(_INTERNAL) or _DOCKER_BRIDGE.fullmatch(name))
    return [
        address
        for address in _usable(link)
        if can_be_endpoint(address)
        and offers.allow(name, address)
        and (offers.names(name, address) or (not is_internal and _is_outward(link, address)))
    ]


def _is_outward(link: dict[str, Any], address: Address) -> bool:
    flags = link.get("flags", [])
    return "LOOPBACK" not in flags and (address.is_global or "POINTOPOINT" not in flags)


def _usable(link: dict[str, Any]) -> list[Address]:
    return [
        ipaddress.ip_address(info["local"])
        for info in link.get("addr_info", [])
        if info.get("scope") == "global"
        and "local" in info
        and not info.get("temporary")
        and not info.get("deprecated")
        and not info.get("tentative")
    ]
