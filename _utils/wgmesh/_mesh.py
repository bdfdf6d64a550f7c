"""
The mesh as frozen dataclasses, valid once ``model.parse`` has made them, and the endpoint, which parses or fails.

Import them from ``model``; they are apart from it so that each file stays short.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any, Literal

from ._yaml import Place, shown

Address = IPv4Address | IPv6Address
Subnet = IPv4Network | IPv6Network

# Whom a link joins: two ends, each a group, a minion id, the name of a peer, or everybody.
Link = tuple[str, str]
EVERYBODY = "*"

DEFAULT_INTERFACE = "wg0"
DEFAULT_PORT = 51820
DEFAULT_KEEPALIVE = 25

WILDCARD = re.compile(r"\*|\?|\[(?:!|(?!!))(?:\][^\]]*|[^\]]+)\]")
_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
# What ends in a number is an IPv4 address to the resolver (inet_aton(3)), even 1.2.3 and 0x7f000001: no such names.
_NUMERIC = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")
_PORT = re.compile(r"[1-9][0-9]{0,4}")


def _split_endpoint(text: str) -> tuple[str, str | None]:
    bracketed = re.fullmatch(r"\[([^\]]*)\](?::(.*))?", text, re.DOTALL)
    if bracketed:
        return _ipv6(bracketed[1], text), bracketed[2]
    if text.count(":") > 1:
        return _ipv6(text, text), None
    host, colon, port = text.partition(":")
    return _host(host, text), port if colon else None


def _ipv6(host: str, text: str) -> str:
    try:
        address = IPv6Address(host)
    except ValueError:
        raise ValueError(f"{shown(text)} is not an endpoint: {shown(host)} is not an IPv6 address") from None
    if "%" in host:
        raise ValueError(
            f"{shown(text)} is not an endpoint: an address with a zone means something on one machine only"
        )
    return str(_callable(address, text))


def _host(host: str, text: str) -> str:
    labels = host.removesuffix(".").split(".")
    if _NUMERIC.fullmatch(labels[-1]):
        return _ipv4(host, text)
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError(f"{shown(text)} is not an endpoint: write host, host:port, [IPv6 address]:port")
    return host


def _ipv4(host: str, text: str) -> str:
    try:
        address = IPv4Address(host)
    except ValueError:
        raise ValueError(f"{shown(text)} is not an endpoint: {shown(host)} is not an IPv4 address") from None
    return str(_callable(address, text))


def _callable(address: Address, text: str) -> Address:
    if address.is_unspecified or address.is_multicast:
        raise ValueError(f"{shown(text)} is not an endpoint: nobody can be called at {address}")
    return address


def _endpoint_port(text: str, port: str) -> int:
    if not _PORT.fullmatch(port) or int(port) > 65535:
        raise ValueError(f"{shown(text)} is not an endpoint: its port must be a number from 1 to 65535")
    return int(port)


@dataclass(frozen=True)
class Endpoint:
    """Where a peer can be called: a host name or address (IPv6 without brackets) and, if it was given, a port."""

    host: str
    port: int | None = None

    @classmethod
    def parse(cls, text: str) -> Endpoint:
        """Read ``host``, ``host:port``, ``[v6]``, ``[v6]:port`` or a bare IPv6 address; ValueError says why not."""
        host, port = _split_endpoint(text)
        return cls(host, None if port is None else _endpoint_port(text, port))

    @property
    def address(self) -> Address | None:
        """The host as an address, None where it is a name."""
        try:
            return ip_address(self.host)
        except ValueError:
            return None

    def with_port(self, default: int) -> str:
        """Return ``host:port`` as wg takes it, with ``default`` if this endpoint has no port."""
        return f"{self._bracketed}:{self.port or default}"

    def __str__(self) -> str:
        return self._bracketed if self.port is None else f"{self._bracketed}:{self.port}"

    @property
    def _bracketed(self) -> str:
        return f"[{self.host}]" if ":" in self.host else self.host


class _Placed:
    """What the file says under one key: ``place`` is that of the key, ``places`` those of the values in it."""

    place: Place
    places: Mapping[str, Place]

    def place_of(self, setting: str) -> Place:
        """Where the setting is given, or else the whole."""
        return self.places.get(setting, self.place)


def _no_places() -> Any:
    return field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True)
class NodeEntry(_Placed):
    """One entry of a network's ``nodes``: what the file says of a minion id, or of all that match a glob."""

    pattern: str
    place: Place
    addresses: tuple[Address, ...] = ()
    endpoint: Endpoint | Literal[False] | None = None
    port: int | None = None
    expires: int | None = None
    groups: frozenset[str] | None = None
    site: str | None = None
    endpoints: Mapping[str, Endpoint] | None = None
    hub: bool | None = None
    routes: tuple[Subnet, ...] | None = None
    priority: int | None = None
    places: Mapping[str, Place] = _no_places()

    @property
    def is_glob(self) -> bool:
        return any(character in self.pattern for character in "*?[")

    @property
    def generality(self) -> tuple[int, int]:
        """Sorts the more specific glob first: more literal characters, then fewer wildcards."""
        literals, wildcards = WILDCARD.subn("", self.pattern)
        return -len(literals), wildcards


