"""Which nodes are admitted: decisions of operators, and the mesh file's policies for registrations."""

from __future__ import annotations

from collections.abc import Collection, Container, Iterator
from dataclasses import dataclass
from typing import Protocol

from ..meshfile.mesh import Network, NodeSettings

ADMITTED = "admitted"
REVOKED = "revoked"
UNDECIDED = "undecided"


class Membership(Protocol):
    """
    The minions that are members of a network now.

    ``suspended`` are none because of a revocation. It can be taken back, so they keep their addresses and public keys.
    """

    @property
    def network(self) -> Network: ...

    @property
    def suspended(self) -> Container[str]: ...

    def __contains__(self, node: object, /) -> bool: ...


@dataclass(frozen=True)
class Standing:
    """
    What an operator decided about one node in one network.

    ``state`` is ADMITTED, REVOKED, or UNDECIDED: then only ``expires`` counts, in Unix seconds; None: never.
    ``generation``: that of the registry with the decision.
    """

    state: str
    since: float
    who: str
    why: str
    expires: float | None = None
    generation: int = 0


def excluded(settings: NodeSettings | None, standing: Standing | None, now: float) -> str | None:
    """Why a node is no member even if the mesh file lists it; None where nobody decided that."""
    if standing and standing.state == REVOKED:
        return f"revoked by {standing.who}"
    if any(moment <= now for moment in expiries(settings, standing)):
        return "expired"
    return None


def expiries(settings: NodeSettings | None, standing: Standing | None) -> Iterator[float]:
    """The moments, past or to come, at which a node's membership ends by itself."""
    if settings and settings.expires is not None:
        yield settings.expires
    if standing and standing.expires is not None:
        yield standing.expires


def question(network: Network, public_key: str, known_keys: Collection[str], standing: Standing | None) -> str | None:
    """
    What an operator must decide before a registration counts: "admit" or "rekey"; None where nothing must.

    ``known_keys`` are the node's present key and the one that it announced for a rotation; none for a new node.
    """
    if not known_keys:
        admitted = standing is not None and standing.state == ADMITTED
        return "admit" if network.admit == "manual" and not admitted else None
    if public_key in known_keys:
        return None
    return "rekey" if network.rekey == "manual" else None
