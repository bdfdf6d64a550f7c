"""What nodes say of themselves, verified and stored."""

from __future__ import annotations

from ..errors import RefusedError
from ..fleet.membership import Membership
from ..meshfile.mesh import Network


def refuse_stranger(members: Membership, node: str, network: str) -> None:
    reason = members.why_not(node)
    if reason:
        raise RefusedError(f"{node} is no member of network {network}: {reason}")


def refuse_wrong_key(network: Network, node: str, public_key: str) -> None:
    for peer in network.peers:
        if peer.public_key == public_key:
            raise RefusedError(f"its public key is that of the peer {peer.name} in the mesh file")
    for entry in network.nodes:
        if entry.public_key == public_key and entry.pattern != node:
            raise RefusedError(f"its public key is that of {entry.pattern} in the mesh file ({entry.place})")
        if entry.pattern == node and entry.public_key not in (None, public_key):
            where = entry.place_of("public_key")
            raise RefusedError(f"its public key {public_key} is not the one in the mesh file ({where}), which fixes it")
