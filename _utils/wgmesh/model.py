"""
The mesh: what the mesh file says, as frozen dataclasses that are valid once they exist.

``parse`` reads one or several files' text and either returns a Mesh or raises one MeshError with every problem found,
each with its file and line. The tables ``MESH_KEYS``, ``NETWORK_KEYS``, ``NODE_KEYS`` and ``PEER_KEYS`` are the file's
whole vocabulary: how each key is read, and what the documentation and the JSON Schema say of it. Reading files, and
everything that nodes say of themselves, is left to others.
"""

from __future__ import annotations

import difflib
import fnmatch
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from ipaddress import ip_address, ip_interface, ip_network
from typing import Any, Literal

from . import duration, hosts
from ._mesh import (
    DEFAULT_INTERFACE,
    DEFAULT_KEEPALIVE,
    DEFAULT_PORT,
    EVERYBODY,
    WILDCARD,
    AddressRange,
    ExternalPeer,
    Link,
    Mesh,
    Network,
    NodeEntry,
    NodeSettings,
    Subnet,
)
from ._yaml import Invalid, Items, Place, Report, Scalar, Table, Value, load
from .endpoint import Address, Endpoint, never_used
from .errors import KeyFormatError, MeshError, Problem
from .keys import parse_public_key
from .wording import shown

__all__ = [
    "DEFAULT_PORT",
    "EVERYBODY",
    "AddressRange",
    "ExternalPeer",
    "Link",
    "Mesh",
    "Network",
    "NodeEntry",
    "NodeSettings",
    "Place",
    "parse",
]

_DECIMAL = re.compile(r"0|[1-9][0-9]{0,9}")
_PLAIN = re.compile(r"[0-9a-z./]{1,60}")
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_SUBNET = re.compile(r"[0-9A-Fa-f.:]+/[0-9]{1,3}")
_INTERFACE = re.compile(r"[A-Za-z0-9_=+.-]{1,15}")
_TIME = re.compile(
    r"(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:[Tt ](?P<minute>[0-9]{2}:[0-9]{2})(?:(?P<second>:[0-9]{2})(?:\.[0-9]{1,9})?)?"
    r" ?(?:[Zz]|(?P<zone>[+-](?:[01][0-9]|2[0-3])(?::?[0-5][0-9])?))?)?"
)
_TIMES = "a date or a time, such as 2027-01-01 or 2027-01-01T18:00:00Z"
_TAKEN_INTERFACES = {".", "..", "lo", "all", "default"}
_SMALLEST = "the smallest mesh is `networks: {backbone: {subnets: [10.42.0.0/16], nodes: {'*': {}}}}`"
_REQUIRED = {
    "subnets": "write where its addresses come from, such as `subnets: [10.42.0.0/16]`",
    "nodes": "who belongs to it? `nodes: {'*': {}}` means every accepted minion",
}
_UNUSABLE = {
    ip_network("0.0.0.0/8"): "this network",
    ip_network("127.0.0.0/8"): "loopback",
    ip_network("169.254.0.0/16"): "link-local",
    ip_network("224.0.0.0/4"): "multicast",
    ip_network("255.255.255.255/32"): "broadcast",
    ip_network("::/127"): "unspecified and loopback",
    ip_network("::ffff:0:0/96"): "IPv4-mapped",
    ip_network("fe80::/10"): "link-local",
    ip_network("ff00::/8"): "multicast",
}


def parse(sources: Sequence[tuple[str, str]]) -> Mesh:
    """Return the mesh that ``sources``, pairs of file name and text, describe; MeshError carries all problems."""
    scope = _Scope(Report())
    networks = tuple(network for file, text in sources for network in _networks_of(scope, file, text))
    problems = scope.report.problems
    if not networks and not problems:
        problems.append(Problem(sources[0][0] if sources else "mesh", 0, f"no networks; {_SMALLEST}"))
    _check_node_ports(scope, networks)
    _check_routes_between(scope, networks)
    _check_exits_between(scope, networks)
    if problems:
        raise MeshError(problems)
    return Mesh(networks)


# --- reading: a reader turns one Value into what the model holds, or raises Invalid ----------------------------------


@dataclass
class _Scope:
    """
    What the readers of one network share.

    ``subnets`` is empty until they are read, and stays so if one of them is wrong: then nothing is checked against
    them. ``taken`` are all subnets of all networks so far, ``endpoints`` those of this network with the node or peer
    they belong to and the site they are for, ``ends`` those of its links.
    """

    report: Report
    network: str = ""
    taken: list[tuple[Place, Subnet]] = field(default_factory=list)
    subnets: tuple[Subnet, ...] = ()
    deserted: bool = False
    endpoints: list[tuple[Place, str, Endpoint, str | None]] = field(default_factory=list)
    ends: list[tuple[Place, str]] = field(default_factory=list)


Reader = Callable[[_Scope, Value], Any]
EntryReader = Callable[[_Scope, Scalar, Value], Any]
Schema = Mapping[str, Any]

REQUIRED = "required"