@dataclass(frozen=True)
class NodeSettings:
    """
    What the file says of one minion in one network, all its entries merged.

    ``endpoint`` False means that the node cannot be called; None that the file does not say. ``port`` is where the node
    listens. ``expires`` is the Unix time from which on the node is no member any more, None if it stays. ``endpoints``
    has those of them that nodes of other sites use, by site. ``routes`` are the networks behind the node. Of several
    hubs, or nodes with one network behind them, the one with the lowest ``priority`` is used.
    """

    addresses: tuple[Address, ...]
    endpoint: Endpoint | Literal[False] | None
    port: int
    expires: int | None = None
    groups: frozenset[str] = frozenset()
    site: str | None = None
    endpoints: Mapping[str, Endpoint] = field(default_factory=dict)
    hub: bool = False
    routes: tuple[Subnet, ...] = ()
    priority: int = 0

    @property
    def forwards(self) -> bool:
        """Whether the node passes packets on between others."""
        return self.hub or bool(self.routes)


@dataclass(frozen=True)
class ExternalPeer(_Placed):
    """
    A peer that is not a minion; ``endpoint`` None means that it calls the nodes. ``routes``: the networks behind it.
    """

    name: str
    place: Place
    public_key: str
    addresses: tuple[Address, ...]
    endpoint: Endpoint | None = None
    groups: frozenset[str] = frozenset()
    routes: tuple[Subnet, ...] = ()
    places: Mapping[str, Place] = _no_places()


@dataclass(frozen=True)
class Network(_Placed):
    """
    One network: one WireGuard interface on each of its nodes.

    ``admit`` and ``rekey`` are "auto" or "manual": whether a node's first key, and another one that no rotation has
    announced, counts as soon as the node has registered it, or only once an operator has approved it. ``rotate_every``
    is the age in seconds by which a key is rotated, None if it never is. ``links`` None joins everybody with everybody.
    """

    name: str
    place: Place
    interface: str = DEFAULT_INTERFACE
    port: int = DEFAULT_PORT
    subnets: tuple[Subnet, ...] = ()
    mtu: int | None = None
    keepalive: int = DEFAULT_KEEPALIVE
    nodes: tuple[NodeEntry, ...] = ()
    peers: tuple[ExternalPeer, ...] = ()
    admit: str = "auto"
    rekey: str = "auto"
    rotate_every: int | None = None
    links: tuple[Link, ...] | None = None
    places: Mapping[str, Place] = _no_places()

    def entries(self, node: str) -> list[NodeEntry]:
        """The entries that name ``node``, the most specific first: the exact id, then the globs."""
        exact = self._exact.get(node)
        return ([] if exact is None else [exact]) + [entry for matches, entry in self._globs if matches(node)]

    def settings(self, node: str) -> NodeSettings | None:
        """
        Return what the entries that name ``node`` say together, or None if it is not a member.

        Each setting comes from the most specific entry that has it: the exact id, then the glob with most literal
        characters, then with fewest wildcards, then the one later in the file.
        """
        entries = self.entries(node)
        if not entries:
            return None

        def most_specific(name: str, default: Any = None) -> Any:
            values = (getattr(entry, name) for entry in entries)
            return next((value for value in values if value is not None), default)

        return NodeSettings(
            addresses=entries[0].addresses,
            endpoint=most_specific("endpoint"),
            port=most_specific("port", self.port),
            expires=most_specific("expires"),
            groups=most_specific("groups", frozenset()),
            site=most_specific("site"),
            endpoints=most_specific("endpoints", {}),
            hub=most_specific("hub", False),
            routes=most_specific("routes", ()),
            priority=most_specific("priority", 0),
        )

    def subnet_of(self, address: Address) -> Subnet | None:
        """Return the subnet that contains ``address``, or None."""
        return next((subnet for subnet in self.subnets if address in subnet), None)

    @cached_property
    def _exact(self) -> dict[str, NodeEntry]:
        return {entry.pattern: entry for entry in self.nodes if not entry.is_glob}

    @cached_property
    def _globs(self) -> list[tuple[Callable[[str], object], NodeEntry]]:
        """The globs' match functions and entries, the most specific first; reversed as the sort is stable."""
        globs = sorted((entry for entry in reversed(self.nodes) if entry.is_glob), key=lambda entry: entry.generality)
        return [(re.compile(fnmatch.translate(entry.pattern)).match, entry) for entry in globs]


@dataclass(frozen=True)
class Mesh:
    """All networks."""

    networks: tuple[Network, ...]

    def network(self, name: str) -> Network | None:
        return next((network for network in self.networks if network.name == name), None)
