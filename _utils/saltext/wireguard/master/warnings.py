"""What needs a person, a sentence each; and how the addresses of each network are used."""

from __future__ import annotations

from ..errors import RefusedError
from ..fleet.losses import Outside
from ..fleet.membership import vouched_keys
from ..fleet.usage import Usage
from ..registry.budget import BOOTS
from ..registry.rows import Snapshot
from ..rollout.hold import current_hold
from ..wording import shell, some, when
from .master import Moment
from .others import differences
from .status import statuses


def warnings(moment: Moment) -> list[str]:
    """A hold, other masters, decisions that the registry lost or that wait, missing addresses, posing machines."""
    hold = current_hold(moment.master.state_dir)
    found = (
        *differences(moment),
        *_unrecorded(moment),
        *drained(moment.snapshot, moment.now),
        *address_warnings(moment),
        *_pending(moment),
        *_deferred(moment),
        *_restless(moment),
        *_impostors(moment),
        *_obstacles(moment),
    )
    return [*([hold] if hold else []), *found]


def _unrecorded(moment: Moment) -> list[str]:
    return [
        f"the registry, new or from a backup, lacks the decision of {each.who} about {node} in network {network}"
        f" ({': '.join(filter(None, (each.state, each.why)))}); it still holds."
        f" {shell('salt-run wireguard.revoke', node)}, `readmit` or `admit` replaces it"
        for (network, node), each in sorted(moment.snapshot.unrecorded.items())
    ]


def drained(snapshot: Snapshot, now: float) -> list[str]:
    """The nodes that the others are moved off."""
    return [
        f"{node} is drained in network {network} since {when(each.since)}, by {each.who}"
        f"{f' ({each.why})' if each.why else ''}{f', until {when(each.until)}' if each.until else ''}:"
        f" {shell('salt-run wireguard.undrain', node)}"
        for (network, node), each in sorted(snapshot.drains.items())
        if each.until is None or now < each.until
    ]


def _pending(moment: Moment) -> list[str]:
    return [
        f"{node} waits in network {network} ({each.question}): {shell('salt-run wireguard.admit', node)}, or `reject`"
        for (network, node), each in sorted(moment.snapshot.waiting.items())
    ]


def _deferred(moment: Moment) -> list[str]:
    return [
        f"{node} changes so often in network {network} that its registration of {when(since)} waits; the others go on"
        " with the one before it"
        for (network, node), since in sorted(moment.master.registry.deferred().items())
    ]


def _restless(moment: Moment) -> list[str]:
    return [
        f"{node} has booted {BOOTS.at_once} times in a short while, or claims so. Until it is quiet for some minutes,"
        " further boots are not noted, and a second machine with its Salt key could go unnoticed: compare"
        f" {shell('salt', node, 'status.uptime')} with that machine's own `uptime`"
        for node in moment.master.registry.restless()
    ]


def _obstacles(moment: Moment) -> list[str]:
    """The same on many nodes is one sentence."""
    nodes: dict[tuple[str, str], list[str]] = {}
    for status in statuses(moment):
        for text in status.applied.obstacles if status.applied else ():
            nodes.setdefault((status.network, text), []).append(status.member.node)
    return [
        f"network {network}: {some(found)} could not have {text}" for (network, text), found in sorted(nodes.items())
    ]


def _impostors(moment: Moment) -> list[str]:
    keys = moment.master.keys
    denied = set(keys.denied()) & moment.keys.keys()
    enrolled = set(keys.pending()) & vouched_keys(moment.snapshot).keys()
    return [
        *(
            f"another machine presents itself as {node} with a Salt key of its own; Salt denies it (`salt-key -L`)"
            for node in sorted(denied)
        ),
        *(
            f"a machine presents itself as {node}, which was enrolled by ssh: accept its Salt key only if its"
            f" fingerprint is that of {node} ({shell('salt-key -f', node)}, and there `salt-call --local key.finger`)"
            for node in sorted(enrolled)
        ),
    ]


def address_warnings(moment: Moment) -> list[str]:
    """What keeps nodes from their addresses, a sentence each: changes that reach no node, and exhausted pools."""
    fleet = moment.unguarded
    found = [each.describe(moment.master.mesh_path) for each in fleet.losses if isinstance(each, Outside)]
    for state in fleet.networks.values():
        pool = state.pool()
        try:
            for name, _ in state.address_holders():
                pool.assign(name)
        except RefusedError as exc:
            found.append(f"{exc}; until then, no address of this network is changed")
    return found


def usage(moment: Moment) -> dict[str, Usage]:
    """What has become of the addresses of each network; also of one whose changes reach no node just now."""
    fleet = moment.unguarded
    return {
        network.name: Usage(network, fleet.networks[network.name], moment.snapshot) for network in fleet.mesh.networks
    }