@dataclass(frozen=True)
class Key:
    """
    One key of the file: how its value is read, and what that must be, in words and as JSON Schema.

    ``default`` is what counts without the key: a value, then in backticks, or words. Tests hold ``type`` and
    ``default`` against docs/mesh-file.md, and ``schema`` and ``default`` against what is read.
    """

    read: Reader
    type: str
    schema: Schema
    default: str = "none"


def _networks_of(scope: _Scope, file: str, text: str) -> Sequence[Network]:
    tree = load(file, text, scope.report)
    if tree is None:
        return ()
    try:
        values, _ = _read(scope, MESH_KEYS, tree, "a mesh file")
    except Invalid as problem:
        scope.report.add(problem.place, str(problem))
        return ()
    networks: Sequence[Network] = values.get("networks", ())
    return networks


def _read(scope: _Scope, keys: Mapping[str, Key], value: Value, what: str) -> tuple[dict[str, Any], dict[str, Place]]:
    """Return the values of those of the ``keys`` that are there and right, and the places of those that are there."""
    given = {}
    for key, item in _entries(value, what):
        if key.text in keys:
            given[key.text] = item
        else:
            scope.report.add(key.place, _unknown_key(key.text, list(keys)))
    values = {}
    for name in keys:
        if name in given:
            try:
                values[name] = keys[name].read(scope, given[name])
            except Invalid as problem:
                scope.report.add(problem.place, str(problem))
    return values, {name: item.place for name, item in given.items()}


def _unknown_key(key: str, valid: Sequence[str]) -> str:
    near = difflib.get_close_matches(key[:60].lower(), valid, n=1)
    return f"unknown key {shown(key)}; " + (f"did you mean {near[0]!r}?" if near else f"valid keys: {', '.join(valid)}")


def _entries(value: Value, what: str) -> tuple[tuple[Scalar, Value], ...]:
    if not isinstance(value, Table):
        raise Invalid(value.place, f"{what} must be a mapping (`key: value`), not {value.what}")
    return value.entries


def _each(scope: _Scope, read: EntryReader, value: Value, what: str) -> tuple[Any, ...]:
    """Return what ``read`` makes of each entry of a mapping, without those that are wrong."""
    return tuple(_readable(scope, ((read, (scope, *entry)) for entry in _entries(value, what))))


def _readable(scope: _Scope, calls: Iterable[tuple[Callable[..., Any], tuple[Any, ...]]]) -> Iterator[Any]:
    for read, arguments in calls:
        try:
            yield read(*arguments)
        except Invalid as problem:
            scope.report.add(problem.place, str(problem))


def _list(scope: _Scope, read: Reader, value: Value, key: str, example: str) -> tuple[Any, ...]:
    """Return what ``read`` makes of each item of a list, without those that are wrong."""
    if isinstance(value, Scalar) and value.text:
        item = value.text if _PLAIN.fullmatch(value.text) else shown(value.text)
        raise Invalid(value.place, f"{key} must be a list: write `{key}: [{item}]`")
    if not isinstance(value, Items) or not value.items:
        raise Invalid(value.place, f"{key} must be a list that is not empty, such as `{key}: [{example}]`")
    return tuple(_readable(scope, ((read, (scope, item)) for item in value.items)))


def _text(value: Value, what: str) -> str:
    if not isinstance(value, Scalar):
        raise Invalid(value.place, f"{what} must be text, not {value.what}")
    if value.kind != "str":
        raise Invalid(value.place, f"{what} must be text, but YAML reads {shown(value.text)} as {value.what}; quote it")
    return value.text


def _number(value: Value, key: str, low: int, high: int) -> int:
    if isinstance(value, Scalar) and _DECIMAL.fullmatch(value.text) and low <= int(value.text) <= high:
        if value.kind == "int":
            return int(value.text)
        raise Invalid(value.place, f"{key} must be a number, not text; remove the quotes: `{key}: {value.text}`")
    found = shown(value.text) if isinstance(value, Scalar) else value.what
    raise Invalid(value.place, f"{key} must be a whole number from {low} to {high}, not {found}")


def _mtu(scope: _Scope, value: Value) -> int:
    return _number(value, "mtu", 1280 if any(subnet.version == 6 for subnet in scope.subnets) else 576, 65535)


def _one_of(value: Value, key: str, words: Sequence[str]) -> str:
    if isinstance(value, Scalar) and value.text in words:
        return value.text
    found = shown(value.text) if isinstance(value, Scalar) else value.what
    raise Invalid(value.place, f"{key} must be {' or '.join(words)}, not {found}")


def _duration(value: Value, key: str, least: str) -> int:
    if not isinstance(value, Scalar):
        raise Invalid(value.place, f"{key} must be a duration, such as 30d, not {value.what}")
    try:
        seconds = duration.parse(value.text)
    except ValueError as problem:
        raise Invalid(value.place, str(problem)) from None
    if seconds < duration.parse(least):
        raise Invalid(value.place, f"{key} must be at least {least}, not {shown(value.text)}")
    return seconds


