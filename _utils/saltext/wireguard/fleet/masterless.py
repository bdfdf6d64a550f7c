"""
Views without a master: what there is to know of a node, the mesh file has to say.

Every node compiles its own view from the same mesh file. Nobody hands out addresses or takes in registrations, so a
node takes part when its entry has a ``public_key``, which needs ``addresses``. Nothing else may enter, or two nodes
could come to different views.
"""

from __future__ import annotations

from ..errors import MeshError
from ..meshfile.mesh import Mesh
from ..model.view import View
from ..registry.rows import VOUCHED, Row, Snapshot
from ..registry.salt_keys import AcceptedKey
from .fleet import Fleet

# The node that asks belongs to the networks that name it also before its public key is known: it makes one then.
_ITSELF = AcceptedKey(b"", "")


def masterless_views(mesh: Mesh, node: str, now: float) -> dict[str, View]:
    """
    Network -> what the node must have there at this time (Unix seconds); empty for one that is in no network.

    Raises MeshError, also for what needs a master.
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
