"""
IP forwarding, for nodes that pass packets on between others: the same commands now and at boot.

It is turned on for the whole machine, because Linux offers nothing else for IPv6. It is never turned off, because
something else may need it. What may be forwarded is the decision of the machine's firewall.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_interface

# Unless accept_ra is 2, a router ignores router advertisements, which give many machines their default route.
COMMANDS = {
    4: "echo 1 > /proc/sys/net/ipv4/ip_forward",
    6: "for f in /proc/sys/net/ipv6/conf/*/accept_ra; do if [ $(cat $f) = 1 ]; then echo 2 > $f; fi; done;"
    " echo 1 > /proc/sys/net/ipv6/conf/all/forwarding",
}
FILES = {4: "/proc/sys/net/ipv4/ip_forward", 6: "/proc/sys/net/ipv6/conf/all/forwarding"}


def versions(addresses: Iterable[str]) -> list[int]:
    """The IP versions that a node with these addresses forwards."""
    return sorted({ip_interface(address).version for address in addresses})


def at_boot(addresses: Iterable[str]) -> str:
    """One command for all of them. Where they are read-only, the interface comes up all the same."""
    return "; ".join(f"{{ {COMMANDS[version]}; }} || :" for version in versions(addresses)) or ":"
