"""The pillar of a minion: its views, or an error that does not reveal what is wrong on the master."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from ..errors import LossError, MeshError, PillarError, WireguardError
from ..meshfile.load import last_valid
from ..meshfile.mesh import Mesh
from ..model.view import View
from ..registry.rows import Snapshot
from ..registry.salt_keys import KeyStore
from . import counters
from .config import nodegroups_of, registry_of, state_dir_of
from .master import Master


def views_for(
    opts: Mapping[str, Any], mesh_path: str, node: str, key_store: KeyStore | None = None
) -> tuple[dict[str, View], int] | None:
    """
    Network -> what the node must have there, which is empty if it was a member of some network; and the generation that
    this was made from. None for a node that never was a member.

    :param opts: the Salt master's options
    :param mesh_path: where the mesh file is, even if something else in the options is wrong
    :param key_store: where the master keeps keys, None for Salt's directory
    :raises PillarError: where the mesh file is invalid, or the registry or something else unusable: for those who may
        be members, who must not take that for a removal. What is wrong is for the operator; a value of the mesh file
        may be a misplaced secret
    :raises LossError: where it concerns a network of this node
    """
    started = time.monotonic()
    try:
        found = _views(Master.from_opts(opts, key_store), node)
        if found is not None:
            counters.add(state_dir_of(opts), pillars=1, pillar_seconds=time.monotonic() - started)
        return found
    except LossError:
        raise
    except (WireguardError, OSError) as exc:
        is_invalid = isinstance(exc, MeshError)
        known = Master(mesh_path, "", state_dir_of(opts), "", None, nodegroups_of(opts), registry_of(opts))
        if not _may_be_member(known, node):
            return None
    what, verb = ("the mesh file on the master is invalid", "validate") if is_invalid else ("the master fails", "nodes")
    raise PillarError(f"{what}, so this minion keeps what it has; `salt-run wireguard.{verb}` on the master says why")


def _views(master: Master, node: str) -> tuple[dict[str, View], int] | None:
    if not master.is_trusted(node):
        return None
    moment = master.moment(recent=True)
    views = moment.views(node)
    return None if views is None else (views, moment.unguarded.generation)


def _may_be_member(master: Master, node: str) -> bool:
    """
    Whether the mesh file, or the last one that was valid, has the node, or the registry knows it. Of all others, none
    has ever had an interface from here that it could lose. Where neither can be read, everybody may be one.
    """
    mesh, snapshot = _mesh(master), _snapshot(master)
    if mesh is None and snapshot is None:
        return True
    is_listed = mesh is not None and any(network.settings(node) for network in mesh.networks)
    return is_listed or (snapshot is not None and _is_known(snapshot, node))


def _is_known(snapshot: Snapshot, node: str) -> bool:
    return any(node == each for _, each in snapshot.rows) or any(node in noted for noted in snapshot.noted.values())


def _mesh(master: Master) -> Mesh | None:
    try:
        return master.mesh()
    except MeshError:
        return last_valid(master.mesh_path)


def _snapshot(master: Master) -> Snapshot | None:
    try:
        return master.registry.snapshot()
    except WireguardError:
        return None
