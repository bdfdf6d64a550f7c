"""One step of a change, and the command lines and changes that a list of steps amounts to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from ..model.changes import Change, Changes, united
from ..model.view import View
from . import exits

PRESHARED_KEY = "@PRESHARED_KEY@"


class PresharedKeyOf(str):
    """
    A word of a command that stands for the name of a file with a peer's preshared key. It is recognised by its type, so
    equal text from others is nothing special.
    """

    public_key: str

    def __new__(cls, public_key: str) -> PresharedKeyOf:
        word = super().__new__(cls, PRESHARED_KEY)
        word.public_key = public_key
        return word


# Linux takes 128 KiB an argument and 2 MiB a command line; 64 peers with ten networks each need 20 KiB.
PEERS_PER_COMMAND = 64


@dataclass(frozen=True)
class Applied:
    """
    The last applied configuration.

    ``endpoints``: public key to configured endpoint. ``routes``: the networks that it needed routes for. ``names``:
    public key to the peer's name. ``mark``: of the interface's own packets, see ``exits.mark``. ``link_local``: the
    address that the interface had from it.
    """

    endpoints: Mapping[str, str] = field(default_factory=dict)
    routes: frozenset[str] = frozenset()
    names: Mapping[str, str] = field(default_factory=dict)
    mark: int = 0
    link_local: str | None = None

    @classmethod
    def of(cls, view: View | None) -> Applied:
        """From the view in the configuration file; empty for None."""
        if view is None:
            return cls()
        return cls(
            endpoints={peer.public_key: peer.endpoint for peer in view.peers if peer.endpoint},
            routes=view.routes,
            names={peer.public_key: peer.name for peer in view.peers},
            mark=exits.mark(view),
            link_local=view.link_local,
        )


@dataclass(frozen=True)
class Operation:
    """
    One step: its change, and the command that makes it.

    No field contains a secret: the private key is named by the path of its file, and ``PresharedKeyOf`` stands for a
    preshared key. ``argv`` is empty if another operation has this effect. A change with ``old`` equal to ``new`` marks
    an auxiliary step.
    """

    change: Change
    argv: tuple[str, ...]


def command_lines(operations: Iterable[Operation], interface: str) -> list[tuple[str, ...]]:
    """Return the command lines to run, in order. Neighbouring ``wg set`` become one, up to 64 peers."""
    argvs = [operation.argv for operation in operations if operation.argv]
    result: list[tuple[str, ...]] = []
    for is_wg_set, group in groupby(argvs, key=lambda argv: argv[:3] == ("wg", "set", interface)):
        neighbours = list(group)
        result += wg_set(interface, [argv[3:] for argv in neighbours]) if is_wg_set else neighbours
    return result


def wg_set(interface: str, settings: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Return the command lines that make these settings, such as those of one peer: up to 64 with one command."""
    chunks = (settings[start : start + PEERS_PER_COMMAND] for start in range(0, len(settings), PEERS_PER_COMMAND))
    return [("wg", "set", interface, *(word for setting in chunk for word in setting)) for chunk in chunks]


def preshared_keys(command: Sequence[str], keys: Mapping[str, str]) -> dict[int, str]:
    """
    Return which word of the command, counted from 0, must name a file with which preshared key.

    :param keys: public key of a peer to its preshared key
    """
    return {
        place: keys.get(word.public_key, "")  # an empty file stands for no preshared key
        for place, word in enumerate(command)
        if isinstance(word, PresharedKeyOf)
    }


def changes_of(operations: Iterable[Operation]) -> Changes:
    """Return what the operations change in total. A peer with a new key is one change."""
    return united(operation.change for operation in operations)
