"""Bringing the registry in line with the mesh file: addresses, and who joined and who left."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable

from ..errors import LossError, RefusedError
from ..fleet.fleet import Fleet
from ..fleet.membership import Membership
from ..fleet.network import NetworkState
from ..registry.registry import Registry
from ..registry.rows import NodeId, Snapshot
from .master import Master, Moment

log = logging.getLogger(__name__)

# How long a mesh file that is written again and again is waited for.
PATIENCE_SECONDS = 20.0


def settle(master: Master, forced: tuple[str, str] | None = None) -> dict[str, list[str]]:
    """
    Bring allocated addresses in line with the mesh file, and write into the history who joined and who left. What views
    are made from has a generation of its own from then on.

    ``forced``: (who, why) if most nodes of a network may leave it at once. That is about the members as they are
    now: with them noted, they are what a later loss is measured by.

    Returns network -> public keys of those that left it since the last call. Others may still have them as peers.
    Raises MeshError, and LossError for what is not forced.
    """
    master.registry.drains.lapse()
    moment, registry = master.moment(), master.registry
    fleet = moment.unguarded if forced else _whole(moment)
    for network in fleet.mesh.networks:
        _settle_addresses(registry, fleet.networks[network.name].membership, move=bool(forced))
    for name in {name for name, _ in registry.snapshot().exports} - fleet.networks.keys():
        registry.exports.forget(name)
    lossy = {loss.network for loss in fleet.losses}
    left = {
        name: _note_members(registry, name, fleet.networks.get(name), forced if name in lossy else None)
        for name in {*fleet.networks, *registry.snapshot().noted}
    }
    registry.note_sources(fleet.sources)
    return keys_of(registry.snapshot(), ((name, node) for name, nodes in left.items() for node in nodes))


def await_mesh_file(master: Master) -> None:
    """Wait while nodes would go by a mesh file that was changed a moment ago. Raises MeshError."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        moment = master.moment()
        moments = [each.until for each in moment.unguarded.unfinished if each.until is not None]
        if not moments:
            return
        time.sleep(max(min(max(moments) - moment.now, 1.0), 0.05))


def _whole(moment: Moment) -> Fleet:
    """The fleet, by a mesh file that nobody seems to be writing. Raises LossError, also for what speaks against it."""
    fleet = moment.fleet()
    if fleet.unfinished:
        found = [each.describe(moment.master.mesh_path) for each in fleet.unfinished]
        raise LossError("\n".join(f"{each}. No node was changed" for each in found))
    return fleet


def _settle_addresses(registry: Registry, members: Membership, move: bool) -> None:
    """Of each network by itself: one that has no address left does not stop the others."""
    try:
        registry.settle(members, move)
    except RefusedError as exc:
        log.error("wireguard: no address of network %s was changed: %s", members.network.name, exc)


def _note_members(
    registry: Registry, name: str, network: NetworkState | None, forced: tuple[str, str] | None
) -> list[str]:
    registered = network.registered if network else frozenset()
    who, reason = forced or ("master", "")

    def why_not(node: str) -> str:
        if network is None:
            return "the mesh file no longer has this network"
        return network.membership.why_not(node) or "its Salt key changed, and it has not registered again"

    def why(node: str) -> str:
        return f"{why_not(node)}; {reason}" if reason else why_not(node)

    return registry.audit.note_members(name, registered, why, who)


def keys_of(snapshot: Snapshot, nodes: Iterable[NodeId]) -> dict[str, list[str]]:
    """Network -> the public keys, also the announced ones, that these nodes registered."""
    found: dict[str, list[str]] = {}
    for row in (snapshot.rows[each] for each in nodes if each in snapshot.rows):
        found.setdefault(row.network, []).extend(key for key in (row.public_key, row.next_key) if key)
    return found
