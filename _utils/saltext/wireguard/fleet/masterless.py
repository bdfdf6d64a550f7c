"""
Views without a master, from the mesh file alone.

Every node compiles its own view from the same mesh file. Nobody allocates addresses or accepts registrations, so a node
is a member if its entry has a ``public_key``, which needs ``addresses``. Nothing else counts, or nodes could compute
contradicting views.
"""

from __future__ import annotations

from ..errors import MeshError
from ..meshfile.mesh import Mesh
from ..model.view import View
from ..registry.rows import VOUCHED, Row, Snapshot
from ..registry.salt_keys import AcceptedKey
from .fleet import Fleet

# The node itself is a member of the networks that list it even without a public key, so that it can make a key pair.
_ITSELF = AcceptedKey(b"", "")


def masterless_views(mesh: Mesh, node: str, now: float) -> dict[str, View]:
    """
    Network -> the view of the node at this time (Unix seconds); empty if it is in no network.

    Raises MeshError, also for settings that need a master.
    """
    preshared = [network.place_of("preshared_keys") for network in mesh.networks if network.preshared_keys]
    if preshared:
        message = "preshared_keys needs a master: it keeps the secret that they come from"
        raise MeshError(place.problem(message) for place in preshared)
    rows = {
        (network.name, entry.pattern): Row(
            network.name, entry.pattern, entry.public_key, (), entry.port or network.port, 0, VOUCHED, 0.0
        )
        for network in mesh.networks
        for entry in network.nodes
        if entry.public_key
    }
    return Fleet(mesh, Snapshot(rows=rows), {node: _ITSELF}, now).views(node)