def _expires(scope: _Scope, value: Value) -> int:
    """The Unix time of a date, which is its beginning, or of a time; UTC unless a time has another zone."""
    match = _TIME.fullmatch(value.text) if isinstance(value, Scalar) else None
    if not match:
        found = shown(value.text) if isinstance(value, Scalar) else value.what
        raise Invalid(value.place, f"expires must be {_TIMES}, not {found}")
    zone = (match["zone"] or "+00").replace(":", "").ljust(5, "0")
    clock = (match["minute"] or "00:00") + (match["second"] or ":00")
    try:
        time = datetime.fromisoformat(f"{match['date']}T{clock}{zone[:3]}:{zone[3:]}").astimezone(timezone.utc)
    except (ValueError, OverflowError):
        raise Invalid(value.place, f"there is no time {shown(match[0])}; expires must be {_TIMES}") from None
    return int(time.timestamp())


def _interface(scope: _Scope, value: Value) -> str:
    name = _text(value, "interface")
    if not _INTERFACE.fullmatch(name) or name in _TAKEN_INTERFACES:
        raise Invalid(
            value.place,
            f"{shown(name)} cannot name an interface; write 1 to 15 of the characters A-Z a-z 0-9 _ = + . -",
        )
    return name


def _public_key(scope: _Scope, value: Value) -> str:
    try:
        key = parse_public_key(_text(value, "public_key"))
    except KeyFormatError as problem:
        raise Invalid(value.place, str(problem)) from None
    _claim(
        scope,
        ("public key", key),
        value.place,
        f"public key {key} is already used at {{earlier}}; every peer has its own",
    )
    return key


def _claim(scope: _Scope, thing: tuple[object, ...], place: Place, message: str) -> None:
    """Raise Invalid if ``thing``, of which there can be one only, was given before; ``message`` has ``{earlier}``."""
    earlier = scope.report.claim(thing, place)
    if earlier:
        raise Invalid(place, message.format(earlier=earlier))


def _subnets(scope: _Scope, value: Value) -> tuple[Subnet, ...]:
    subnets = _list(scope, _subnet, value, "subnets", "10.42.0.0/16")
    if isinstance(value, Items) and len(subnets) == len(value.items):
        scope.subnets = subnets
    return subnets


def _subnet(scope: _Scope, value: Value) -> Subnet:
    subnet = _parse_subnet(_text(value, "a subnet"), value.place)
    if subnet.num_addresses == 1:
        raise Invalid(value.place, f"{subnet} has room for one address only; use a shorter prefix")
    _check_usable(subnet, value.place)
    for place, other in scope.taken:
        if subnet.overlaps(other):
            raise Invalid(value.place, f"{subnet} overlaps {other} at {place}; every subnet needs addresses of its own")
    scope.taken.append((value.place, subnet))
    return subnet


def _check_usable(subnet: Subnet, place: Place) -> None:
    for unusable, why in _UNUSABLE.items():
        if subnet.overlaps(unusable):
            raise Invalid(place, f"{subnet} overlaps {unusable} ({why}); use private addresses, such as 10.42.0.0/16")


def _parse_subnet(text: str, place: Place) -> Subnet:
    if not _SUBNET.fullmatch(text):
        raise Invalid(place, f"{shown(text)} is not a subnet; write address/prefix length, such as 10.42.0.0/16")
    try:
        interface = ip_interface(text)
    except ValueError:
        raise Invalid(place, f"{shown(text)} is not a subnet: its address or prefix length is out of range") from None
    if interface.ip != interface.network.network_address:
        raise Invalid(place, f"{text} has host bits set; did you mean {interface.network}?")
    return interface.network


def _addresses(scope: _Scope, value: Value) -> tuple[Address, ...]:
    return _list(scope, _address, value, "addresses", "10.42.0.5")


def _address(scope: _Scope, value: Value) -> Address:
    address = _parse_address(_text(value, "an address"), value.place)
    if scope.subnets:
        _check_in_subnet(address, scope.subnets, value.place)
    used = f"address {address} is already used at {{earlier}}; give another one"
    _claim(scope, ("address", scope.network, address), value.place, used)
    return address


def _parse_address(text: str, place: Place) -> Address:
    host, slash, _ = text.partition("/")
    try:
        address = ip_address(host)
    except ValueError:
        raise Invalid(place, f"{shown(text)} is not an IP address") from None
    if "%" in host:
        raise Invalid(place, f"{shown(text)} has a zone; write {host.partition('%')[0]}")
    if slash:
        raise Invalid(place, f"{shown(text)} has a prefix length, which comes from the subnet; write {address}")
    return address


def _check_in_subnet(address: Address, subnets: tuple[Subnet, ...], place: Place) -> None:
    subnet = next((subnet for subnet in subnets if address in subnet), None)
    if subnet is None:
        raise Invalid(place, f"{address} is in none of the network's subnets ({', '.join(map(str, subnets))})")
    if subnet.num_addresses > 2 and address == subnet.network_address:
        role = "network address" if subnet.version == 4 else "subnet-router anycast address"
        raise Invalid(place, f"{address} is the {role} of {subnet}; give another one")
    if subnet.version == 4 and subnet.num_addresses > 2 and address == subnet.broadcast_address:
        raise Invalid(place, f"{address} is the broadcast address of {subnet}; give another one")


def _exclude(scope: _Scope, value: Value) -> tuple[AddressRange, ...]:
    return _list(scope, _excluded, value, "exclude", "10.42.0.100-10.42.0.120")


