"""Which keys are due for a rotation; and the rotation of the secret of all preshared keys."""

from __future__ import annotations

import hashlib

from ..errors import ConfigError
from ..registry.rows import NodeId
from . import secretfile
from .master import Master, Moment
from .status import statuses

# When a rotation by `rotate_every` that failed is tried again.
ROTATE_AGAIN_SECONDS = 3600.0


def due_for_rotation(moment: Moment) -> list[NodeId]:
    """
    (network, node) whose key is due by ``rotate_every``, the longest overdue first; only nodes that are in sync.

    Each node has its own time in the last fifth of the interval, so that nodes that joined together do not rotate
    together. A node whose rotation has just failed, for example because it is off, must not delay the others, so it
    waits.
    """
    due = []
    failed = moment.master.registry.audit.failed_rotations(moment.now - ROTATE_AGAIN_SECONDS)
    for status in statuses(moment):
        network = moment.mesh.network(status.network)
        if (status.network, status.member.node) in failed:
            continue
        if network and network.rotate_every and status.member.row and status.reason is None:
            at = status.member.row.keyed + network.rotate_every * (0.8 + 0.2 * _share(status.member.node))
            due.append((at, (status.network, status.member.node)))
    return [who for at, who in sorted(due) if at <= moment.now]


def _share(text: str) -> float:
    """A number from 0 to 1, always the same for the same text."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") / 2**32


def nodes_with_preshared_keys(moment: Moment) -> set[NodeId]:
    """The registered nodes that have preshared keys, from a file of ours. Raises ConfigError for any other case."""
    concerned = {network.name for network in moment.mesh.networks if network.preshared_keys}
    if not concerned:
        raise ConfigError(f"no network of {moment.master.mesh_path} has `preshared_keys: true`")
    if moment.master.configured_secret:
        raise ConfigError(
            "the secret comes from `preshared_secret` in the master's configuration: change it where it is kept,"
            " restart salt-master, and run `salt-run wireguard.reconcile`"
        )
    members = moment.unguarded.members()
    return {(name, member.node) for name, member in members if name in concerned and member.row}


def renew_secret(master: Master, who: str, why: str) -> None:
    """
    Let all preshared keys be others from now on; ``who`` wants that, and ``why``. Raises as
    ``nodes_with_preshared_keys``.
    """
    nodes = nodes_with_preshared_keys(master.moment())
    secretfile.renew_secret(master.state_dir)
    master.registry.audit.note("preshared", nodes, who, why)
