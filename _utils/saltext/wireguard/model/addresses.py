"""IP addresses and networks."""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Iterable
from ipaddress import ip_network

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Subnet = ipaddress.IPv4Network | ipaddress.IPv6Network

# By IP version: the destination of a default route, and the least MTU of a link (RFC 791 and 8200).
DEFAULTS = {4: "0.0.0.0/0", 6: "::/0"}
LEAST_MTU = {4: 576, 6: 1280}

# Addresses that a machine cannot have in a network with others, and why.
SPECIAL: dict[Subnet, str] = {
    ip_network("0.0.0.0/8"): "this network",
    ip_network("127.0.0.0/8"): "loopback",
    ip_network("169.254.0.0/16"): "link-local",
    ip_network("224.0.0.0/4"): "multicast",
    ip_network("255.255.255.255/32"): "broadcast",
    ip_network("::/128"): "unspecified",
    ip_network("::1/128"): "loopback",
    ip_network("::ffff:0:0/96"): "IPv4-mapped",
    ip_network("fe80::/10"): "link-local",
    ip_network("ff00::/8"): "multicast",
}

_RESERVED = ip_network("240.0.0.0/4")

# Each of these may work in a special set-up: a proxy on the machine itself, a direct cable, a network that uses
# reserved addresses. Link-local IPv6 addresses are not among them: their zone means something on one machine only.
_LOCAL = {*map(ip_network, ("127.0.0.0/8", "169.254.0.0/16", "::1/128")), _RESERVED}


# Parsing takes most of the time of reading a large registry, which happens after every change.
@functools.lru_cache(maxsize=1 << 17)
def parse_address(text: str) -> Address:
    """An address of the registry."""
    return ipaddress.ip_address(text)


def is_address(text: str) -> bool:
    """Whether the text is an IP address, and not a name."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def link_local_like(address: str) -> str:
    """The link-local address with the last 64 bits of an address; both with their prefix lengths."""
    end = int(ipaddress.ip_interface(address).ip) % 2**64
    return f"{ipaddress.IPv6Address((0xFE80 << 112) + end)}/64"


def contains(network: Subnet, other: Subnet) -> bool:
    """Whether all of the other network lies in this one."""
    if isinstance(network, ipaddress.IPv4Network) and isinstance(other, ipaddress.IPv4Network):
        return other.subnet_of(network)
    return (
        isinstance(network, ipaddress.IPv6Network)
        and isinstance(other, ipaddress.IPv6Network)
        and other.subnet_of(network)
    )


def ipv4_first(addresses: Iterable[Address]) -> list[Address]:
    """In order, IPv4 before IPv6."""
    return sorted(addresses, key=lambda address: (address.version, int(address)))


def why_not_reachable(address: Address) -> str | None:
    """Why packets to this address never reach another machine; None if they may."""
    if isinstance(address, ipaddress.IPv6Address) and address.scope_id is not None:
        return "an address with a zone means something on one machine only"
    kinds = (why for network, why in SPECIAL.items() if address in network and network not in _LOCAL)
    return next((f"{address} is {_EXPLANATIONS[why]}" for why in kinds), None)


_EXPLANATIONS = {
    "this network": "no machine's address",
    "unspecified": "no machine's address",
    "multicast": "a multicast address",
    "broadcast": "a broadcast address",
    "link-local": "link-local, and each machine has links of its own",
    "IPv4-mapped": "an IPv4 address in IPv6 notation, which WireGuard cannot use",
}


def is_local(address: Address) -> bool:
    """Whether this address reaches another machine only in a special set-up."""
    return any(address in network for network in _LOCAL)


def can_be_endpoint(address: Address) -> bool:
    """Whether views may have this address as an endpoint that no operator has written."""
    return why_not_reachable(address) is None and not is_local(address)


def usable(texts: Iterable[str]) -> list[str]:
    """
    The addresses in a resolver's answer, which may be anything, that an operator could have written instead of the
    name; in canonical form.
    """
    addresses = []
    for text in texts:
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            continue
        if why_not_reachable(address) is None:
            addresses.append(str(address))
    return addresses
