"""What the master knows, as metrics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from ..errors import LossError, MeshError
from ..formats.prometheus import Metric, Sample, render
from ..master import counters, warnings
from ..master.master import Master, Moment
from ..master.status import BY_SSH, DRIFTED, ENROLLED, UNFINISHED, Status, statuses
from ..rollout.hold import current_hold
from ..system import textfile
from .operator import Operator

# The label of each reason why a node is not in sync. The others have their own words.
_STATES = {
    None: "in_sync",
    "out of date": "out_of_date",
    "never registered": "never_registered",
    "never reported": "never_reported",
    "rolled back": "rolled_back",
    DRIFTED: "drifted",
    UNFINISHED: "rotating",
    ENROLLED: "by_ssh",
    BY_SSH: "by_ssh",
}
_ADDRESSES = ("used", "reserved", "excluded", "quarantined", "free")

# Nodes that are not in sync and have a series of their own. In a mesh that changes as a whole, all would have one.
MOST_NODES = 100


def metrics(operator: Operator, file: str | None) -> str:
    """``salt-run wireguard.metrics``."""
    text = render(_metrics(operator.master))
    return text if file is None else textfile.write(file, text)


def _metrics(master: Master) -> Iterator[Metric]:
    """An invalid mesh file is a metric; what needs a valid one is missing then."""
    try:
        moment = master.moment()
        of_fleet = [*_of_fleet(moment, statuses(moment))]
    except (MeshError, LossError):
        of_fleet = []
    text = "1 if the mesh file is valid and would not take most nodes out of a network."
    yield _gauge("wireguard_mesh_file_valid", text, bool(of_fleet))
    yield from of_fleet
    yield from _of_registry(master)
    yield from _of_work(counters.read(master.state_dir))


def _of_fleet(moment: Moment, found: Sequence[Status]) -> Iterator[Metric]:
    counts = Counter((each.network, state_of(each)) for each in found)
    names = sorted(moment.unguarded.networks)
    states = [*dict.fromkeys(_STATES.values())]
    yield Metric(
        "wireguard_mesh_nodes",
        "gauge",
        "Nodes by state.",
        [Sample(counts[name, state], {"network": name, "state": state}) for name in names for state in states],
    )
    behind = sorted((each.network, each.member.node, state_of(each)) for each in found if each.reason is not None)
    yield Metric(
        "wireguard_mesh_node_not_in_sync",
        "gauge",
        f"1 for each node that is not in sync, {MOST_NODES} of them at most.",
        [Sample(1, {"network": name, "node": node, "state": state}) for name, node, state in behind[:MOST_NODES]],
    )
    pools = [pool for usage in warnings.usage(moment).values() for pool in usage.pools()]
    yield Metric(
        "wireguard_mesh_addresses",
        "gauge",
        "Addresses by what has become of them.",
        [
            Sample(getattr(pool, state), {"network": pool.network, "subnet": str(pool.subnet), "state": state})
            for pool in pools
            for state in _ADDRESSES
        ],
    )
    text = "What salt-run wireguard.nodes warns of, such as a hold."
    yield _gauge("wireguard_mesh_warnings", text, len(warnings.warnings(moment)))
    yield _drained(moment)


def _drained(moment: Moment) -> Metric:
    names = sorted(moment.unguarded.networks)
    drained = Counter(
        (name, "failover" if drain.automatic else "operator")
        for name in names
        for drain in moment.unguarded.networks[name].drains.values()
    )
    return Metric(
        "wireguard_mesh_drained",
        "gauge",
        "Nodes that the others are moved off, by whom.",
        [Sample(drained[name, by], {"network": name, "by": by}) for name in names for by in ("operator", "failover")],
    )


def state_of(status: Status) -> str:
    """Why a node is not in sync, in a word; or that it is."""
    return _STATES.get(status.reason.partition(":")[0] if status.reason else None, "out_of_date")


def _of_registry(master: Master) -> Iterator[Metric]:
    refused = sum(each.count for each in master.registry.audit.refusals())
    yield _gauge("wireguard_mesh_refusals", "Statements that were refused within a month.", refused)
    waiting = len(master.registry.snapshot().waiting)
    yield _gauge("wireguard_mesh_waiting_registrations", "Registrations that wait for an operator.", waiting)
    held = bool(current_hold(master.state_dir))
    yield _gauge("wireguard_mesh_hold", "1 while an operator keeps changes from the nodes.", held)


def _of_work(sums: Mapping[str, float]) -> Iterator[Metric]:
    yield _summary("wireguard_mesh_reconcile_seconds", "Reconciles.", sums["reconciles"], sums["reconcile_seconds"])
    yield Metric(
        "wireguard_mesh_failed_reconciles_total",
        "counter",
        "Reconciles in which a node failed or was silent.",
        [Sample(sums["failed_reconciles"])],
    )
    text = "Pillars of nodes, without what Salt itself needs for them."
    yield _summary("wireguard_mesh_pillar_seconds", text, sums["pillars"], sums["pillar_seconds"])


def _gauge(name: str, text: str, value: float) -> Metric:
    return Metric(name, "gauge", text, [Sample(value)])


def _summary(name: str, text: str, count: float, seconds: float) -> Metric:
    return Metric(name, "summary", text, [Sample(seconds, suffix="_sum"), Sample(count, suffix="_count")])
