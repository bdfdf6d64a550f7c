"""IP addresses and networks."""

from __future__ import annotations

import functools
import ipaddress

DEFAULTS = {4: "0.0.0.0/0", 6: "::/0"}


Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Subnet = ipaddress.IPv4Network | ipaddress.IPv6Network


# Parsing is most of the work of reading a large registry, which is read again after every change.
@functools.lru_cache(maxsize=1 << 17)
def parse_address(text: str) -> Address:
    """The address that a text of the registry stands for."""
    return ipaddress.ip_address(text)


_THIS_NETWORK = ipaddress.ip_network("0.0.0.0/8")


def can_be_endpoint(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Whether another machine can call this address at all, wherever the two stand."""
    if isinstance(address, ipaddress.IPv6Address):
        special = address.scope_id is not None or address.ipv4_mapped is not None
    else:
        special = address.is_reserved or address in _THIS_NETWORK
    return not (
        special or address.is_loopback or address.is_multicast or address.is_unspecified or address.is_link_local
    )
