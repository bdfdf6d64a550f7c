#!/usr/bin/env python3
"""
How long it takes until every node has dropped a revoked one, and has proved that.

From the start of `salt-run wireguard.revoke` until it has said that all have dropped the node, each of them after
reading its device again; over the wall time of `salt '*' test.ping` on the same fleet, in turns. The node is let in
again after each round. Needs root.

    bench/revocation.py --nodes 8 --rounds 5 --json
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import Any

from mesh_lab import BenchError, MeshLab, against, machine, mesh_lab, show


def revoke(lab: MeshLab, node: str, others: int) -> tuple[float, float]:
    """Returns the seconds by the clock on the wall, and of these what was needed from the decision on."""
    started = time.monotonic()
    said = json.loads(lab.run("salt-run", "--out=json", "wireguard.revoke", node, "reason=benchmark", check=False))
    seconds = time.monotonic() - started
    if said["confirmed"] != others or said["missing"]:
        raise BenchError(f"not dropped by all: {said}")
    return seconds, float(said["seconds"])


def measure(nodes: int, rounds: int) -> dict[str, Any]:
    walls, inner, baseline = [], [], []
    with mesh_lab(nodes) as lab:
        for _ in range(rounds):
            baseline.append(lab.ping_minions())
            wall, own = revoke(lab, f"node{nodes}", nodes - 1)
            walls.append(wall)
            inner.append(own)
            lab.run("salt-run", "wireguard.readmit", f"node{nodes}", check=False)
            lab.settle(nodes)
    return {
        "benchmark": "revocation",
        "nodes": nodes,
        **against(walls, baseline),
        "of_it_after_the_decision": round(sorted(inner)[len(inner) // 2], 2),
        **machine(),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0] if __doc__ else None)
    parser.add_argument("--nodes", type=int, default=8, help="size of the fleet (default: 8)")
    parser.add_argument("--rounds", type=int, default=5, help="revocations (default: 5)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    show(measure(options.nodes, options.rounds), options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