def _excluded(scope: _Scope, value: Value) -> AddressRange:
    excluded = _parse_range(_text(value, "an excluded range"), value.place)
    if scope.subnets and not any(excluded.first in subnet and excluded.last in subnet for subnet in scope.subnets):
        subnets = ", ".join(map(str, scope.subnets))
        raise Invalid(value.place, f"{excluded} is not within one of the network's subnets ({subnets})")
    return excluded


def _parse_range(text: str, place: Place) -> AddressRange:
    """A subnet, a range, or a single address."""
    if "/" in text:
        subnet = _parse_subnet(text, place)
        return AddressRange(subnet.network_address, subnet.broadcast_address)
    first, dash, last = (part.strip() for part in text.partition("-"))
    start = _parse_address(first, place)
    end = _parse_address(last, place) if dash else start
    if start.version != end.version or int(start) > int(end):
        raise Invalid(place, f"{shown(text)} is no range; write the lower address first: 10.42.0.100-10.42.0.120")
    return AddressRange(start, end)


def _node_endpoint(scope: _Scope, value: Value) -> tuple[Endpoint, ...] | Literal[False]:
    if _is_false(value):
        return False
    if not isinstance(value, Items):
        return (_endpoint(scope, value),)
    endpoints = _list(scope, _endpoint, value, "endpoint", "'[2001:db8::7]', 203.0.113.7")
    for unused in never_used(endpoints):
        raise Invalid(
            value.place,
            f"{unused} is never called: all who could call it call an endpoint that stands before it; a list is for"
            " an IPv6 and an IPv4 address, and a name stands last",
        )
    return endpoints


def _is_false(value: Value) -> bool:
    return isinstance(value, Scalar) and value.kind == "bool" and value.text.lower() in ("false", "no", "off")


def _endpoint(scope: _Scope, value: Value) -> Endpoint:
    if isinstance(value, Scalar) and value.kind == "bool":
        raise Invalid(
            value.place, f"endpoint: {value.text} says nothing; give host or host:port, false, or leave it out"
        )
    try:
        return Endpoint.parse(_text(value, "endpoint"))
    except ValueError as problem:
        raise Invalid(value.place, str(problem)) from None


def _peer_endpoint(scope: _Scope, value: Value) -> tuple[Endpoint, ...] | None:
    endpoints = _node_endpoint(scope, value) or ()
    return tuple(Endpoint(each.host, each.port or DEFAULT_PORT) for each in endpoints) or None


def _groups(scope: _Scope, value: Value) -> frozenset[str]:
    return frozenset(_list(scope, _group, value, "groups", "web"))


def _group(scope: _Scope, value: Value) -> str:
    return _name(value, "a group's name")


def _site(scope: _Scope, value: Value) -> str:
    return _name(value, "a site's name")


def _site_endpoints(scope: _Scope, value: Value) -> dict[str, Endpoint]:
    return dict(_each(scope, _site_endpoint, value, "endpoints"))


def _site_endpoint(scope: _Scope, key: Scalar, value: Value) -> tuple[str, Endpoint]:
    site = _site(scope, key)
    if _is_false(value):
        raise Invalid(value.place, f"endpoints says where nodes of site {site} call this one; write host or host:port")
    return site, _endpoint(scope, value)


def _boolean(value: Value, key: str) -> bool:
    if isinstance(value, Scalar) and value.kind == "bool":
        return value.text.lower() in ("true", "yes", "on")
    found = shown(value.text) if isinstance(value, Scalar) else value.what
    raise Invalid(value.place, f"{key} must be true or false, not {found}")


def _routes(scope: _Scope, value: Value) -> tuple[Subnet, ...]:
    return _list(scope, _route, value, "routes", "192.168.40.0/24")


def _route(scope: _Scope, value: Value) -> Subnet:
    route = _parse_subnet(_text(value, "a route"), value.place)
    if route.prefixlen == 0:
        raise Invalid(value.place, f"{route} is everything; a route is a network behind the node")
    _check_usable(route, value.place)
    return route


def _domain(scope: _Scope, value: Value) -> str:
    domain = _text(value, "domain")
    if not hosts.is_host_name(domain):
        raise Invalid(
            value.place,
            f"{shown(domain)} is not a domain; write one without a dot at its end, such as mesh.example.com",
        )
    return domain


def _via(scope: _Scope, value: Value) -> str | Literal[False]:
    if isinstance(value, Scalar) and value.kind == "bool" and value.text.lower() in ("false", "no", "off"):
        return False
    via = _text(value, "via")
    if not via:
        raise Invalid(value.place, "via is empty; write the minion id of an exit node, or false")
    return via


def _nodes(scope: _Scope, value: Value) -> tuple[NodeEntry, ...]:
    if isinstance(value, Scalar) and value.kind == "null":
        raise Invalid(value.place, f"nodes is empty; {_REQUIRED['nodes']}")
    scope.deserted = not _entries(value, "nodes")
    return _each(scope, _node, value, "nodes")


