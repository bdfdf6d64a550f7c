"""Contradictions between the mesh file and the registry."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..errors import Problem
from ..meshfile.mesh import ExternalPeer, Network, Place
from ..model.addresses import Address
from .membership import Member


def contradictions(
    network: Network, members: Mapping[str, Member], peers: Mapping[str, ExternalPeer]
) -> Iterator[Problem]:
    """``peers``: those with a key."""
    named = network.reserved or network.peers
    allocated = {address: m.node for m in members.values() for address in m.allocated} if named else {}
    for peer in network.peers:
        given = peers.get(peer.name, peer).addresses
        allocated.update((address, peer.name) for address in given if address not in peer.addresses)
    for entry in network.nodes:
        for address in entry.addresses:
            holder = allocated.get(address)
            if holder not in (None, entry.pattern):
                yield _taken(entry.place, address, holder)
    if not network.peers:
        return
    keys = {member.row.public_key: f"the minion {m!r}" for m, member in members.items() if member.row}
    exported = [peers[p.name] for p in network.peers if not p.public_key and p.name in peers]
    keys.update((str(peer.public_key), f"the peer {peer.name!r}") for peer in exported)
    for peer in network.peers:
        yield from _of_peer(peer, allocated, keys)


def _of_peer(peer: ExternalPeer, allocated: Mapping[Address, str], keys: Mapping[str, str]) -> Iterator[Problem]:
    for address in peer.addresses:
        if address in allocated:
            yield _taken(peer.place, address, allocated[address])
    if peer.public_key and peer.public_key in keys:
        message = f"the public key of peer {peer.name!r} is that of {keys[peer.public_key]}"
        yield peer.place.problem(f"{message}; a peer has a key of its own")


def _taken(place: Place, address: Address, holder: str | None) -> Problem:
    message = f"{address} was already given to {holder}; choose another address, or give {holder} one by `addresses:`"
    return place.problem(message)
