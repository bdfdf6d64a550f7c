"""Moving the nodes off a hub, a node with networks behind it, or an exit, and back; all of them at one moment."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from ..errors import ConfigError
from ..fleet.takeover import Share, moves, shares
from ..master.decisions import networks_of
from ..master.master import Master, Moment
from ..master.status import statuses
from ..model.live import LiveInterface
from ..registry.drains import Cause
from ..registry.rows import NodeId
from ..rollout.hold import current_hold
from ..wording import shell, some
from .answers import hear_all
from .asking import ask_nodes
from .bus import KEYWORDS, Bus
from .exit_codes import FAILED, exiting
from .operator import Operator
from .reconciler import Reconciler, Request

# A minion needs so long to begin with a job. Then all move at the same moment.
LEAD_SECONDS = 3.0


def drain(
    operator: Operator,
    node: str,
    network: str | None,
    reason: str,
    timeout: float,
    force: bool,
    until: float | None = None,
) -> dict[str, Any]:
    """``salt-run wireguard.drain``. ``until``: when the drain ends by itself, in Unix seconds."""
    cause = Cause("drained", operator.name, reason, until)
    with operator.turn(), operator.bus() as bus:
        before = operator.master.moment()
        networks = _members_in(before, node, network)
        found = {name: shares(node, *_without(before, name, node)) for name in networks}
        _refuse_nothing(before, node, found)
        if not force:
            _refuse_unfit(operator, before, node, found, timeout)
        for name in networks:
            operator.master.registry.drains.begin(name, node, cause)
        missing = shift(operator, bus, before, timeout)
    return _answer(node, found, missing)


def undrain(operator: Operator, node: str, network: str | None, reason: str, timeout: float) -> dict[str, Any]:
    """``salt-run wireguard.undrain``."""
    with operator.turn(), operator.bus() as bus:
        before = operator.master.moment()
        drained = [name for name in networks_of(before, node, network) if (name, node) in before.snapshot.drains]
        if not drained:
            raise ConfigError(f"{node} is not drained{f' in network {network}' if network else ''}")
        for name in drained:
            operator.master.registry.drains.end(name, node, Cause("undrained", operator.name, reason))
        missing = shift(operator, bus, before, timeout)
    joined = operator.master.moment().unguarded.networks
    back = {name: _back(node, before, operator.master.moment(), name) for name in drained if name in joined}
    return _answer(node, back, missing, to=node)


def shift(operator: Operator, bus: Bus, before: Moment, timeout: float, lead: float = LEAD_SECONDS) -> list[str]:
    """
    Bring the nodes from what they had ``before`` to what they have to have now: those for which networks only move by
    one job, at the same moment, and then, unless changes are on hold, whoever is not in sync. Returns who of those
    that had to change is not in sync after all.
    """
    master = operator.master
    _move(master, bus, before, timeout, lead)
    if not current_hold(master.state_dir):
        Reconciler(master, bus, operator.progress, Request(timeout=timeout)).run()
    after = master.moment()
    then = before.unguarded.digests()
    behind = [
        each for each in statuses(after) if each.reason and each.wanted != then.get((each.network, each.member.node))
    ]
    return sorted({each.member.node for each in behind if each.member.row})


def _move(master: Master, bus: Bus, before: Moment, timeout: float, lead: float) -> None:
    after = master.moment()
    at = round(time.time() + lead, 3) if lead else 0
    groups: dict[tuple[str, tuple[tuple[str, str], ...]], set[str]] = {}
    for (network, node), found in _all_moves(before, after):
        groups.setdefault((network, tuple(sorted(found.items()))), set()).add(node)
    master.registry.mark_unconfirmed(sorted(set().union(*groups.values())))
    waiting: dict[str, set[str]] = {}
    for (network, moved), nodes in groups.items():
        options = {**KEYWORDS, "signed": True, "generation": after.unguarded.generation, "at": at}
        jid = bus.publish(nodes, "wireguard.move", [{network: dict(moved)}, options])
        if jid:
            waiting[jid] = nodes & after.keys.keys()
    _hear(master, bus, waiting, timeout + lead)


def _all_moves(before: Moment, after: Moment) -> Iterable[tuple[NodeId, Mapping[str, str]]]:
    """Of the nodes that are in sync with what was before."""
    then, now = before.unguarded.networks, after.unguarded.networks
    for status in statuses(before):
        network, node = status.network, status.member.node
        if status.reason or network not in now or node not in now[network].registered:
            continue
        found = moves(then[network].view(node), now[network].view(node))
        if found:
            yield (network, node), found


def _hear(master: Master, bus: Bus, waiting: dict[str, set[str]], seconds: float) -> None:
    """Take in what the nodes prove."""
    if not any(waiting.values()):
        return
    for tag, data in bus.events(seconds):
        parts = tag.split("/")
        if len(parts) != 5 or parts[3] != "ret" or parts[4] not in waiting.get(parts[2], ()):
            continue
        if isinstance(data, Mapping) and hear_all(master, parts[4], data.get("return")):
            waiting[parts[2]].discard(parts[4])
        if not any(waiting.values()):
            return


# -- what speaks against it


def _members_in(moment: Moment, node: str, network: str | None) -> list[str]:
    """The networks that the node is a member of. Raises ConfigError if there is none."""
    joined = moment.fleet().networks
    found = [name for name in networks_of(moment, node, network) if name in joined and node in joined[name].members]
    if not found:
        raise ConfigError(f"{node} is no member of any network now, so nothing goes through it")
    return found


def _without(moment: Moment, network: str, node: str) -> Any:
    """The network as it is, and as it would be if the node were drained."""
    return moment.unguarded.networks[network], moment.if_drained(network, node).networks[network]


def _refuse_nothing(moment: Moment, node: str, found: Mapping[str, Collection[Share]]) -> None:
    drained = [name for name in found if (name, node) in moment.snapshot.drains]
    if not any(found.values()) and not drained:
        raise ConfigError(
            f"nothing goes through {node}: it is not the first hub of any node, and no node reaches a network or the"
            " internet through it"
        )


def _refuse_unfit(
    operator: Operator, moment: Moment, node: str, found: Mapping[str, Collection[Share]], timeout: float
) -> None:
    """Raise ConfigError where what is to take over is not in sync, or says nothing."""
    takers = {(name, share.to) for name, each in found.items() for share in each if share.to != node}
    wrong = {
        each.member.node: f"is not in sync ({each.reason})"
        for each in statuses(moment)
        if each.reason and (each.network, each.member.node) in takers
    }
    nodes = {taker for _, taker in takers if taker in moment.keys} - wrong.keys()
    _, silent = (
        ask_nodes(operator, moment, nodes, "wireguard.status", [], LiveInterface.from_dict, timeout)
        if nodes
        else ({}, {})
    )
    wrong |= {taker: f"says nothing ({why})" for taker, why in silent.items()}
    if wrong:
        reasons = "; ".join(f"{taker} {why}" for taker, why in sorted(wrong.items()))
        raise ConfigError(
            f"{node} was not drained, because what is to take over may not work: {reasons}. Repair that, or drain it"
            f" all the same: {shell('salt-run wireguard.drain', node, 'force=True')}"
        )


# -- what came of it


def _back(node: str, before: Moment, after: Moment, network: str) -> list[Share]:
    """What goes through the node again."""
    then, now = before.unguarded.networks[network], after.unguarded.networks[network]
    return [Share(node, each.networks, each.users) for each in shares(node, now, then) if each.to != node]


def rows(found: Mapping[str, Iterable[Share]]) -> list[dict[str, Any]]:
    """The shares, as an operator sees them."""
    return [
        {"network": name, "behind": list(share.networks), "to": share.to, "nodes": list(share.users)}
        for name, each in found.items()
        for share in each
    ]


def _answer(
    node: str, found: Mapping[str, Iterable[Share]], missing: Collection[str], to: str | None = None
) -> dict[str, Any]:
    moved = [row for row in rows(found) if to or row["to"] != node]
    stays = [row for row in rows(found) if not to and row["to"] == node]
    nodes = {name for row in moved for name in row["nodes"]}
    takers = sorted({row["to"] for row in moved})
    answer = f"{len(nodes)} node{'s' if len(nodes) != 1 else ''} moved to {some(takers)}" if nodes else "nothing moved"
    if stays:
        answer += f"; {some(sorted({name for row in stays for name in row['behind']}))} stays, as no other has it"
    if missing:
        answer += f"; not in sync: {some(missing)}"
    data = {"answer": answer, "node": node, "moved": moved, "stays": stays, "missing": [*missing]}
    return exiting(FAILED if missing or stays else 0, data)
