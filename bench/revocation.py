#!/usr/bin/env python3
"""
How long it takes until every node has dropped a revoked one, and has proved that.

From the start of `salt-run wireguard.revoke` until it has said that all have dropped the node, each of them after
reading its device again; over the wall time of `salt '*' test.ping` on the same fleet, in turns. The node is let in
again after each round. Needs root.

    bench/revocation.py --nodes 8 --rounds 5 --json
"""

from __future__ import annotations

import json
import statistics
import sys
import time

from mesh_lab import MeshLab, against_ping, mesh_lab
from report import BenchError, Measured, Size, run


def revoke(lab: MeshLab, node: str, others: int) -> tuple[float, float]:
    """Returns the seconds by the clock on the wall, and of these what was needed from the decision on."""
    started = time.monotonic()
    said = json.loads(lab.run("salt-run", "--out=json", "wireguard.revoke", node, "reason=benchmark", check=False))
    seconds = time.monotonic() - started
    if said["confirmed"] != others or said["missing"]:
        raise BenchError(f"not dropped by all: {said}")
    return seconds, float(said["seconds"])


def measure(nodes: int, rounds: int) -> Measured:
    walls, inner, baseline = [], [], []
    with mesh_lab(nodes) as lab:
        for _ in range(rounds):
            baseline.append(lab.ping_minions())
            wall, own = revoke(lab, f"node{nodes}", nodes - 1)
            walls.append(wall)
            inner.append(own)
            lab.run("salt-run", "wireguard.readmit", f"node{nodes}", check=False)
            lab.settle(nodes)
    details = {
        "longest_seconds": round(max(walls), 2),
        "of_it_after_the_decision": round(statistics.median(inner), 2),
    }
    return details, [against_ping("until all have dropped the node", walls, baseline)]


if __name__ == "__main__":
    sys.exit(run(__doc__, measure, nodes=Size(8, 3, "size of the fleet"), rounds=Size(5, 1, "revocations")))