def _node(scope: _Scope, key: Scalar, value: Value) -> NodeEntry:
    pattern = _minion_id(key)
    scope.report.claim(("id", scope.network, pattern), key.place)
    if isinstance(value, Scalar) and value.kind == "null":
        return NodeEntry(pattern, key.place)
    values, places = _read(scope, NODE_KEYS, value, f"node {shown(pattern)}")
    entry = NodeEntry(pattern, key.place, **values, places=places)
    for name in ("addresses", "endpoint", "endpoints", "routes", "public_key"):
        if entry.is_glob and values.get(name):
            scope.report.add(
                places[name], f"{name} belongs to one node; write the minion's id instead of {shown(pattern)}"
            )
    if entry.public_key and "addresses" not in places and not entry.is_glob:
        message = "public_key needs addresses: a node that need not register is given none; write `addresses: [...]`"
        scope.report.add(places["public_key"], message)
    if entry.endpoint and not entry.is_glob:
        scope.endpoints += ((places["endpoint"], pattern, endpoint, None) for endpoint in entry.endpoint)
    for site, endpoint in (entry.endpoints or {}).items():
        scope.endpoints.append((places["endpoints"], pattern, endpoint, site))
    return entry


def _minion_id(key: Scalar) -> str:
    pattern = _text(key, "a minion id")
    if not pattern or not pattern.isprintable() or any(character in " /" for character in pattern):
        raise Invalid(
            key.place, f"{shown(pattern)} is not a minion id: it must have no spaces, '/' or control characters"
        )
    if len(pattern.encode(errors="replace")) > 253:
        raise Invalid(key.place, f"{shown(pattern)} is too long for a minion id: at most 253 bytes")
    _check_glob(pattern, key.place)
    return pattern


def _check_glob(pattern: str, place: Place) -> None:
    wildcards = WILDCARD.findall(pattern)
    if "[" in WILDCARD.sub("", pattern):
        raise Invalid(place, f"{shown(pattern)} is not a glob: its '[' is never closed")
    try:
        if wildcards:
            re.compile(fnmatch.translate(pattern))
    except re.error as reason:
        raise Invalid(place, f"{shown(pattern)} is not a glob: {reason}") from None


def _peers(scope: _Scope, value: Value) -> tuple[ExternalPeer, ...]:
    if isinstance(value, Scalar) and value.kind == "null":
        return ()
    if scope.deserted:
        scope.report.add(value.place, f"there are peers but no nodes; {_REQUIRED['nodes']}")
    return _each(scope, _peer, value, "peers")


def _peer(scope: _Scope, key: Scalar, value: Value) -> ExternalPeer:
    name = _name(key, "a peer's name")
    _claim(scope, ("id", scope.network, name), key.place, f"peer {name!r} is already a node at {{earlier}}; keep one")
    if isinstance(value, Scalar) and value.kind == "null":
        return ExternalPeer(name, key.place)
    values, places = _read(scope, PEER_KEYS, value, f"peer {name!r}")
    if "public_key" in places and "addresses" not in places:
        what = f"peer {name!r}, which has a key of its own, has no 'addresses'"
        scope.report.add(key.place, f"{what}; write its addresses in the network, such as `addresses: [10.42.9.1]`")
    peer = ExternalPeer(name, key.place, **values, places=places)
    scope.endpoints += ((places["endpoint"], name, endpoint, None) for endpoint in peer.endpoint or ())
    return peer


def _name(key: Value, what: str) -> str:
    name = _text(key, what)
    if not _NAME.fullmatch(name):
        raise Invalid(key.place, f"{shown(name)} is not {what}; write 1 to 64 of the characters A-Z a-z 0-9 _ . -")
    return name


def _links(scope: _Scope, value: Value) -> tuple[Link, ...]:
    return _list(scope, _link, value, "links", "[web, db]")


def _link(scope: _Scope, value: Value) -> Link:
    if not isinstance(value, Items) or len(value.items) != 2:
        raise Invalid(value.place, "a link joins two: groups, minion ids or peers, such as `[web, db]` or `[hub, '*']`")
    one, other = (_end(scope, item) for item in value.items)
    return one, other


def _end(scope: _Scope, value: Value) -> str:
    end = _text(value, "an end of a link")
    scope.ends.append((value.place, end))
    return end


def _require(scope: _Scope, keys: Mapping[str, Key], places: Mapping[str, Place], place: Place, what: str) -> None:
    for name, key in keys.items():
        if key.default == REQUIRED and name not in places:
            scope.report.add(place, f"{what} has no {name!r}; {_REQUIRED[name]}")


def _networks(scope: _Scope, value: Value) -> tuple[Network, ...]:
    if not isinstance(value, Table) or not value.entries:
        raise Invalid(value.place, f"networks must be a mapping from names to networks; {_SMALLEST}")
    return _each(scope, _network, value, "networks")


