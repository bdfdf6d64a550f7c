"""What the pillar of a minion has: its views, or an error that never says what is wrong with the mesh file."""

from __future__ import annotations

from ..errors import MeshError, PillarError
from ..meshfile.load import last_valid
from ..model.view import View
from .master import Master


def views_for(master: Master, node: str) -> tuple[dict[str, View], int] | None:
    """
    Network -> what the node must have there, which is empty if it was a member of some network; and the generation that
    this was made from. None for a node that never was a member.

    :raises PillarError: where the mesh file is invalid, or contradicts the registry: for those who may be members, who
        must not take that for a removal. What is wrong there is for the operator; a value may be a misplaced secret
    :raises LossError: where it concerns a network of this node
    """
    if not master.is_trusted(node):
        return None
    try:
        moment = master.moment()
        views = moment.views(node)
        return None if views is None else (views, moment.unguarded.generation)
    except MeshError:
        if not _may_be_member(master, node):
            return None
    raise PillarError(
        "the mesh file on the master is invalid, so this minion keeps what it has; `salt-run wireguard.validate` on the"
        " master says what is wrong"
    )


def _may_be_member(master: Master, node: str) -> bool:
    """
    Whether the registry knows the node, or the last mesh file that was valid has it. Of all others, none has ever had
    an interface from here that it could lose.
    """
    mesh = last_valid(master.mesh_path)
    if mesh and any(network.settings(node) for network in mesh.networks):
        return True
    snapshot = master.registry.snapshot()
    return any(node == known for _, known in snapshot.rows) or any(node in noted for noted in snapshot.noted.values())
