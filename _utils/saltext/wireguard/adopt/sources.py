"""
What other tools keep: each description of a host becomes the text of a wg-quick file, which is read like any other.

wg-meshconf's table, the pillars of the two Salt formulas, and the variables of the Ansible role
``githubixx.ansible_role_wireguard``.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
from collections.abc import Callable, Iterator, Mapping
from ipaddress import ip_interface
from typing import Any

from ..meshfile.mesh import DEFAULT_PORT
from ..model.endpoint import Endpoint

PublicOf = Callable[[str], str]

# Host -> interface -> the text of its file.
Texts = dict[str, dict[str, str]]

DEFAULT_INTERFACE = "wg0"

# As these tools call them.
_SETTINGS = ("ListenPort", "FwMark", "DNS", "MTU", "Table", "PreUp", "PostUp", "PreDown", "PostDown", "SaveConfig")


def stand_in(host: str) -> str:
    """Stands for the public key of a host that makes its key itself. It never gets into a proposal."""
    raw = bytearray(hashlib.sha256(f"stand-in for the key of {host}".encode()).digest())
    raw[31] &= 0x3F
    return base64.b64encode(bytes(raw)).decode()


def _text(interface: list[tuple[str, object]], peers: list[tuple[str, list[tuple[str, object]]]]) -> str:
    lines = ["[Interface]", *_lines(interface)]
    for name, settings in peers:
        lines += ["", "[Peer]", f"# Name = {_one(name)}", *_lines(settings)]
    return "\n".join(lines) + "\n"


def _lines(settings: list[tuple[str, object]]) -> Iterator[str]:
    for name, value in settings:
        for each in value if isinstance(value, list) and name not in ("AllowedIPs", "Address") else [value]:
            text = ", ".join(map(str, each)) if isinstance(each, list) else str(each)
            if each not in (None, "", []):
                yield f"{_one(name)} = {_one(text)}"


def _one(text: object) -> str:
    """One line: a value with a line break would be a setting of its own."""
    return " ".join(str(text).split())


def _hosts(addresses: list[str]) -> list[str]:
    return [f"{interface.ip}/{interface.max_prefixlen}" for interface in map(ip_interface, addresses)]


# -- wg-meshconf


def by_table(text: str, public_of: PublicOf) -> Texts:
    """
    wg-meshconf's ``database.csv``. It gives each peer the whole network of its address, which WireGuard then takes for
    the last peer only; here, each has its own address. Raises ValueError, also where a private key is missing.
    """
    rows = [row for row in csv.DictReader(io.StringIO(text)) if row.get("Name")]
    if not rows or "Address" not in rows[0]:
        raise ValueError("this is no table of wg-meshconf: the columns Name and Address are missing")
    keys = {
        row["Name"]: public_of(row["PrivateKey"]) if row.get("PrivateKey") else stand_in(row["Name"]) for row in rows
    }
    return {row["Name"]: {DEFAULT_INTERFACE: _of_row(row, rows, keys)} for row in rows}


def _of_row(row: Mapping[str, str], rows: list[dict[str, str]], keys: Mapping[str, str]) -> str:
    interface: list[tuple[str, object]] = [("Address", row["Address"]), ("PrivateKey", row.get("PrivateKey"))]
    interface += [(name, row.get(name)) for name in _SETTINGS]
    peers = []
    for other in rows:
        if other is not row:
            networks = [*_hosts(_split(other["Address"])), *_split(other.get("AllowedIPs"))]
            endpoint = _with_port(other.get("Endpoint"), other.get("ListenPort"))
            settings: list[tuple[str, object]] = [("PublicKey", keys[other["Name"]]), ("AllowedIPs", networks)]
            settings += [("Endpoint", endpoint), ("PersistentKeepalive", row.get("PersistentKeepalive"))]
            peers.append((other["Name"], settings))
    return _text(interface, peers)


def _split(text: str | None) -> list[str]:
    return [each.strip() for each in (text or "").split(",") if each.strip()]


def _with_port(host: str | None, port: object) -> str | None:
    return Endpoint.parse(str(host)).with_port(int(str(port or DEFAULT_PORT))) if host else None


# -- Salt formulas


def _interfaces(pillar: object) -> Mapping[str, Any]:
    settings = pillar.get("wireguard") if isinstance(pillar, Mapping) else None
    found = settings.get("interfaces") if isinstance(settings, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def by_pillar(pillar: object) -> dict[str, str]:
    """
    Interface -> the text of its file, of ``wireguard:interfaces`` as MEschenbacher's formula has it (``listen_port``, a
    list of ``peers``), or that of saltstack-formulas (``Interface`` and ``Peers`` with the names of wg-quick).
    """
    return {str(name): _of_formula(each) for name, each in _interfaces(pillar).items() if isinstance(each, Mapping)}


_FORMULA = {"listen_port": "ListenPort", "private_key": "PrivateKey", "fwmark": "FwMark", "address": "Address"}
_FORMULA |= {"addresses": "Address", "mtu": "MTU"}
_FORMULA_PEER = {"peer": "PublicKey", "allowed_ips": "AllowedIPs", "endpoint": "Endpoint"}
_FORMULA_PEER |= {"persistent_keepalive": "PersistentKeepalive", "preshared_key": "PresharedKey"}


def _of_formula(described: Mapping[str, Any]) -> str:
    own = described.get("Interface", described.get("config"))
    if isinstance(own, Mapping):
        named = described.get("Peers", {})
        peers = [(str(name), [*each.items()]) for name, each in named.items() if isinstance(each, Mapping)]
        return _text([(str(name), value) for name, value in own.items()], peers)
    interface = [(_FORMULA[name], value) for name, value in described.items() if name in _FORMULA]
    listed = [each for each in described.get("peers") or () if isinstance(each, Mapping)]
    found = [[(_FORMULA_PEER[name], value) for name, value in each.items() if name in _FORMULA_PEER] for each in listed]
    return _text(
        interface, [(str(each.get("name", "")), settings) for each, settings in zip(listed, found, strict=True)]
    )


# -- Ansible


def by_variables(hosts: Mapping[str, Mapping[str, Any]]) -> Texts:
    """
    The hosts of a play, each with its variables, as the role's template makes files of them. The role makes keys on the
    hosts: stand-ins take their places.
    """
    members = {name: each for name, each in hosts.items() if _own_addresses(each)}
    return {name: {_interface_of(each): _of_variables(name, members)} for name, each in members.items()}


def _interface_of(variables: Mapping[str, Any]) -> str:
    return str(variables.get("wireguard_interface", DEFAULT_INTERFACE))


def _own_addresses(variables: Mapping[str, Any]) -> list[str]:
    one, more = variables.get("wireguard_address"), variables.get("wireguard_addresses")
    return [*([str(one)] if one else []), *(map(str, more) if isinstance(more, list) else [])]


def _of_variables(host: str, hosts: Mapping[str, Mapping[str, Any]]) -> str:
    own = hosts[host]
    interface: list[tuple[str, object]] = [("Address", _own_addresses(own))]
    if own.get("wireguard_endpoint"):
        interface.append(("ListenPort", own.get("wireguard_port", DEFAULT_PORT)))
    interface += [
        (name, own.get(f"wireguard_{'save_config' if name == 'SaveConfig' else name.lower()}"))
        for name in _SETTINGS
        if name != "ListenPort"
    ]
    peers = [
        (name, _of_host(name, other, own))
        for name, other in hosts.items()
        if name != host and (_endpoint_of(name, other, own) or _endpoint_of(host, own, other))
    ]
    others = own.get("wireguard_unmanaged_peers")
    for name, each in others.items() if isinstance(others, Mapping) else ():
        peers.append((str(name), _of_unmanaged(each if isinstance(each, Mapping) else {})))
    return _text(interface, peers)


def _of_host(name: str, other: Mapping[str, Any], own: Mapping[str, Any]) -> list[tuple[str, object]]:
    endpoint = _endpoint_of(name, other, own)
    keepalive = other.get("wireguard_persistent_keepalive") if other.get("wireguard_endpoint") else None
    networks = other.get("wireguard_allowed_ips") or _hosts(_own_addresses(other))
    return [
        ("PublicKey", stand_in(name)),
        ("AllowedIPs", networks),
        ("Endpoint", endpoint),
        ("PersistentKeepalive", keepalive),
    ]


def _endpoint_of(name: str, other: Mapping[str, Any], own: Mapping[str, Any]) -> str | None:
    """As the template has it: one that is not defined is the name of the host, and an empty one is none."""
    port = other.get("wireguard_port", own.get("wireguard_port", DEFAULT_PORT))
    center, mine = other.get("wireguard_dc"), own.get("wireguard_dc")
    if isinstance(center, Mapping) and isinstance(mine, Mapping) and center.get("name") != mine.get("name"):
        return _with_port(center.get("endpoint"), center.get("port"))
    return _with_port(other.get("wireguard_endpoint", name), port)


def _of_unmanaged(each: Mapping[str, Any]) -> list[tuple[str, object]]:
    names = ("PublicKey", "public_key"), ("PresharedKey", "preshared_key"), ("AllowedIPs", "allowed_ips")
    more = ("Endpoint", "endpoint"), ("PersistentKeepalive", "persistent_keepalive")
    return [(name, each.get(key)) for name, key in (*names, *more)]
