"""
IP forwarding, for nodes that pass packets on between others: the same commands now and at boot.

It is turned on for the whole machine, the only way that Linux knows for IPv6, and never off again: whether it was on
for another reason is not known. What may pass is for the machine's firewall to say.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_interface

# A router ignores router advertisements, by which many machines have their default route, unless accept_ra is 2.
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
    """One command for all of them."""
    return "; ".join(COMMANDS[version] for version in versions(addresses))
