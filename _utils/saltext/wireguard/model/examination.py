"""What a node finds when it examines why a peer cannot be reached, and how that travels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ..errors import ViewError, WireguardError
from . import fields
from .fields import Fields

_NUMBER = fields.integer(-(2**63), 2**63 - 1)
_TEXTS = fields.list_of(fields.short_text, 1000)


@dataclass(frozen=True)
class Counters:
    """
    Of a peer on a device at a moment. ``age``: seconds since the latest handshake, None for never; below 0 if the clock
    was set back since.
    """

    age: int | None
    received: int
    sent: int


@dataclass(frozen=True)
class Target:
    """
    An address that was pinged. ``device``: where the kernel routes packets to it, None for nowhere. ``small`` and
    ``full``: whether a small ping came back, and one as large as the interface's MTU.
    """

    device: str | None
    small: bool
    full: bool


@dataclass(frozen=True)
class Look:
    """
    One peer, while it was pinged.

    ``public_key``: that of the configuration, None where that has no such peer. ``configured``: its endpoint there, a
    name or an address; ``addresses``: what the name stands for now. ``endpoint``: that on the device; ``path``: the
    network device by which packets to it leave, None for nowhere. ``before`` and ``after`` are None where the device
    lacks the peer. ``targets``: by address.
    """

    public_key: str | None = None
    configured: str | None = None
    addresses: tuple[str, ...] = ()
    endpoint: str | None = None
    path: str | None = None
    allowed_ips: tuple[str, ...] = ()
    before: Counters | None = None
    after: Counters | None = None
    targets: Mapping[str, Target] = field(default_factory=dict)


@dataclass(frozen=True)
class Examination:
    """
    One network of a node. ``forwards``: the IP versions that it passes on. ``drops``: the chains of its firewall that
    drop what no rule accepts. ``looks``: name of a peer -> what was found. ``error``: why it cannot say.
    """

    interface: str = ""
    up: bool = False
    public_key: str | None = None
    port: int = 0
    mtu: int = 0
    forwards: tuple[int, ...] = ()
    drops: tuple[str, ...] = ()
    looks: Mapping[str, Look] = field(default_factory=dict)
    error: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """As it travels."""
        return asdict(self) if self.error is None else {"result": False, "comment": self.error}

    @classmethod
    def from_dict(cls, data: object) -> Examination:
        """From a job's return, of which no shape is certain: it can be forged."""
        try:
            return _examination(data)
        except (WireguardError, ValueError, RecursionError):
            return cls(error="its answer is malformed")


def _examination(data: object) -> Examination:
    given = Fields(data, "examination: ", ViewError)
    if failure := given.failure():
        return Examination(error=failure)
    looks = given.get("looks", fields.mapping, {})
    return Examination(
        interface=given.get("interface", fields.interface),
        up=given.get("up", fields.boolean),
        public_key=given.get("public_key", fields.public_key, None),
        port=given.get("port", fields.integer(0, 65535), 0),
        mtu=given.get("mtu", fields.integer(0, 65535), 0),
        forwards=tuple(given.get("forwards", fields.list_of(fields.integer(4, 6), 2), [])),
        drops=tuple(given.get("drops", _TEXTS, [])),
        looks={fields.short_text(name): _look(each) for name, each in looks.items()},
    )


def _look(data: object) -> Look:
    given = Fields(data, "look: ", ViewError)
    targets = given.get("targets", fields.mapping, {})
    return Look(
        public_key=given.get("public_key", fields.public_key, None),
        configured=given.get("configured", fields.endpoint, None),
        addresses=tuple(given.get("addresses", _TEXTS, [])),
        endpoint=given.get("endpoint", fields.short_text, None),
        path=given.get("path", fields.short_text, None),
        allowed_ips=tuple(given.get("allowed_ips", fields.list_of(fields.network), [])),
        before=given.get("before", _counters, None),
        after=given.get("after", _counters, None),
        targets={fields.address(address): _target(each) for address, each in targets.items()},
    )


def _counters(data: object) -> Counters:
    given = Fields(data, "counters: ", ViewError)
    return Counters(given.get("age", _NUMBER, None), given.get("received", _NUMBER), given.get("sent", _NUMBER))


def _target(data: object) -> Target:
    given = Fields(data, "target: ", ViewError)
    return Target(
        given.get("device", fields.short_text, None),
        given.get("small", fields.boolean),
        given.get("full", fields.boolean),
    )
