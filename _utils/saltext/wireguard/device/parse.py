"""
The output of ``wg`` and ``ip``, parsed.

Pure: nothing here runs a command. Secrets that ``wg show dump`` prints do not get further: neither a ``Device`` nor an
error message has them. A fingerprint stands for a preshared key.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from ipaddress import ip_interface, ip_network
from typing import Any, TypeVar

from ..errors import DeviceError
from ..model.addresses import DEFAULTS
from ..model.device import Device, DevicePeer, fingerprint
from ..model.endpoint import canonical_endpoint
from .ip_json import objects, parsing

_T = TypeVar("_T")

_INTERFACE_FIELDS = 4
_PEER_FIELDS = 8


def parse(interface: str, dump: str, link_json: str, routes4_json: str, routes6_json: str) -> Device:
    """
    Return the device that these outputs describe. Raises DeviceError, whose message quotes no secret.

    :param dump: of ``wg show IF dump``
    :param link_json: of ``ip -json address show dev IF``
    :param routes4_json: of ``ip -json -4 route show dev IF table main``; empty without IPv4
    :param routes6_json: the same with ``-6``
    """
    public_key, port, mark, peers = _parse_dump(interface, dump)
    link = _link(interface, link_json)
    routes = _routes(routes4_json, 4) | _routes(routes6_json, 6)
    return Device(
        interface=interface,
        up=_is_up(interface, link),
        public_key=public_key,
        port=port,
        mtu=_checked(int, link.get("mtu"), f"mtu of {interface}"),
        addresses=_addresses(interface, link, is_link_local=False),
        routes=frozenset(routes),
        peers=peers,
        boot_routes=frozenset(network for network, protocol in routes.items() if protocol == "boot"),
        mark=mark,
        link_local=_addresses(interface, link, is_link_local=True),
    )


def parse_peers(interface: str, dump: str) -> dict[str, DevicePeer]:
    """Return only the peers, by public key, from ``wg show IF dump``. Raises DeviceError as ``parse`` does."""
    return _parse_dump(interface, dump)[3]


def _parse_dump(interface: str, dump: str) -> tuple[str | None, int, int, dict[str, DevicePeer]]:
    command = f"`wg show {interface} dump`"
    lines = dump.splitlines()
    if not lines:
        raise DeviceError(f"{command} printed nothing")
    _private_key, public_key, port, mark = _fields(lines[0], _INTERFACE_FIELDS, f"{command}, line 1")
    peers = {}
    for number, line in enumerate(lines[1:], 2):
        peer = _peer(line, f"{command}, line {number}")
        peers[peer.public_key] = peer
    where = f"{command}, line 1"
    return (
        _absent(public_key),
        _checked(int, port, f"{where}: port"),
        0 if mark == "off" else _checked(lambda text: int(text, 0), mark, f"{where}: fwmark"),
        peers,
    )


def _fields(line: str, count: int, where: str) -> list[str]:
    fields = line.split("\t")
    if len(fields) != count:
        raise DeviceError(f"{where}: {len(fields)} fields instead of {count}")
    return fields


def _peer(line: str, where: str) -> DevicePeer:
    public_key, preshared_key, endpoint, allowed_ips, handshake, rx, tx, keepalive = _fields(line, _PEER_FIELDS, where)
    known_endpoint = _absent(endpoint)
    return DevicePeer(
        public_key=public_key,
        endpoint=known_endpoint and _checked(canonical_endpoint, known_endpoint, f"{where}: endpoint"),
        allowed_ips=_checked(_networks, _absent(allowed_ips), f"{where}: allowed IPs"),
        latest_handshake=_checked(int, handshake, f"{where}: latest handshake"),
        rx=_checked(int, rx, f"{where}: bytes received"),
        tx=_checked(int, tx, f"{where}: bytes sent"),
        keepalive=0 if keepalive == "off" else _checked(int, keepalive, f"{where}: keepalive"),
        preshared_key=fingerprint(preshared_key) if _absent(preshared_key) else None,
    )


def _absent(field: str) -> str | None:
    return None if field == "(none)" else field


def _networks(field: str | None) -> frozenset[str]:
    return frozenset(str(ip_network(text)) for text in field.split(",")) if field else frozenset()


def _checked(convert: Callable[[Any], _T], value: object, what: str) -> _T:
    """Convert a value. The error says what is malformed without quoting it: in a shifted line, it may be a secret."""
    try:
        return convert(value)
    except (ArithmeticError, TypeError, ValueError):
        raise DeviceError(f"{what} is malformed") from None


def _is_up(interface: str, link: Mapping[str, Any]) -> bool:
    with parsing(_link_command(interface)):
        return "UP" in link.get("flags", ())


def _link(interface: str, text: str) -> dict[str, Any]:
    what = _link_command(interface)
    # Some releases of iproute2 print an empty object for every interface that was not asked for.
    for item in objects(text, what):
        if item.get("ifname") == interface:
            return item
    raise DeviceError(f"{what}: {interface} is not in it")


def _link_command(interface: str) -> str:
    return f"`ip -json address show dev {interface}`"


def _addresses(interface: str, link: Mapping[str, Any], is_link_local: bool) -> frozenset[str]:
    with parsing(_link_command(interface)):
        return frozenset(
            _checked(_address, item, f"an address of {interface}")
            for item in link.get("addr_info", ())
            if (item.get("family") == "inet6" and item.get("scope") == "link") == is_link_local
        )


def _address(item: Mapping[str, Any]) -> str:
    return str(ip_interface(f"{item.get('local')}/{item.get('prefixlen')}"))


def _routes(text: str, version: int) -> dict[str, str]:
    """Return protocol by network; of several routes to a network, one of protocol boot wins."""
    what = f"`ip -json -{version} route show`"
    routes: dict[str, str] = {}
    for item in objects(text, what):
        protocol = str(item.get("protocol", "boot"))
        if protocol == "kernel":
            continue
        destination = item.get("dst")
        text = DEFAULTS[version] if destination == "default" else str(destination)
        network = str(_checked(ip_network, text, f"{what}: a destination"))
        routes[network] = "boot" if "boot" in (protocol, routes.get(network)) else protocol
    return routes


def handshakes(text: str) -> dict[str, int]:
    """Return public key to Unix seconds (0: never) from the output of ``wg show IF latest-handshakes``."""
    result = {}
    for number, line in enumerate(text.splitlines(), 1):
        key, _tab, seconds = line.partition("\t")
        if not seconds.isdecimal():
            raise DeviceError(f"`wg show latest-handshakes`, line {number}: this is not a key and a time")
        result[key] = _checked(int, seconds, f"`wg show latest-handshakes`, line {number}: the time")
    return result
