"""How pings to peers came back, and how that travels."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import ViewError, WireguardError
from . import fields
from .fields import Fields

MOST_PINGS = 100
_COUNT = fields.integer(0, MOST_PINGS)


@dataclass(frozen=True)
class Echo:
    """The pings to one address of a peer: how many, how many came back, and their mean round-trip time in ms."""

    sent: int
    received: int
    rtt: float | None

    @property
    def loss(self) -> float:
        """The share that did not come back."""
        return (self.sent - self.received) / self.sent if self.sent else 0.0


@dataclass(frozen=True)
class Probe:
    """
    One network of a node: public key of a peer -> IP version -> how the pings came back. ``error``: why the node cannot
    say.
    """

    peers: Mapping[str, Mapping[int, Echo]] = field(default_factory=dict)
    error: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """As it travels: short, because a fleet sends many."""
        if self.error is not None:
            return {"result": False, "comment": self.error}
        return {
            "peers": {
                key: {str(version): [each.sent, each.received, each.rtt] for version, each in echoes.items()}
                for key, echoes in self.peers.items()
            }
        }

    @classmethod
    def from_dict(cls, data: object) -> Probe:
        """From a job's return, of which no shape is certain: it can be forged."""
        try:
            given = Fields(data, "probe: ", ViewError)
            if failure := given.failure():
                return cls(error=failure)
            peers = given.get("peers", fields.mapping)
            return cls({fields.public_key(key): _echoes(each) for key, each in peers.items()})
        except (WireguardError, ValueError, RecursionError):
            return cls(error="its answer is malformed")


def _echoes(value: object) -> dict[int, Echo]:
    given = fields.mapping(value)
    return {version: _echo(given[str(version)]) for version in (4, 6) if str(version) in given}


def _echo(value: object) -> Echo:
    sent, received, rtt = fields.list_of(lambda item: item, 3)(value)
    if rtt is not None and (isinstance(rtt, bool) or not isinstance(rtt, float | int) or not 0 <= rtt < math.inf):
        raise ValueError("must be a time in milliseconds")
    echo = Echo(_COUNT(sent), _COUNT(received), rtt)
    if echo.received > echo.sent or bool(echo.received) is (rtt is None):
        raise ValueError("must be counts and a time that fit together")
    return echo
