"""
What one node must have: its interface and its peers.

A view travels as a plain dictionary in the pillar (``View.to_dict``), and is checked again where it arrives
(``View.from_dict``). Its digest names its content: equal digests mean equal configuration.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any


@dataclass(frozen=True)
class Peer:
    """
    One peer of an interface.

    ``allowed_ips`` are canonical networks in sorted order (``10.42.0.2/32``), ``endpoint`` is ``host:port`` (IPv6 in
    brackets) or None where the peer calls us, ``keepalive`` is in seconds and 0 means off.
    """

    name: str
    public_key: str
    allowed_ips: tuple[str, ...]
    endpoint: str | None = None
    keepalive: int = 0


@dataclass(frozen=True)
class View:
    """
    One interface of one node.

    ``addresses`` carry their prefix length (``10.42.0.1/16``). ``mtu`` None leaves the system's choice alone.
    ``network`` is None for an interface described by hand instead of by a mesh file. ``public_key`` is the node's own
    registered key; None means that the node has not registered, or that nobody keeps a registry.
    """

    interface: str
    addresses: tuple[str, ...]
    peers: tuple[Peer, ...] = ()
    network: str | None = None
    port: int | None = None
    mtu: int | None = None
    public_key: str | None = None