def _network(scope: _Scope, key: Scalar, value: Value) -> Network:
    name = _name(key, "a network's name")
    _claim(scope, ("network", name), key.place, f"network {name!r} is already defined at {{earlier}}; keep one")
    inner = _Scope(scope.report, name, scope.taken)
    values, places = _read(inner, NETWORK_KEYS, value, f"network {name!r}")
    _require(inner, NETWORK_KEYS, places, key.place, f"network {name!r}")
    network = Network(name, key.place, **values, places=places)
    for setting in ("interface", "port"):
        if setting in values or setting not in places:
            _check_unshared(inner, setting, getattr(network, setting), places.get(setting, key.place))
    if network.domain and not network.hosts:
        inner.report.add(places["domain"], "domain is that of the names in hosts files; write `hosts: true` as well")
    _check_endpoints(inner, network)
    _check_ends(inner, network)
    _check_routes(inner, network)
    _check_exits(inner, network)
    if network.rotate_every and network.peers:
        message = "rotate_every is not possible with peers: they have the nodes' keys by hand, and would lose them all"
        inner.report.add(places["rotate_every"], message)
    _check_preshared(inner, network)
    fixed = next((entry for entry in network.nodes if entry.public_key), None)
    if network.rotate_every and fixed:
        message = f"rotate_every is not possible with the public_key of {shown(fixed.pattern)}, which allows no other"
        inner.report.add(places["rotate_every"], message)
    return network


# --- checks across entries -------------------------------------------------------------------------------------------


def _check_unshared(scope: _Scope, setting: str, value: object, place: Place) -> None:
    earlier = scope.report.claim((setting, value), place)
    if earlier:
        message = f"network {scope.network!r} has {setting} {value}, which the one at {earlier} has, too"
        scope.report.add(place, f"{message}; give one another `{setting}:`")


def _check_endpoints(scope: _Scope, network: Network) -> None:
    for place, owner, endpoint, site in scope.endpoints:
        settings = network.settings(owner)
        where = endpoint.with_port(settings.port if settings else network.port)
        # Two sites may use the same private addresses.
        earlier = scope.report.claim(("endpoint", site, where.lower().replace(".:", ":")), place)
        if earlier:
            scope.report.add(place, f"endpoint {where} is already used at {earlier}; give one another port")


def _check_preshared(scope: _Scope, network: Network) -> None:
    for peer in network.peers:
        if peer.preshared_key and not network.preshared_keys:
            message = f"peer {peer.name!r} has preshared keys, but its network does not; write `preshared_keys: true`"
            scope.report.add(peer.place_of("preshared_key"), f"{message} into network {network.name!r}")


def _check_ends(scope: _Scope, network: Network) -> None:
    """A misspelt end would join nobody, and quietly take every tunnel away that it was to keep."""
    named = [*(entry.groups or () for entry in network.nodes), *(peer.groups for peer in network.peers)]
    groups = {group for groups in named for group in groups}
    owners = {entry.pattern for entry in network.nodes if not entry.is_glob} | {peer.name for peer in network.peers}
    for place, end in scope.ends:
        if end in groups and end in owners:
            scope.report.add(place, f"{shown(end)} is a group as well as a node or a peer; give the group another name")
        elif end != EVERYBODY and end not in groups | owners:
            near = difflib.get_close_matches(end[:60], groups | owners, n=1)
            advice = f"did you mean {near[0]!r}?" if near else "give nodes `groups: [...]` that links can name"
            scope.report.add(place, f"no group, minion id or peer is called {shown(end)}; {advice}")


def _check_routes(scope: _Scope, network: Network) -> None:
    """Two nodes may have one network behind them when it is said which of them is used."""
    routes = _routes_of(network)
    for number, (place, owner, route) in enumerate(routes):
        for other_place, other_owner, other in routes[:number]:
            if not _overlap(route, other):
                continue
            if owner == other_owner:
                scope.report.add(place, f"route {route} overlaps {other} of the same node; keep one")
            elif route != other or _priority_of(network, owner) == _priority_of(network, other_owner):
                message = f"route {route} overlaps {other} of {shown(other_owner)} at {other_place}"
                advice = "for failover, give both nodes exactly the same route, and each a `priority:` of its own"
                scope.report.add(place, f"{message}; {advice}")


def _routes_of(network: Network) -> list[tuple[Place, str, Subnet]]:
    nodes = [(each.place_of("routes"), each.pattern, route) for each in network.nodes for route in each.routes or ()]
    peers = [(each.place_of("routes"), each.name, route) for each in network.peers for route in each.routes]
    return nodes + peers


def _priority_of(network: Network, owner: str) -> int | None:
    settings = network.settings(owner)
    return settings.priority if settings else None


def _overlap(one: Subnet, other: Subnet) -> bool:
    return one.version == other.version and one.overlaps(other)


def _check_routes_between(scope: _Scope, networks: Sequence[Network]) -> None:
    """A machine has one routing table for all networks."""
    elsewhere = list(scope.taken)
    for network in networks:
        routes = _routes_of(network)
        for place, _, route in routes:
            for other_place, other in elsewhere:
                if _overlap(route, other):
                    message = f"route {route} overlaps {other} of a network at {other_place}"
                    scope.report.add(place, f"{message}; what is behind a node needs addresses of its own")
        elsewhere += [(place, route) for place, _, route in routes]


def _check_exits(scope: _Scope, network: Network) -> None:
    """Globs are tried as if they were ids."""
    for entry in network.nodes:
        settings = network.settings(entry.pattern)
        if entry.via and settings:
            _check_exit(scope, network, entry.place_of("via"), (entry.pattern, settings.groups), str(entry.via))
    for peer in network.peers:
        if peer.via:
            _check_exit(scope, network, peer.place_of("via"), (peer.name, peer.groups), peer.via)


