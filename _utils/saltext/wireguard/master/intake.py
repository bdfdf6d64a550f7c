"""Verifies and stores the statements of nodes."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping

from ..errors import RefusedError
from ..fleet.membership import Membership
from ..meshfile.mesh import Network
from ..model.statements import REGISTER_TAG, REPORT_TAG, Registration, Report, Rotation
from ..registry.evidence import claimed, signed_part, verify
from ..registry.pace import refuse_haste
from ..registry.rows import NodeId
from ..registry.salt_keys import AcceptedKey
from .master import Master

log = logging.getLogger(__name__)


def hear(master: Master, tag: str, event: object) -> bool:
    """Take in an event as ``take_in`` does. Returns whether it brought news."""
    return bool(take_in(master, tag, event))


def take_in(master: Master, tag: str, event: object, asked: str | None = None) -> bool | None:
    """
    Take in an event as ``event.send`` makes it, ``{"id": .., "data": {"signed": ..}}``: verify and store the
    registration or report in it. Returns whether it brought news, and None where it is not believed.

    ``asked``: the node whose answer this is; then a statement of another is not believed.

    A statement that is not believed is counted in the registry, and logged unless there are many. It raises nothing,
    because a forged statement must not affect anything else. Events with other tags are no news. Raises MeshError and
    RegistryError.
    """
    accept = {REGISTER_TAG: _register, REPORT_TAG: _report}.get(tag)
    if accept is None:
        return False
    signed = signed_part(event)
    try:
        _refuse_other_author(signed, asked)
        return accept(master, signed)
    except RefusedError as exc:
        node, network = claimed(signed)
        if not master.registry.audit.refuse(network, node, str(exc), exc.kind):
            return None  # one of so many that they are only counted
        sender = event.get("id") if isinstance(event, Mapping) else None
        sender = sender[:100] if isinstance(sender, str) else type(sender).__name__
        text = "refused what came as %s in the name of %s for network %s: %s (the event names %r as its sender)"
        log.warning(text, tag, node, network, exc, sender)
        return None


def _register(master: Master, signed: object) -> bool:
    keys = master.salt_keys()
    statement, key = verify(signed, Registration, keys)
    refuse_haste(master.registry.place, statement, key.fingerprint)
    members = membership(master, statement.network, keys)
    _refuse_stranger(members, statement.node)
    refuse_wrong_key(members.network, statement.node, statement.public_key)
    return master.registry.register(statement, key.fingerprint, members)


def _report(master: Master, signed: object) -> bool:
    keys = master.salt_keys()
    statement, key = verify(signed, Report, keys)
    refuse_haste(master.registry.place, statement, key.fingerprint)
    if not master.registry.knows(statement.network, statement.node):
        # A node that left may still report. If one that never registered could, every reconcile would wait for it.
        _refuse_stranger(membership(master, statement.network, keys), statement.node)
    return master.registry.report(statement, key.fingerprint)


def _refuse_other_author(signed: object, asked: str | None) -> None:
    """By the claimed author: if that is false, the signature does not verify."""
    author, _ = claimed(signed)
    if asked not in (None, author):
        raise RefusedError(f"it is a statement of {author} in an answer of {asked}", "author")


def announce(master: Master, signed: object, asked: NodeId, who: str, why: str) -> bool:
    """
    Store the key that a node will rotate to, on behalf of ``who``. Raises RefusedError, also for an announcement by
    another node than the one that was ``asked``, or for another network.
    """
    if claimed(signed) != (asked[1], asked[0]):
        author, name = claimed(signed)
        raise RefusedError(f"it is an announcement of {author} for network {name}, and {asked[1]} was asked", "author")
    keys = master.salt_keys()
    statement, key = verify(signed, Rotation, keys)
    members = membership(master, statement.network, keys)
    _refuse_stranger(members, statement.node)
    refuse_wrong_key(members.network, statement.node, statement.next_key)
    return master.registry.announce(statement, key.fingerprint, who, why)


def membership(master: Master, name: str, keys: Mapping[str, AcceptedKey]) -> Membership:
    """
    The members of the network of this name, registered or not. Raises RefusedError where there is no such network.

    It does not take a Moment: when a large fleet starts, every registration would read the whole registry.
    """
    network = master.mesh().network(name)
    if network is None:
        raise RefusedError(f"the mesh file has no network {name}", "network")
    standings, vouched = master.registry.standings(), master.registry.vouched(name)
    return Membership(network, keys, standings, time.time(), vouched)


def _refuse_stranger(members: Membership, node: str) -> None:
    reason = members.why_not(node)
    if reason:
        raise RefusedError(f"{node} is no member of network {members.network.name}: {reason}", "membership")


def refuse_wrong_key(network: Network, node: str, public_key: str) -> None:
    """Raise RefusedError if the mesh file gives this key to another node, or another key to this node."""
    for peer in network.peers:
        if peer.public_key == public_key:
            raise RefusedError(f"its public key is that of the peer {peer.name} in the mesh file", "key")
    for entry in network.nodes:
        if entry.public_key == public_key and entry.pattern != node:
            raise RefusedError(f"its public key is that of {entry.pattern} in the mesh file ({entry.place})", "key")
        if entry.pattern == node and entry.public_key not in (None, public_key):
            where = entry.place_of("public_key")
            raise RefusedError(
                f"its public key {public_key} is not the one in the mesh file ({where}), which fixes it", "key"
            )
