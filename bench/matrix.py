#!/usr/bin/env python3
"""
How long `salt-run wireguard.matrix` takes, in which every node pings every other through the tunnel.

The wall time of the command over that of `salt '*' test.ping` on the same fleet, in turns. All paths must be without
loss. Needs root.

    bench/matrix.py --nodes 50 --rounds 5 --json
"""

from __future__ import annotations

import json
import sys
import time

from mesh_lab import MeshLab, against_ping, mesh_lab
from report import BenchError, Measured, Size, run


def look(lab: MeshLab, nodes: int) -> float:
    """The wall time of one matrix."""
    started = time.monotonic()
    said = json.loads(lab.run("salt-run", "--out=json", "wireguard.matrix", "timeout=60"))
    seconds = time.monotonic() - started
    bad = [path for path in said["paths"] if path["loss"] != 0]
    if len(said["paths"]) != nodes * (nodes - 1) or bad or said["problems"]:
        raise BenchError(f"not all paths are without loss: {said['answer']}; {bad[:5]}; {said['problems']}")
    return seconds


def measure(nodes: int, rounds: int) -> Measured:
    walls, baseline = [], []
    with mesh_lab(nodes) as lab:
        for _ in range(rounds):
            baseline.append(lab.ping_minions())
            walls.append(look(lab, nodes))
    details = {"longest_seconds": round(max(walls), 2)}
    return details, [against_ping(f"a matrix of {nodes * (nodes - 1)} paths", walls, baseline)]


if __name__ == "__main__":
    sys.exit(run(__doc__, measure, nodes=Size(50, 3, "size of the fleet"), rounds=Size(5, 1, "matrices")))
