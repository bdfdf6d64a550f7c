"""What people give to functions, where something else than what is meant would be done with another type."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from ..errors import NodeError
from ..model import fields
from ..model.fields import Fields
from ..model.peer import Peer
from ..model.view import peers_from_dict

T = TypeVar("T")


def argument(name: str, value: object, convert: Callable[[object], T]) -> T:
    """The value, converted as in ``model.fields``. Raises NodeError, which names the argument."""
    return Fields({name: value}, "", NodeError).get(name, convert)


def keys_by_network(value: object) -> dict[str, list[str]]:
    """A converter: network -> public keys."""
    return {network: fields.list_of(fields.text)(keys) for network, keys in fields.mapping(value).items()}


def described_peers(value: object) -> dict[str, tuple[Peer, ...]]:
    """A converter: network of the mesh file -> name -> peer as in a pillar, without secrets: all minions get a job."""
    found = {
        name: peers_from_dict(fields.mapping(peers), f"network {name}") for name, peers in fields.mapping(value).items()
    }
    if any(peer.preshared for peers in found.values() for peer in peers):
        raise ValueError("must have no preshared keys, which only a pillar may have")
    return found


def peers_by_network(value: object) -> dict[str, dict[str, str]]:
    """A converter: network of the mesh file -> network behind a peer -> public key of the peer."""
    return {
        name: {fields.network(network): fields.public_key(key) for network, key in fields.mapping(moves).items()}
        for name, moves in fields.mapping(value).items()
    }
