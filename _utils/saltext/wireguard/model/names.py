"""Names that are possible: host names, minion ids, and names of interfaces."""

from __future__ import annotations

import re

MAX_HOST_NAME = 253

_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")

# In words, for messages.
WHAT_IDS_ARE = "letters, digits, '-', '_' and dots, as in a host name"


def is_id(name: str) -> bool:
    """
    Whether a minion can be a member under this id, which must look like a host name or an IP address. Nothing like that
    can be mistaken for a part of a command or a file.
    """
    return len(name) <= MAX_HOST_NAME and all(_LABEL.fullmatch(label) for label in name.split("."))


def is_host_name(name: str) -> bool:
    """Whether a hosts file can have the name for another machine."""
    last = name.rpartition(".")[2]
    return is_id(name) and not last.isdecimal() and last.lower() != "localhost"


def is_dns_name(name: str) -> bool:
    """Whether a resolver can be asked for the name, which may end in a dot."""
    return is_id(name.removesuffix("."))


INTERFACE = re.compile(r"[A-Za-z0-9_=+.][A-Za-z0-9_=+.-]{0,14}")

# Names that mean something else in /sys/class/net or /proc/sys/net/ipv4/conf.
_TAKEN = {".", "..", "lo", "all", "default", "bonding_masters"}

# Usual names of devices that carry a machine's other traffic.
_DEVICES = re.compile(
    r"(eth|ens|eno|em|wlan|wwan|bond|team|br|virbr|docker|veth|tap|tun|tailscale|lxcbr|lxdbr|ib|usb|ppp|dummy)[0-9.]+"
    r"|(en|wl|ww)[opsx][A-Za-z0-9]+|erspan0|gre0|gretap0|ip6tnl0|sit0|tunl0|ip_vti0|ip6_vti0"
)


def is_interface(name: str) -> bool:
    """Whether a WireGuard interface can have the name. It must suit ``wg-quick``, and be a safe word of a command."""
    return bool(INTERFACE.fullmatch(name)) and name not in _TAKEN


def is_like_another_device(name: str) -> bool:
    """Whether a device of this name is usually something else."""
    return bool(_DEVICES.fullmatch(name))