def _check_exit(scope: _Scope, network: Network, place: Place, who: tuple[str, frozenset[str]], via: str) -> None:
    """``who``: name and groups of the one that has its default route through ``via``."""
    problem = _problem_of_via(network, who[0], via)
    exit_node = network.settings(via)
    if not problem and exit_node and via != who[0] and not _are_linked(network, who, (via, exit_node.groups)):
        problem = f"via: no link joins {shown(who[0])} with {shown(via)}; add one"
        problem += ", as a default route does not lead through a hub"
    if problem:
        scope.report.add(place, problem)


def _problem_of_via(network: Network, name: str, via: str) -> str | None:
    exit_node = network.settings(via)
    if via == name:
        return f"{shown(via)} cannot have its default route through itself; remove `via`"
    ids = [each.pattern for each in network.nodes if not each.is_glob]
    if exit_node is None or any(character in via for character in "*?["):
        near = difflib.get_close_matches(via[:60], ids, n=1)
        advice = f"did you mean {near[0]!r}?" if near else "write the minion id of one with `exit: true`"
        return f"via: no node of the network is called {shown(via)}; {advice}"
    if not exit_node.exit:
        return f"via: {shown(via)} is no exit node; write `exit: true` there if it is to be one"
    return None


def _are_linked(network: Network, one: tuple[str, frozenset[str]], other: tuple[str, frozenset[str]]) -> bool:
    here, there = ({EVERYBODY, name, *groups} for name, groups in (one, other))
    return network.links is None or any(
        (a in here and b in there) or (b in here and a in there) for a, b in network.links
    )


def _check_exits_between(scope: _Scope, networks: Sequence[Network]) -> None:
    """A machine has one default route of each IP version."""
    places = {entry.pattern: entry.place_of("via") for network in networks for entry in network.nodes if entry.via}
    for node, place in places.items() if len(networks) > 1 else ():
        users: dict[int, Network] = {}
        for network in networks:
            settings = network.settings(node)
            for version in {subnet.version for subnet in network.subnets} if settings and settings.via else ():
                other = users.setdefault(version, network)
                if other is not network:
                    message = f"{shown(node)} has `via` in networks {other.name!r} and {network.name!r}"
                    scope.report.add(place, f"{message}, and an IPv{version} default route in one only; remove one")


def _check_node_ports(scope: _Scope, networks: Sequence[Network]) -> None:
    """A node of two networks has an interface, and so a port, for each; globs are tried as if they were ids."""
    places = {entry.pattern: entry.place for network in networks for entry in network.nodes}
    for node, place in places.items() if len(networks) > 1 else ():
        users: dict[int, Network] = {}
        for network in networks:
            settings = network.settings(node)
            other = users.setdefault(settings.port, network) if settings else network
            if settings and other.port != network.port:
                names = f"{other.name!r} and {network.name!r}"
                scope.report.add(place, f"{shown(node)} has port {settings.port} in networks {names}; change one")


# --- the vocabulary: read in this order, so that addresses and the MTU can be checked against the subnets ----------


def _whole(key: str, low: int, high: int, default: str, unit: str = "number") -> Key:
    schema = {"type": "integer", "minimum": low, "maximum": high}
    return Key(lambda _, value: _number(value, key, low, high), f"{unit}, {low} to {high}", schema, default)


def _mtu_key(default: str) -> Key:
    schema = {"type": "integer", "minimum": 576, "maximum": 65535}
    return Key(_mtu, "number, 576 to 65535 (from 1280 with an IPv6 subnet)", schema, default)


def _switch(key: str) -> Key:
    return Key(lambda _, value: _boolean(value, key), "`true` or `false`", {"type": "boolean"}, "`false`")


def _choice(key: str, words: Sequence[str], default: str) -> Key:
    """Of words that YAML takes for text."""
    schema = {"enum": list(words)}
    return Key(lambda _, value: _one_of(value, key, words), " or ".join(f"`{word}`" for word in words), schema, default)


def _period(key: str, least: str, default: str) -> Key:
    words = f"duration from `{least}` to `36500d`: a whole number and `s`, `m`, `h`, `d` or `w`"
    schema = {"type": "string", "pattern": "^[1-9][0-9]*[smhdw]$"}
    return Key(lambda _, value: _duration(value, key, least), words, schema, default)


def _matching(pattern: re.Pattern[str]) -> Schema:
    """Editors read it as JavaScript does, where groups have no such names."""
    return {"type": "string", "pattern": re.sub(r"\(\?P<\w+>", "(?:", f"^(?:{pattern.pattern})$")}


def _many(items: Schema) -> Schema:
    return {"type": "array", "items": items, "minItems": 1}


def _by_name(values: Schema) -> Schema:
    return {"type": "object", "propertyNames": _NAMED, "additionalProperties": values}


