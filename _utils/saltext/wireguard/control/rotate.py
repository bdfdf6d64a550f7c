"""Rotates the keys of nodes, one after the other, and the preshared keys of all nodes at once."""

from __future__ import annotations

import fnmatch
import logging
import time
from collections.abc import Collection
from typing import Any

from ..errors import ConfigError
from ..master.master import Moment
from ..master.others import refuse_differences
from ..master.rotations import due_for_rotation, nodes_with_preshared_keys, renew_secret
from ..master.status import statuses
from ..registry.rows import NodeId
from ..rollout.hold import current_hold
from ..wording import some
from . import tables
from .answers import silent_nodes
from .exit_codes import FAILED, exiting
from .operator import Operator
from .reconcile import PATIENCE, reconcile
from .rotation import Rotation, RotationFailed

log = logging.getLogger(__name__)


def rotate(operator: Operator, node: str, network: str | None, timeout: float, force: bool) -> dict[str, Any]:
    """``salt-run wireguard.rotate``."""
    moment = operator.master.moment()
    wanted = [
        (status.network, status.member.node)
        for status in statuses(moment)
        if status.member.has_registered
        and fnmatch.fnmatchcase(status.member.node, node)
        and network in (None, status.network)
    ]
    if not wanted:
        tables.refuse_unknown(operator, network)
        raise ConfigError(f"no registered node matches {node!r}; see `salt-run wireguard.nodes`")
    if not force:
        _refuse_to_cut_off_peers(moment, {name for name, _ in wanted})
    return _rotate_all(operator, sorted(wanted), timeout, operator.name, "salt-run wireguard.rotate")


def _refuse_to_cut_off_peers(moment: Moment, names: Collection[str]) -> None:
    for name, network in moment.fleet().networks.items():
        if name in names and network.peers:
            raise ConfigError(
                f"network {name} has external peers ({some(network.peers)}), which lose contact with a node whose key"
                " changes. Use force=True to rotate all the same; then export these peers again, or give them the new"
                " key by hand"
            )


def rotate_due(operator: Operator, limit: int) -> dict[str, Any]:
    """``salt-run wireguard.rotate_due``."""
    master = operator.master
    due = [] if current_hold(master.state_dir) else due_for_rotation(master.moment())[:limit]
    return _rotate_all(operator, due, PATIENCE, "master", "rotate_every")


def _rotate_all(operator: Operator, nodes: Collection[NodeId], timeout: float, who: str, why: str) -> dict[str, Any]:
    done = [_rotate_one(operator, network, node, timeout, who, why) for network, node in nodes]
    return exiting(0 if all(row["rotated"] for row in done) else FAILED, {"rotations": done})


def _rotate_one(operator: Operator, network: str, node: str, timeout: float, who: str, why: str) -> dict[str, Any]:
    started = time.monotonic()
    master, rotated = operator.master, False
    with operator.turn():
        _refuse_for_now(operator)  # each of the peers would get more than the new key
        try:
            with operator.bus() as bus:
                comment = Rotation(master, bus, operator.progress, network, node, timeout, who, why).run()
            rotated = True
        except RotationFailed as exc:
            comment = str(exc)
            master.registry.audit.note_failed_rotation(network, node, who, comment)
            log.warning("wireguard: network %s: the key of %s was not rotated: %s", network, node, comment)
    row = {"network": network, "node": node, "rotated": rotated, "comment": comment}
    return {**row, "seconds": round(time.monotonic() - started, 2)}


def _refuse_for_now(operator: Operator) -> None:
    """Raise ConfigError while changes are on hold, or other masters compute other views."""
    on_hold = current_hold(operator.master.state_dir)
    if on_hold:
        raise ConfigError(on_hold)
    refuse_differences(operator.master.moment())


def rotate_secret(operator: Operator, reason: object, timeout: float, force: bool) -> dict[str, Any]:
    """``salt-run wireguard.rotate_secret``."""
    master = operator.master
    with operator.turn():
        _refuse_for_now(operator)  # between nodes that have it and nodes that do not, tunnels would end
        if not force:
            _refuse_if_silent(operator, {node for _, node in nodes_with_preshared_keys(master.moment())}, timeout)
        renew_secret(master, operator.name, str(reason))
    return reconcile(operator, contact=[], timeout=timeout)


def _refuse_if_silent(operator: Operator, nodes: Collection[str], timeout: float) -> None:
    with operator.bus() as bus:
        silent = silent_nodes(bus, operator.master, nodes, timeout)
    if silent:
        raise ConfigError(
            f"{some(silent)} did not answer within {timeout} s, and would have no tunnels until the next sync. Nothing"
            " was changed. Bring them up first, or use `force=True` if they reach this master without the mesh"
        )
