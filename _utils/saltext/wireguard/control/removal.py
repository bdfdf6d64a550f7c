"""The removal of nodes, and the proof that all others have dropped them."""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import Any

from ..errors import ConfigError, LossError, MeshError
from ..master.decisions import networks_of
from ..master.master import Moment
from ..master.status import Status, own_removal, revoked, statuses
from ..wording import shell
from . import tables
from .exit_codes import FAILED, exiting
from .operator import Operator
from .reconcile import reconcile
from .reconciler import Reconciler, Request


def revoke(operator: Operator, node: str, network: str | None, reason: str, timeout: float) -> dict[str, Any]:
    """``salt-run wireguard.revoke``."""
    master = operator.master
    networks = networks_of(master.moment(), node, network)
    for name in networks:
        master.registry.admissions.revoke(name, node, operator.name, reason)
    try:
        return _pursue(operator, node, networks, timeout)
    except (MeshError, LossError) as exc:
        raise ConfigError(
            f"{node} is revoked, but NO NODE HAS DROPPED IT YET, because nodes cannot be changed now: {exc}\nFix that,"
            f" and run {shell('salt-run wireguard.dropped', node)}"
        ) from exc


def dropped(operator: Operator, node: str, network: str | None, timeout: float) -> dict[str, Any]:
    """``salt-run wireguard.dropped``."""
    moment = operator.master.moment()
    networks = networks_of(moment, node, network)
    joined = moment.fleet().networks
    still = [name for name in networks if name in joined and node in joined[name].members]
    if still:
        raise ConfigError(
            f"{node} is a member of {', '.join(still)}. To remove it, take it out of the mesh file, delete its Salt"
            f" key by {shell('salt-key -d', node)}, or run {shell('salt-run wireguard.revoke', node)}"
        )
    return _pursue(operator, node, networks, timeout)


def readmit(operator: Operator, node: str, network: str | None, reason: str) -> dict[str, Any]:
    """``salt-run wireguard.readmit``."""
    moment = operator.master.moment()
    networks = [name for name in networks_of(moment, node, network) if (name, node) in revoked(moment)]
    if not networks:
        raise ConfigError(f"{node} is not revoked{f' in network {network}' if network else ''}")
    for name in networks:
        operator.master.registry.admissions.readmit(name, node, operator.name, reason)
    return reconcile(operator, contact=[node])


def _pursue(operator: Operator, node: str, networks: list[str], timeout: float) -> dict[str, Any]:
    """Ask everybody who has not dropped the node, and say who has."""
    started = time.monotonic()
    with operator.turn(), operator.bus() as bus:
        Reconciler(operator.master, bus, operator.progress, Request(timeout=timeout)).run()
    moment = operator.master.moment()
    concerned = _concerned(moment, networks)
    missing = tables.missing(concerned)
    seconds = round(time.monotonic() - started, 2)
    confirmed = len(concerned) - len(missing)
    answer = f"{confirmed} of {len(concerned)} nodes have dropped {node} ({seconds:g} s)"
    if missing:
        answer += "; not confirmed: " + ", ".join(
            f"{row['node']} (last seen {row['last_seen'] or 'never'})" for row in missing
        )
    data = {
        "answer": answer,
        "node": node,
        "networks": networks,
        "confirmed": confirmed,
        "of": len(concerned),
        "missing": missing,
        "node_itself": own_removal(moment, node, networks),
        "seconds": seconds,
    }
    return exiting(FAILED if missing else 0, data)


def _concerned(moment: Moment, networks: Collection[str]) -> dict[str, list[Status]]:
    """The nodes that have a device in these networks: one in two of them has dropped the peer when both say so."""
    found: dict[str, list[Status]] = {}
    for status in statuses(moment):
        if status.network in networks and status.member.row:
            found.setdefault(status.member.node, []).append(status)
    return found
