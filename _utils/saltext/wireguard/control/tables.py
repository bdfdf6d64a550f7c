"""The tables that an operator sees: what is known, as rows of plain data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from .. import wording
from ..errors import ConfigError, LossError, MeshError, Problem, RefusedError
from ..fleet.membership import Member
from ..fleet.usage import PoolUsage
from ..master import warnings
from ..master.external_peers import PeerStatus, peer_statuses
from ..master.master import Moment
from ..master.status import Status, left_out, statuses
from ..meshfile.mesh import AddressRange, Mesh
from ..model.endpoint import Endpoint
from ..model.statements import Registration
from ..registry.rows import Refusal, Waiting
from ..review.context import Known
from ..review.lint import Findings, out_of_reach
from .exit_codes import DIFFERS, FAILED, exiting
from .plan import PlanResult

if TYPE_CHECKING:
    from .operator import Operator

Row = dict[str, Any]


def when(seconds: float) -> str | None:
    """A time in Unix seconds. None for 0, which is never."""
    return wording.when(seconds) if seconds else None


# -- answers to questions


def nodes(operator: Operator, network: str | None) -> Row:
    """``salt-run wireguard.nodes``."""
    moment = operator.master.moment()
    found = sorted(statuses(moment), key=lambda status: (status.network, status.member.node))
    gone = [each for each in left_out(moment) if network in (None, each[0])]
    apart = out_of_reach(moment.mesh, moment.now, Known(moment.snapshot, moment.keys))
    if not gone:
        refuse_unknown(operator, network)
    return {
        "nodes": [_node(status) for status in found if network in (None, status.network)],
        "peers": [_peer(each) for each in peer_statuses(moment) if network in (None, each.network)],
        "left_out": [{"network": name, "node": node, "why": why} for name, node, why in gone],
        "warnings": [*warnings.warnings(moment), *map(str, apart)],
        "refused": [_refusal(each) for each in operator.master.registry.audit.refusals()],
    }


def addresses(operator: Operator, network: str | None) -> Row:
    """``salt-run wireguard.addresses``."""
    refuse_unknown(operator, network)
    moment = operator.master.moment()
    usages = {name: each for name, each in warnings.usage(moment).items() if network in (None, name)}
    pools = [pool for each in usages.values() for pool in each.pools()]
    answer = {
        "pools": [_pool(pool) for pool in pools],
        "free": [_hole(pool.network, hole) for pool in pools for hole in pool.holes],
        "quarantined": [
            {"network": name, "address": str(holding.address), "node": holding.node, "until": when(until)}
            for name, each in usages.items()
            for holding, until in each.quarantined()
        ],
        "warnings": warnings.address_warnings(moment),
    }
    return answer


def refuse_unknown(operator: Operator, network: str | None) -> None:
    """Raise ConfigError for a network that the mesh file does not have."""
    known = [each.name for each in operator.master.mesh().networks]
    if network not in (None, *known):
        raise ConfigError(f"there is no network {network} in the mesh file {operator.master.mesh_path}")


def view(operator: Operator, node: str) -> Row:
    """``salt-run wireguard.view``."""
    master = operator.master
    if not master.is_trusted(node):
        raise ConfigError(f"{node} is not an accepted minion: see `salt-key -L`")
    moment = master.moment()
    networks = {name: each.to_dict() for name, each in moment.fleet().views(node).items()}
    if not networks:
        raise ConfigError(f"{node} is in no network of the mesh file {master.mesh_path}")
    return {"networks": networks, "generation": moment.unguarded.generation}


def pending(operator: Operator) -> Row:
    """``salt-run wireguard.pending``."""
    registry = operator.master.registry
    waiting = registry.snapshot().waiting
    if waiting:
        registry.admissions.note_shown({node: each.public_key for node, each in waiting.items()})
    return {"pending": [_waiting(each) for _, each in sorted(waiting.items())]}


def history(operator: Operator, node: str | None, limit: int) -> Row:
    """``salt-run wireguard.history``."""
    entries = operator.master.registry.audit.history(node, limit)
    if node and not entries and not _is_known(operator.master.moment(), node):
        raise ConfigError(f"nothing is known of {node}: it is no accepted minion, and the mesh file does not have it")
    return {"history": [{**entry.to_dict(), "time": when(entry.time)} for entry in entries]}


def _is_known(moment: Moment, node: str) -> bool:
    return node in moment.keys or any(each.names(node) for each in moment.mesh.networks)


# -- single rows


def problems(found: Iterable[Problem]) -> list[Row]:
    return [{"where": each.where, "message": each.message} for each in found]


def networks(mesh: Mesh) -> list[Row]:
    """What a mesh file has, in numbers."""
    return [
        {
            "network": network.name,
            "interface": network.interface,
            "subnets": [str(subnet) for subnet in network.subnets],
            "node_entries": len(network.nodes),
            "peers": len(network.peers),
        }
        for network in mesh.networks
    ]


def plan(answer: str, findings: Findings, result: PlanResult | None = None, master_warnings: Iterable[str] = ()) -> Row:
    """``salt-run wireguard.plan``, with its exit code."""
    result = result or PlanResult()
    code = FAILED if findings.errors or result.failed else 0 if result.is_quiet else DIFFERS
    return exiting(code, _plan(answer, findings, result, master_warnings))


def plan_or_problems(file: str, work: Callable[[], Row]) -> Row:
    """The plan that ``work`` makes; or what is wrong with the mesh file, if that makes it fail."""
    try:
        return work()
    except MeshError as exc:
        found = exc.problems
    except (LossError, RefusedError) as exc:
        found = (Problem(file, 0, str(exc)),)
    return plan("the mesh file cannot be applied", Findings(errors=found))


def _plan(answer: str, findings: Findings, result: PlanResult, master_warnings: Iterable[str]) -> Row:
    again = "its exported configuration would be out of date: export it again then, see `salt-run wireguard.nodes`"
    return {
        "answer": answer,
        "errors": problems(findings.errors),
        "warnings": [
            *problems(findings.warnings),
            *({"where": "registry", "message": text} for text in master_warnings),
            *({"where": name, "message": again} for name in result.outdated),
            *({"where": node, "message": f"cannot have {text}"} for node, text in result.obstacles),
        ],
        "changes": [step.to_dict() for step in result.changes],
        "drift": [step.to_dict() for step in result.drift],
        "relayed": [
            {"network": network, "hub": each.hub, "pairs": each.pairs, "nodes": list(each.nodes)}
            for network, each in findings.relayed
        ],
        "failed": result.failed,
        "unreachable": [
            {"network": each.network, "node": each.node, "why": each.why, "last_seen": when(each.seen)}
            for each in result.unreachable
        ],
    }


def enrolled(statement: Registration, member: Member) -> Row:
    return {
        "network": statement.network,
        "public_key": statement.public_key,
        "addresses": [str(address) for address in member.addresses],
        "endpoint": endpoint(member),
    }


def missing(removed: Mapping[str, list[Status]]) -> list[Row]:
    """Of node -> its statuses, those that are out of date in some network."""
    return [
        {"node": node, "why": reasons[0], "last_seen": when(max(status.seen for status in found))}
        for node, found in sorted(removed.items())
        for reasons in [[status.reason for status in found if status.reason]]
        if reasons
    ]


def _node(status: Status) -> Row:
    row = status.member.row
    return {
        "network": status.network,
        "node": status.member.node,
        "addresses": [str(address) for address in status.member.addresses],
        "public_key": row.public_key if row else None,
        "endpoint": endpoint(status.member),
        "in_sync": status.reason is None,
        "why": status.reason,
        "last_seen": when(status.seen),
    }


def endpoint(member: Member) -> str | None:
    configured = member.settings.endpoint
    if configured is False:
        return "none: it connects to the others"
    offered = member.row.endpoints[0] if member.row and member.row.endpoints else None
    port = member.settings.forwarded_port
    if port and offered:
        return str(Endpoint(offered, port))
    return ", ".join(map(str, configured)) if configured else offered


def _peer(status: PeerStatus) -> Row:
    peer = status.peer
    if status.export:
        state = "as exported" if status.is_current else "out of date; export it again"
    else:
        state = "by hand" if peer.public_key else "not exported"
    return {
        "network": status.network,
        "peer": peer.name,
        "addresses": [str(address) for address in peer.addresses],
        "public_key": peer.public_key,
        "exported": when(status.export.exported if status.export else 0),
        "configuration": state,
    }


def _refusal(refusal: Refusal) -> Row:
    return {
        "node": refusal.node,
        "network": refusal.network,
        "count": refusal.count,
        "last": when(refusal.last),
        "reason": refusal.reason,
    }


def _waiting(waiting: Waiting) -> Row:
    return {
        "network": waiting.network,
        "node": waiting.node,
        "question": waiting.question,
        "public_key": waiting.public_key,
        "since": when(waiting.since),
    }


def _pool(pool: PoolUsage) -> Row:
    counts = ("size", "used", "reserved", "excluded", "quarantined", "free")
    return {
        "network": pool.network,
        "subnet": str(pool.subnet),
        **{name: getattr(pool, name) for name in counts},
        "next": str(pool.next) if pool.next else None,
    }


def _hole(network: str, hole: AddressRange) -> Row:
    return {
        "network": network,
        "first": str(hole.first),
        "last": str(hole.last),
        "count": int(hole.last) - int(hole.first) + 1,
    }
