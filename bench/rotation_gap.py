#!/usr/bin/env python3
"""
How long a node is out of reach while it changes its key: by the protocol of docs/rotation.md, and naively.

Three machines with real WireGuard devices; 1,000 packets a second from the node to a peer and back, from the peer to
the node and back, and between two nodes that are not concerned. A gap is the longest time without an answer. Either
way every call to a machine takes as long as ``--job-seconds`` says, as through Salt. What the same machines do while
nothing happens ("idle") tells how much of it all is the load of this one. Needs root.

    bench/rotation_gap.py --json --rounds 5
"""

from __future__ import annotations

import statistics
import sys

from report import BenchError, Comparison, Measured, Size, run
from wgmachines.nodes import Node, Nodes, why_not
from wgmachines.packets import measure


def compare(rounds: int, job_seconds: float, seconds: float) -> Measured:
    """Rotate by protocol and naively, in turns and on the same machines."""
    if reason := why_not():
        raise BenchError(reason)
    Node.job_seconds = 0.0
    with Nodes(3) as nodes:
        nodes.set_up()
        for one, other in ((0, 1), (0, 2), (1, 2)):
            nodes.ping(nodes.all[one], nodes.all[other])
        Node.job_seconds = job_seconds
        idle, rotated, naive = [], [], []
        for _ in range(rounds):
            idle.append(measure(nodes, lambda _node: None, seconds))
            rotated.append(measure(nodes, nodes.rotate, seconds + 8 * job_seconds))
            naive.append(measure(nodes, nodes.rotate_naively, 2 * seconds + 4 * job_seconds))
    gap = statistics.median(each["gap"] for each in rotated)
    naive_gap = statistics.median(each["gap"] for each in naive)
    details = {
        "longest_gap_seconds": round(max(each["gap"] for each in rotated), 3),
        "packets_lost": statistics.median(each["lost"] for each in rotated),
        "packets_lost_naively": statistics.median(each["lost"] for each in naive),
        "packets_lost_by_others": sum(each["lost_by_others"] for each in rotated),
        "packets_lost_by_others_idle": sum(each["lost_by_others"] for each in idle),
        "gap_of_others_seconds": round(statistics.median(each["gap_of_others"] for each in rotated), 3),
        "gap_idle_seconds": round(statistics.median(each["gap"] for each in idle), 3),
    }
    return details, [Comparison("longest gap", round(gap, 3), round(naive_gap, 3), "a new key without the protocol")]


if __name__ == "__main__":
    sys.exit(
        run(
            __doc__,
            compare,
            rounds=Size(3, 1, "rotations of each kind"),
            job_seconds=Size(0.5, 0.0, "what any call to a machine takes by Salt"),
            seconds=Size(5.0, 3.0, "how long packets flow at least"),
        )
    )
