"""Which nodes are in sync, and why the others are not."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from ..errors import RefusedError
from ..fleet.membership import Member, vouched_keys
from ..meshfile.mesh import REPAIR, REPORT
from ..model.statements import ABSENT, REGISTER_TAG, UNKNOWN, Report
from ..registry.admission import REVOKED
from ..registry.evidence import signed_part, verify
from ..registry.rows import Applied, NodeId
from ..wording import shell, some
from .master import Master, Moment

# Why a node is not in sync: it announced a new key, and it is unknown whether it uses it.
UNFINISHED = "rotation not finished"

# The beginning of why a node is not in sync: others have changed its device or its files.
DRIFTED = "drifted"

# Why a node is not in sync: it has no minion that can be asked.
BY_SSH = "by ssh"

# Why a node is not in sync: it was enrolled by ssh, and has a minion now.
ENROLLED = "enrolled by ssh; its minion has not registered yet"


@dataclass(frozen=True)
class Status:
    """
    The state of one member. ``reason``: why its device is not what it should be, None if it is. ``wanted``: the digest
    of its view, None for a member that has not registered. ``is_left``: whether that is drift, which the mesh file
    leaves alone.
    """

    network: str
    member: Member
    applied: Applied | None
    reason: str | None
    wanted: str | None = None
    is_left: bool = False

    @property
    def seen(self) -> float:
        """The time of its last registration or report, in Unix seconds; 0 for never."""
        row = self.member.row
        return max(row.registered if row else 0.0, self.applied.reported if self.applied else 0.0)


def statuses(moment: Moment) -> list[Status]:
    """The states of all members of all networks. Raises what ``Moment.fleet`` raises."""
    fleet = moment.fleet()
    digests = fleet.digests()
    return [
        Status(network, member, report, reason, wanted, _is_left(moment, network, reason))
        for network, member in fleet.members()
        for report in [_believed_report(moment, network, member.node)]
        for wanted in [digests.get((network, member.node))]
        for reason in [_reason(member, wanted, report)]
    ]


def _believed_report(moment: Moment, network: str, node: str) -> Applied | None:
    """The node's last report, unless another installation of it, with another Salt key, made that report."""
    report = moment.applied.get((network, node))
    key = moment.keys.get(node)
    return report if report and key and report.salt_key == key.fingerprint else None


def _reason(member: Member, digest: str | None, report: Applied | None) -> str | None:
    if member.row is None:
        return "never registered"
    if not member.has_registered:
        return ENROLLED if member.has_key else BY_SSH
    if report is None:
        return "never reported"
    if report.digest != digest:
        tried = report.rollback
        return f"rolled back: {tried.why}" if tried and tried.tried == digest else "out of date"
    if member.row.next_key:
        return UNFINISHED
    return f"{DRIFTED}: {some(report.drift)}" if report.drift else None


def _is_left(moment: Moment, network: str, reason: str | None) -> bool:
    return bool(reason) and str(reason).startswith(DRIFTED) and not _repairs(moment, network)


def leaves_drift(moment: Moment, node: str) -> bool:
    """Whether a network of the node leaves alone what others change there: a sync would put everything right."""
    return any(network.drift == REPORT and network.settings(node) for network in moment.mesh.networks)


def _repairs(moment: Moment, name: str) -> bool:
    network = moment.mesh.network(name)
    return network is None or network.drift == REPAIR


def registered(moment: Moment) -> set[str]:
    """The ids of all members that registered, and so can be asked."""
    return {member.node for _, member in moment.unguarded.members() if member.has_registered}


def revoked(moment: Moment) -> set[NodeId]:
    """The nodes that an operator excluded."""
    return {node for node, standing in moment.snapshot.standings.items() if standing.state == REVOKED}


def carriers(moment: Moment) -> frozenset[str]:
    """
    The nodes to change after all others, because the others may be reached through them: hubs, nodes with networks
    behind them, and the node on the master's machine, because minions may reach the master by its address in the mesh.
    """
    nodes = (member.node for _, member in moment.fleet().members() if member.settings.carries)
    return frozenset({moment.master.own_minion, *nodes})


def left_out(moment: Moment) -> list[tuple[str, str, str]]:
    """(network, node, why) for nodes that the registry knows and that are no members now."""
    fleet = moment.fleet()
    found = []
    for name, node in sorted({*moment.snapshot.rows, *moment.snapshot.standings}):
        network = fleet.networks.get(name)
        why = network.membership.why_not(node) if network else "the mesh file has no such network"
        if why:
            found.append((name, node, why))
    return found


def leftovers(moment: Moment) -> list[NodeId]:
    """Nodes that left a network, can still be reached, and have not reported that they took it down."""
    networks = moment.fleet().networks
    return [
        (network, node)
        for (network, node), applied in moment.applied.items()
        if applied.digest != ABSENT
        and node in moment.keys
        and applied.salt_key == moment.keys[node].fingerprint
        and (network not in networks or node not in networks[network].members)
    ]


def own_removal(moment: Moment, node: str, networks: Collection[str]) -> str:
    """A sentence about the interfaces of a node that was removed."""
    digests = [moment.applied[(network, node)].digest for network in networks if (network, node) in moment.applied]
    if node not in moment.keys and node in vouched_keys(moment.snapshot):
        return f"by ssh: {shell('salt-ssh', node, 'state.apply', 'wireguard')} takes its interface down"
    if all(digest == ABSENT for digest in digests):
        return "has taken its interface down" if digests else "never reported an interface"
    return "has not taken its interface down" if node in moment.keys else "out of reach: its Salt key is gone"


def just_booted(moment: Moment) -> set[str]:
    """Members whose machine has booted or is another one. It must be checked whether the old one still runs."""
    members = {member.node for _, member in moment.unguarded.members()}
    return {
        node
        for (node, salt_key), each in moment.snapshot.boots.items()
        if each.fresh and node in members and node in moment.keys and moment.keys[node].fingerprint == salt_key
    }


def calls_for_reconcile(master: Master, tag: str, event: object = None) -> bool:
    """Whether the news in this event is a reason to reconcile. Most reports are the result of a reconcile."""
    if tag == REGISTER_TAG:
        return True
    moment = master.moment()
    return bool(just_booted(moment)) or _is_astray(moment, event)


def _is_astray(moment: Moment, event: object) -> bool:
    """
    Whether the report in this event is about a view that its node should not have, because something delivered it late,
    or about a device that others have changed. A change that the node rolled back is no such case: asking would not
    help, as it does not try that again at once.
    """
    try:
        report, _ = verify(signed_part(event), Report, moment.keys)
    except RefusedError:
        return False
    wanted = moment.unguarded.digests().get((report.network, report.node))
    if wanted is not None and report.drift and _repairs(moment, report.network):
        return True
    return wanted is not None and report.digest not in (wanted, ABSENT, UNKNOWN)