_NAMED = _matching(_NAME)
_SUBNETS = _many(_matching(_SUBNET))
_ADDRESSES = _many({"type": "string", "pattern": "^[0-9A-Fa-f.:]+$"})
_HOST: Schema = {"type": "string", "pattern": r"^[A-Za-z0-9:\[][A-Za-z0-9.:\[\]-]*$"}
_ENDPOINT: Schema = {"anyOf": [_HOST, _many(_HOST), {"const": False}]}
_ENDPOINTS = "`host`, `host:port`, `[IPv6]:port`, a list of these, or `false`"
_VIA: Schema = {"anyOf": [{"type": "string", "pattern": r"^[^\s/*?\[\]-][^\s/*?\[\]]*$"}, {"const": False}]}
_CIDR = "list of networks in CIDR notation"
_BARE = "list of addresses without prefix length"
_WIREGUARD_KEY: Schema = {"type": "string", "pattern": "^[A-Za-z0-9+/]{43}=$"}
_KEY = "what `wg pubkey` prints"

# A key whose value has keys of its own names the definition that the schema makes of their table.
MESH_KEYS: Mapping[str, Key] = {
    "networks": Key(
        _networks,
        "mapping from name to network",
        {**_by_name({"$ref": "#/definitions/network"}), "minProperties": 1},
        REQUIRED,
    ),
}
NETWORK_KEYS: Mapping[str, Key] = {
    "interface": Key(_interface, "text, 1 to 15 bytes", _matching(_INTERFACE), f"`{DEFAULT_INTERFACE}`"),
    "port": _whole("port", 1, 65535, f"`{DEFAULT_PORT}`"),
    "subnets": Key(_subnets, _CIDR, _SUBNETS, REQUIRED),
    "exclude": Key(
        _exclude,
        "list of networks in CIDR notation, ranges `first-last`, and addresses",
        _many({"type": "string", "pattern": "^[0-9A-Fa-f.:]+(/[0-9]{1,3}| *- *[0-9A-Fa-f.:]+)?$"}),
    ),
    "quarantine": _period("quarantine", "1h", "`7d`"),
    "mtu": _mtu_key("what the paths to the node's peers let through"),
    "keepalive": _whole("keepalive", 0, 65535, f"`{DEFAULT_KEEPALIVE}`", "number of seconds"),
    "nodes": Key(
        _nodes,
        "mapping from minion id or glob to node",
        {
            "type": "object",
            "propertyNames": {"pattern": "^[^ /]+$", "maxLength": 253},
            "additionalProperties": {"anyOf": [{"$ref": "#/definitions/node"}, {"type": "null"}]},
        },
        REQUIRED,
    ),
    "peers": Key(
        _peers,
        "mapping from name to peer",
        {**_by_name({"anyOf": [{"$ref": "#/definitions/peer"}, {"type": "null"}]}), "type": ["object", "null"]},
    ),
    "admit": _choice("admit", ("auto", "manual"), "`auto`"),
    "rekey": _choice("rekey", ("auto", "manual"), "`auto`"),
    "rotate_every": _period("rotate_every", "1h", "never"),
    "links": Key(
        _links,
        "list of pairs `[one, other]`; each a group, a minion id, a peer's name, or `'*'` for everybody",
        _many({"type": "array", "items": {"type": "string"}, "minItems": 2, "maxItems": 2}),
        "everybody with everybody",
    ),
    "preshared_keys": _switch("preshared_keys"),
    "hosts": _switch("hosts"),
    "domain": Key(_domain, "text, a domain name", _matching(re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,252}"))),
}
NODE_KEYS: Mapping[str, Key] = {
    "addresses": Key(_addresses, _BARE, _ADDRESSES, "one of each IP version, allocated once and kept"),
    "endpoint": Key(
        _node_endpoint,
        _ENDPOINTS,
        _ENDPOINT,
        "what the node itself offers when it registers",
    ),
    "endpoints": Key(_site_endpoints, "mapping from site to `host`, `host:port` or `[IPv6]:port`", _by_name(_HOST)),
    "port": _whole("port", 1, 65535, "the network's `port`"),
    "mtu": _mtu_key("the network's `mtu`"),
    "groups": Key(_groups, "list of names", _many(_NAMED)),
    "site": Key(_site, "text, named as a network is", _NAMED),
    "hub": _switch("hub"),
    "routes": Key(_routes, _CIDR, _SUBNETS),
    "priority": _whole("priority", 0, 65535, "`0`"),
    "exit": _switch("exit"),
    "via": Key(_via, "minion id, or `false`", _VIA),
    "expires": Key(_expires, "date, or time with zone (ISO 8601)", _matching(_TIME), "never"),
    "public_key": Key(_public_key, _KEY, _WIREGUARD_KEY, "what the node registers"),
}
PEER_KEYS: Mapping[str, Key] = {
    "public_key": Key(_public_key, _KEY, _WIREGUARD_KEY, "made when the peer is exported"),
    "addresses": Key(_addresses, _BARE, _ADDRESSES, "one of each IP version, when it is exported"),
    "endpoint": Key(_peer_endpoint, _ENDPOINTS, _ENDPOINT, "`false`"),
    "groups": Key(_groups, "list of names", _many(_NAMED)),
    "routes": Key(_routes, _CIDR, _SUBNETS),
    "via": Key(_via, "minion id, or `false`", _VIA),
    "preshared_key": _switch("preshared_key"),
}
