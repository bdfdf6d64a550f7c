"""Nodes that join or return: enrolled by ssh, admitted or rejected, or heard again."""

from __future__ import annotations

import time
from typing import Any

from ..errors import ConfigError
from ..master import decisions
from ..master.decisions import networks_of, networks_to_enroll
from ..master.master import Moment
from ..meshfile.duration import parse_duration
from ..wording import shell
from . import tables
from .operator import Operator
from .reconcile import reconcile
from .ssh import Ssh


def enroll(operator: Operator, node: str, network: str | None) -> dict[str, Any]:
    """``salt-run wireguard.enroll``."""
    master = operator.master
    statements = Ssh(operator.opts).registrations(node, networks_to_enroll(master.moment(), node, network))
    for statement in statements:
        decisions.enroll(master, statement, operator.name)
    members = {name: member for name, member in master.moment().fleet().members() if member.node == node}
    enrolled = [tables.enrolled(each, members[each.network]) for each in statements if each.network in members]
    reconcile(operator, contact=[])
    answer = f"{node} is enrolled; now run {shell('salt-ssh', node, 'state.apply', 'wireguard')}"
    return {"answer": answer, "enrolled": enrolled}


# So many characters identify a public key.
SHORTEST_KEY = 8


def admit(
    operator: Operator, node: str, network: str | None, valid_for: object, public_key: object = None
) -> dict[str, Any]:
    """``salt-run wireguard.admit``."""
    master = operator.master
    expires = time.time() + _duration(valid_for) if valid_for else None
    key = _beginning_of_key(public_key)
    for name in _networks_to_admit(master.moment(), node, network, key):
        decisions.admit(master, name, node, operator.name, expires, key)
    return reconcile(operator, contact=[node])


def _networks_to_admit(moment: Moment, node: str, network: str | None, key: str) -> list[str]:
    """A node has another key in each network, so with a key only that one is meant where it waits."""
    networks = networks_of(moment, node, network)
    waiting = moment.snapshot.waiting
    fits = [name for name in networks if (name, node) in waiting and waiting[name, node].public_key.startswith(key)]
    return fits if key and fits else networks


def _beginning_of_key(text: object) -> str:
    key = str(text or "")
    if key and len(key) < SHORTEST_KEY:
        raise ConfigError(f"public_key: give at least the first {SHORTEST_KEY} characters")
    return key


def _duration(text: object) -> float:
    try:
        return parse_duration(str(text))
    except ValueError as exc:
        raise ConfigError(f"valid_for: {exc}") from exc


def rename(operator: Operator, old: str, new: str, reason: object) -> dict[str, Any]:
    """``salt-run wireguard.rename``."""
    master = operator.master
    moment = master.moment()
    if old == new:
        raise ConfigError("old and new are the same minion id")
    networks = sorted({name for name, node in {*moment.snapshot.rows, *moment.applied} if node == old})
    if not networks:
        raise ConfigError(f"no {old} has ever registered; see `salt-run wireguard.nodes`")
    for name in networks:
        decisions.rename(master, name, old, new, operator.name, str(reason or ""))
    kept = f"; its Salt key is accepted still: {shell('salt-key -d', old)}" if old in moment.keys else ""
    answer = f"{old} is {new} now in {', '.join(networks)}{kept}"
    return {"answer": answer, **reconcile(operator, contact=[new])}


def reject(operator: Operator, node: str, network: str | None) -> dict[str, Any]:
    """``salt-run wireguard.reject``."""
    master = operator.master
    keys = {
        name: master.registry.admissions.reject(name, node, operator.name)
        for name in networks_of(master.moment(), node, network)
    }
    operator.announce()
    rejected = {name: key for name, key in keys.items() if key}
    if not rejected:
        raise ConfigError(f"nothing of {node} waits; see `salt-run wireguard.pending`")
    return {"rejected": rejected}


def forget_serials(operator: Operator, node: str, network: str | None, reason: object) -> dict[str, Any]:
    """``salt-run wireguard.forget_serials``."""
    registry = operator.master.registry
    networks = networks_of(operator.master.moment(), node, network)
    forgotten = [name for name in networks if registry.forget_serials(name, node, operator.name, str(reason))]
    operator.announce()
    if not forgotten:
        raise ConfigError(f"no serial of {node} is in the future; see `salt-run wireguard.nodes` for refusals")
    return {"forgotten": forgotten}
