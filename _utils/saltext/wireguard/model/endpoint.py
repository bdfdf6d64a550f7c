"""Endpoints: where a peer can be reached."""

from __future__ import annotations

import re
from collections.abc import Sequence, Set
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Address, IPv6Address, ip_address

from ..wording import quoted
from .addresses import Address, why_not_reachable
from .names import is_dns_name


def canonical_endpoint(text: str) -> str:
    """Return ``ip:port`` in canonical form, IPv6 in brackets. Raises ValueError for anything else."""
    host, colon, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    address = ip_address(host[1:-1] if bracketed else host)
    if not colon or bracketed != isinstance(address, IPv6Address):
        raise ValueError(text)
    return f"[{address}]:{int(port)}" if bracketed else f"{address}:{int(port)}"


# The resolver takes names that end in a number, even 1.2.3 and 0x7f000001, for IPv4 addresses (inet_aton(3)).
_NUMERIC = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")
_PORT = re.compile(r"[1-9][0-9]{0,4}")

# Kinds of addresses by who can connect to them. A machine with only local IPv6 addresses, which many routers hand out,
# reaches nothing on the IPv6 Internet.
IPV4, IPV6, LOCAL_IPV6 = "IPv4", "IPv6", "local IPv6"
KINDS = frozenset({IPV4, IPV6, LOCAL_IPV6})
_REACHED_FROM = {IPV4: {IPV4}, IPV6: {IPV6}, LOCAL_IPV6: {IPV6, LOCAL_IPV6}}


def _split_endpoint(text: str) -> tuple[str, str | None]:
    bracketed = re.fullmatch(r"\[([^\]]*)\](?::(.*))?", text, re.DOTALL)
    if bracketed:
        return _address(IPV6, bracketed[1], text), bracketed[2]
    if text.count(":") > 1:
        return _address(IPV6, text, text), None
    host, colon, port = text.partition(":")
    return _host(host, text), port if colon else None


def _host(host: str, text: str) -> str:
    if _NUMERIC.fullmatch(host.removesuffix(".").rpartition(".")[2]):
        return _address(IPV4, host, text)
    if not is_dns_name(host):
        raise ValueError(f"{quoted(text)} is not an endpoint: write host, host:port, [IPv6 address]:port")
    return host


def _address(kind: str, host: str, text: str) -> str:
    try:
        address = IPv4Address(host) if kind == IPV4 else IPv6Address(host)
    except ValueError:
        raise ValueError(f"{quoted(text)} is not an endpoint: {quoted(host)} is not an {kind} address") from None
    problem = why_not_reachable(address)
    if problem:
        raise ValueError(f"{quoted(text)} is not an endpoint: {problem}")
    return str(address)


def _endpoint_port(text: str, port: str) -> int:
    if not _PORT.fullmatch(port) or int(port) > 65535:
        raise ValueError(f"{quoted(text)} is not an endpoint: its port must be a number from 1 to 65535")
    return int(port)


@dataclass(frozen=True)
class Endpoint:
    """
    A host name or address (IPv6 without brackets), and a port if one was given.

    Without a ``host``, it is the port of whatever address the node offers.
    """

    host: str
    port: int | None = None

    @classmethod
    def parse(cls, text: str) -> Endpoint:
        """Parse ``host``, ``host:port``, ``[v6]``, ``[v6]:port`` or a bare IPv6 address. Raises ValueError."""
        host, port = _split_endpoint(text)
        return cls(host, None if port is None else _endpoint_port(text, port))

    @classmethod
    def parse_port(cls, text: str) -> Endpoint:
        """Parse ``:port``. Raises ValueError."""
        return cls("", _endpoint_port(text, text.removeprefix(":")))

    @cached_property
    def address(self) -> Address | None:
        """The host as an address, None if it is a name."""
        try:
            return ip_address(self.host)
        except ValueError:
            return None

    @cached_property
    def kind(self) -> str | None:
        """The one of KINDS that its address is, None for a name."""
        return kind_of(self.address) if self.address else None

    @cached_property
    def is_global(self) -> bool:
        """Whether it is an address that is the same everywhere."""
        return self.address is not None and self.address.is_global

    @cached_property
    def reached_from(self) -> Set[str]:
        """A machine needs an address of one of these kinds to connect here. A name may stand for any address."""
        return _REACHED_FROM[self.kind] if self.kind else KINDS

    def with_port(self, default: int) -> str:
        """Return ``host:port`` as wg takes it, with ``default`` if this endpoint has no port."""
        return f"{self._bracketed}:{self.port or default}"

    def __str__(self) -> str:
        return self._bracketed if self.port is None else f"{self._bracketed}:{self.port}"

    @property
    def _bracketed(self) -> str:
        return f"[{self.host}]" if ":" in self.host else self.host


def kind_of(address: Address) -> str:
    """The one of KINDS that an address is."""
    if address.version == 4:
        return IPV4
    return IPV6 if address.is_global else LOCAL_IPV6


def best(endpoints: Sequence[Endpoint], own: Set[str]) -> Endpoint:
    """The first one that a machine with these kinds of addresses can reach, or else the first of all."""
    return next((each for each in endpoints if not own.isdisjoint(each.reached_from)), endpoints[0])


def same_kind(endpoints: Sequence[Endpoint], chosen: Endpoint) -> list[Endpoint]:
    """The other addresses of the same kind, to be tried in turn with the chosen one."""
    return [each for each in endpoints if each != chosen and each.kind is not None and each.kind == chosen.kind]


def never_used(endpoints: Sequence[Endpoint]) -> list[Endpoint]:
    """The endpoints of a list in order of preference that are the best for no machine, nor like the best."""
    served: set[str] = set()
    used: list[Endpoint] = []
    unused: list[Endpoint] = []
    for endpoint in endpoints:
        is_best = not endpoint.reached_from <= served
        (used if is_best or (endpoint not in used and same_kind(used, endpoint)) else unused).append(endpoint)
        served |= endpoint.reached_from
    return unused
