"""What people give to functions, where something else than what is meant would be done with another type."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from ..errors import NodeError
from ..model import fields
from ..model.fields import Fields

T = TypeVar("T")


def argument(name: str, value: object, convert: Callable[[object], T]) -> T:
    """The value, converted as in ``model.fields``. Raises NodeError, which names the argument."""
    return Fields({name: value}, "", NodeError).get(name, convert)


def keys_by_network(value: object) -> dict[str, list[str]]:
    """A converter: network -> public keys."""
    return {network: fields.list_of(fields.text)(keys) for network, keys in fields.mapping(value).items()}


def peers_by_network(value: object) -> dict[str, dict[str, str]]:
    """A converter: network of the mesh file -> network behind a peer -> public key of the peer."""
    return {
        name: {fields.network(network): fields.public_key(key) for network, key in fields.mapping(moves).items()}
        for name, moves in fields.mapping(value).items()
    }
