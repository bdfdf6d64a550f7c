"""One peer of an interface, as a view has it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ..errors import ViewError
from . import fields
from .endpoint import Endpoint
from .fields import Fields
from .keys import parse_preshared_key

_PEER_KEYS = {
    *("public_key", "allowed_ips", "endpoint", "keepalive", "next_key", "preshared_key", "next_preshared_key"),
    *("is_offered", "others"),
}

# Stands for a preshared key in a view for anybody but its node.
HIDDEN = "(hidden)"


@dataclass(frozen=True)
class OtherKey:
    """Marks a peer that stands for the next or the old key of a ``node`` which uses another one."""

    node: str
    is_next: bool

    @property
    def label(self) -> str:
        """The name of the peer. No minion id looks like this, and it is never parsed: the mark itself counts."""
        return f"{self.node} ({'next' if self.is_next else 'old'} key)"


@dataclass(frozen=True)
class Peer:
    """
    One peer of an interface.

    ``allowed_ips`` are canonical networks in sorted order (``10.42.0.2/32``). ``endpoint`` is ``host:port`` (IPv6 in
    brackets), or None if the peer connects to us. ``keepalive`` is in seconds, 0 for off. ``next_key`` is the public
    key that the peer has announced and may use from now on instead of ``public_key`` (see ``rotation.expand``).

    ``preshared``: whether the mesh file gives the two a preshared key. ``preshared_key`` and ``next_preshared_key`` are
    the secrets for ``public_key`` and ``next_key``. Only views for the node itself have them. Without ``preshared``,
    the pair has had the key since before the node was taken over. ``kept_keepalive`` is from then, too, and counts if
    ``keepalive`` is 0; only the node itself knows it.

    ``others``: more endpoints, all addresses, to be tried in turn with ``endpoint`` if that is one.

    ``other_key`` exists only on the node itself, see ``rotation.expand``.

    ``is_offered``: whether the peer itself offers the endpoint, so that it is no word of the operator. This is
    for the node that applies the view; it is not in the digest, nor in the configuration file.
    """

    name: str
    public_key: str
    allowed_ips: tuple[str, ...]
    endpoint: str | None = None
    keepalive: int = 0
    next_key: str | None = None
    preshared: bool = False
    preshared_key: str | None = field(default=None, repr=False)
    next_preshared_key: str | None = field(default=None, repr=False)
    other_key: OtherKey | None = None
    kept_keepalive: int = 0
    is_offered: bool = field(default=False, compare=False)
    others: tuple[str, ...] = ()

    @cached_property
    def digest(self) -> bytes:
        """
        SHA-256 of everything but the secrets, which ``View.preshared`` stands for. Cached, because all views of a full
        mesh share these objects.
        """
        parts = [self.name, self.public_key, list(self.allowed_ips), self.endpoint, self.keepalive, self.next_key]
        others = [{"others": self.others}] if self.others else []
        return sha256([*parts, *([True] if self.preshared else []), *others])

    @property
    def effective_keepalive(self) -> int:
        """What the device must have."""
        return self.keepalive or self.kept_keepalive

    @property
    def has_preshared_key(self) -> bool:
        """Whether the two have a preshared key, from wherever."""
        return self.preshared or self.preshared_key is not None

    @cached_property
    def has_name_as_endpoint(self) -> bool:
        """Whether the endpoint is a name, whose address may change. Cached for the same reason."""
        return self.endpoint is not None and Endpoint.parse(self.endpoint).address is None

    @property
    def may_move(self) -> bool:
        """Whether it may be at another endpoint than the one that is written."""
        return self.has_name_as_endpoint or bool(self.others)

    def to_dict(self) -> dict[str, Any]:
        """The peer in the pillar, where its name is the key."""
        data: dict[str, Any] = {
            "public_key": self.public_key,
            "allowed_ips": list(self.allowed_ips),
            "endpoint": self.endpoint,
            "keepalive": self.keepalive,
            "next_key": self.next_key,
        }
        if self.is_offered:
            data["is_offered"] = True
        if self.others:
            data["others"] = list(self.others)
        if self.preshared:
            data["preshared_key"] = self.preshared_key or HIDDEN
        if self.next_preshared_key:
            data["next_preshared_key"] = self.next_preshared_key
        return data


def peer_from_dict(name: str, data: object, where: str) -> Peer:
    """Check and convert the result of ``Peer.to_dict``. Raises ViewError, whose message begins with ``where``."""
    given = Fields(data, f"{where}: ", ViewError, _PEER_KEYS)
    if not name.isprintable() or not name:
        raise ViewError(f"{where}: a peer's name has printable characters only")
    preshared_key = given.get("preshared_key", parse_preshared_key, None)
    return Peer(
        name=name,
        public_key=given.get("public_key", fields.public_key),
        allowed_ips=tuple(sorted(given.get("allowed_ips", fields.list_of(fields.network), []))),
        endpoint=given.get("endpoint", fields.endpoint, None),
        keepalive=given.get("keepalive", fields.integer(0, 65535), 0),
        next_key=given.get("next_key", fields.public_key, None),
        preshared=preshared_key is not None,
        preshared_key=preshared_key,
        next_preshared_key=given.get("next_preshared_key", parse_preshared_key, None),
        is_offered=given.get("is_offered", fields.boolean, False),
        others=tuple(given.get("others", fields.list_of(fields.endpoint), [])),
    )


def sha256(parts: list[Any]) -> bytes:
    """Of plain data, as JSON."""
    return hashlib.sha256(json.dumps(parts, separators=(",", ":")).encode()).digest()
