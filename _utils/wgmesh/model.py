"""
The mesh: what the mesh file says, as frozen dataclasses that are valid once they exist.

``parse`` reads one or several files' text and either returns a Mesh or raises one MeshError with every problem found,
each with its file and line. The tables ``MESH_KEYS``, ``NETWORK_KEYS``, ``NODE_KEYS`` and ``PEER_KEYS`` are the file's
whole vocabulary. Reading files, and everything that nodes say of themselves, is left to others.
"""

from __future__ import annotations

import difflib
import fnmatch
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_interface, ip_network
from typing import Any, Literal

from ._yaml import Invalid, Items, Place, Report, Scalar, Table, Value, load, shown
from .errors import KeyFormatError, MeshError, Problem
from .keys import parse_public_key

__all__ = ["Endpoint", "ExternalPeer", "Mesh", "Network", "NodeEntry", "NodeSettings", "Place", "parse"]

Address = IPv4Address | IPv6Address
Subnet = IPv4Network | IPv6Network

DEFAULT_INTERFACE = "wg0"
DEFAULT_PORT = 51820
DEFAULT_KEEPALIVE = 25

_WILDCARD = re.compile(r"\*|\?|\[(?:!|(?!!))(?:\][^\]]*|[^\]]+)\]")
_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_DECIMAL = re.compile(r"0|[1-9][0-9]{0,9}")
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


@dataclass(frozen=True)
class Endpoint:
    """Where a peer can be called: a host name or address (IPv6 without brackets) and, if it was given, a port."""

    host: str
    port: int | None = None

    @classmethod
    def parse(cls, text: str) -> Endpoint:
        """Read ``host``, ``host:port``, ``[v6]``, ``[v6]:port`` or a bare IPv6 address; ValueError says what is wrong."""
        host, port = _split_endpoint(text)
        return cls(host, None if port is None else _endpoint_port(text, port))

    def with_port(self, default: int) -> str:
        """Return ``host:port`` as wg takes it, with ``default`` if this endpoint has no port."""
        return f"{self._bracketed}:{self.port or default}"

    def __str__(self) -> str:
        return self._bracketed if self.port is None else f"{self._bracketed}:{self.port}"

    @property
    def _bracketed(self) -> str:
        return f"[{self.host}]" if ":" in self.host else self.host


@dataclass(frozen=True)
class NodeEntry:
    """One entry of a network's ``nodes``: what the file says of a minion id, or of all that match a glob."""

    pattern: str
    place: Place
    addresses: tuple[Address, ...] = ()
    endpoint: Endpoint | Literal[False] | None = None
    port: int | None = None

    @property
    def is_glob(self) -> bool:
        return any(character in self.pattern for character in "*?[")

    @property
    def generality(self) -> tuple[int, int]:
        """Sorts the more specific glob first: more literal characters, then fewer wildcards."""
        literals, wildcards = _WILDCARD.subn("", self.pattern)
        return -len(literals), wildcards


@dataclass(frozen=True)
class NodeSettings:
    """
    What the file says of one minion in one network, all its entries merged.

    ``endpoint`` False means that the node cannot be called; None that the file does not say. ``port`` is where the node
    listens.
    """

    addresses: tuple[Address, ...]
    endpoint: Endpoint | Literal[False] | None
    port: int


@dataclass(frozen=True)
class ExternalPeer:
    """A peer that is not a minion; ``endpoint`` None means that it calls the nodes."""

    name: str
    place: Place
    public_key: str
    addresses: tuple[Address, ...]
    endpoint: Endpoint | None = None


@dataclass(frozen=True)
class Network:
    """One network: one WireGuard interface on each of its nodes."""

    name: str
    place: Place
    interface: str = DEFAULT_INTERFACE
    port: int = DEFAULT_PORT
    subnets: tuple[Subnet, ...] = ()
    mtu: int | None = None
    keepalive: int = DEFAULT_KEEPALIVE
    nodes: tuple[NodeEntry, ...] = ()
    peers: tuple[ExternalPeer, ...] = ()

    def settings(self, node: str) -> NodeSettings | None:
        """
        Return what the entries that name ``node`` say together, or None if it is not a member.

        Each setting comes from the most specific entry that has it: the exact id, then the glob with most literal
        characters, then with fewest wildcards, then the one later in the file.
        """
        exact = self._exact.get(node)
        entries = [] if exact is None else [exact]
        entries += [entry for matches, entry in self._globs if matches(node)]
        if not entries:
            return None
        return NodeSettings(
            addresses=exact.addresses if exact else (),
            endpoint=next((entry.endpoint for entry in entries if entry.endpoint is not None), None),
            port=next((entry.port for entry in entries if entry.port is not None), self.port),
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


def parse(sources: Sequence[tuple[str, str]]) -> Mesh:
    """Return the mesh that ``sources``, pairs of file name and text, describe; MeshError carries all problems."""
    report = Report()
    networks = tuple(network for file, text in sources for network in _networks_of(file, text, report))
    if not networks and not report.problems:
        report.problems.append(Problem(sources[0][0] if sources else "mesh file", 0, "no networks; give `networks:`"))
    _check_endpoints(networks, report)
    _check_node_ports(networks, report)
    if report.problems:
        raise MeshError(report.problems)
    return Mesh(networks)
