"""The external peers of a mesh file, and what was exported for them."""

from __future__ import annotations

from dataclasses import dataclass

from ..meshfile.mesh import ExternalPeer
from ..registry.exports import Export


@dataclass(frozen=True)
class Client:
    """
    A peer that is not a minion. ``export`` is None unless it was exported; ``is_current`` tells whether it would get
    the same configuration now.
    """

    network: str
    peer: ExternalPeer
    export: Export | None
    is_current: bool
