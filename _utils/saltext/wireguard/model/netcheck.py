"""What a node itself can say of the network that it is in, and how that travels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ..errors import ViewError, WireguardError
from . import fields
from .fields import Fields

_MOST_PEERS = 20_000
_NAMES = fields.list_of(fields.short_text, _MOST_PEERS)
_SIZE = fields.integer(0, 65535)


@dataclass(frozen=True)
class LocalNet:
    """
    One network of a node. ``port`` and ``mtu`` are those of the interface. ``addresses``: the machine's own, without
    tunnels. ``default_routes``: the IP versions that have one. After pings through the tunnels, ``asked`` says how many
    peers there were, ``silent`` who did not answer, and ``narrow`` how large packets to a peer may be, where that is
    less than the MTU. ``error``: why the node cannot say.
    """

    port: int = 0
    mtu: int = 0
    addresses: tuple[str, ...] = ()
    default_routes: tuple[int, ...] = ()
    asked: int = 0
    silent: tuple[str, ...] = ()
    narrow: Mapping[str, int] = field(default_factory=dict)
    error: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """As it travels."""
        return asdict(self) if self.error is None else {"result": False, "comment": self.error}

    @classmethod
    def from_dict(cls, data: object) -> LocalNet:
        """From a job's return, of which no shape is certain: it can be forged."""
        try:
            return _local_net(data)
        except (WireguardError, ValueError, RecursionError):
            return cls(error="its answer is malformed")


def _local_net(data: object) -> LocalNet:
    given = Fields(data, "netcheck: ", ViewError)
    if failure := given.failure():
        return LocalNet(error=failure)
    narrow = given.get("narrow", fields.mapping, {})
    return LocalNet(
        port=given.get("port", _SIZE),
        mtu=given.get("mtu", _SIZE),
        addresses=tuple(given.get("addresses", fields.list_of(fields.address, 1000), [])),
        default_routes=tuple(given.get("default_routes", fields.list_of(fields.integer(4, 6), 2), [])),
        asked=given.get("asked", fields.integer(0, _MOST_PEERS), 0),
        silent=tuple(given.get("silent", _NAMES, [])),
        narrow={fields.short_text(name): _SIZE(size) for name, size in narrow.items()},
    )
