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

import argparse
import json
import statistics
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from rotation_nodes import Node, Nodes, why_not

SETTLE_SECONDS = 1.0


def measure(nodes: Nodes, work: Callable[[Node], Any], seconds: float) -> dict[str, Any]:
    """Do something to node1 while packets flow. Returns the gaps, and how many packets others lost."""
    node, peer, other = nodes.all[:3]
    streams = [
        node.begin("echoes", peer.address, seconds),
        peer.begin("echoes", node.address, seconds),
        peer.begin("echoes", other.address, seconds),
    ]
    time.sleep(SETTLE_SECONDS)
    result: list[Any] = []
    worker = threading.Thread(target=lambda: result.append(work(node)))
    worker.start()
    outgoing, incoming, unconcerned = (stream.result(seconds + 30) for stream in streams)
    worker.join()
    return {
        "gap": max(outgoing["gap"], incoming["gap"]),
        "lost": outgoing["sent"] - outgoing["received"] + incoming["sent"] - incoming["received"],
        "lost_by_others": unconcerned["sent"] - unconcerned["received"],
        "gap_of_others": unconcerned["gap"],
        "result": result[0] if result else None,
    }


def compare(rounds: int, job_seconds: float) -> dict[str, Any]:
    """Rotate by protocol and naively, in turns and on the same machines."""
    Node.job_seconds = 0.0
    with Nodes(3) as nodes:
        nodes.set_up()
        for one, other in ((0, 1), (0, 2), (1, 2)):
            nodes.ping(nodes.all[one], nodes.all[other])
        Node.job_seconds = job_seconds
        idle, rotated, naive = [], [], []
        for _ in range(rounds):
            idle.append(measure(nodes, lambda _node: None, 5))
            rotated.append(measure(nodes, nodes.rotate, 5 + 8 * job_seconds))
            naive.append(measure(nodes, nodes.rotate_naively, 10 + 4 * job_seconds))
    gap = statistics.median(each["gap"] for each in rotated)
    naive_gap = statistics.median(each["gap"] for each in naive)
    return {
        "rounds": rounds,
        "job_seconds": job_seconds,
        "gap_seconds": round(gap, 3),
        "longest_gap_seconds": round(max(each["gap"] for each in rotated), 3),
        "naive_gap_seconds": round(naive_gap, 3),
        "ratio": round(gap / naive_gap, 4),
        "packets_lost": statistics.median(each["lost"] for each in rotated),
        "packets_lost_naively": statistics.median(each["lost"] for each in naive),
        "packets_lost_by_others": sum(each["lost_by_others"] for each in rotated),
        "packets_lost_by_others_idle": sum(each["lost_by_others"] for each in idle),
        "gap_of_others_seconds": round(statistics.median(each["gap_of_others"] for each in rotated), 3),
        "gap_idle_seconds": round(statistics.median(each["gap"] for each in idle), 3),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0] if __doc__ else None)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--rounds", type=int, default=3, help="rotations of each kind (default: 3)")
    parser.add_argument(
        "--job-seconds", type=float, default=0.5, help="what any call to a machine takes by Salt (default: 0.5)"
    )
    options = parser.parse_args()
    if why_not():
        print(f"rotation_gap: {why_not()}", file=sys.stderr)
        return 2
    result = compare(options.rounds, options.job_seconds)
    if options.json:
        print(json.dumps(result))
    else:
        for name, value in result.items():
            print(f"{name.replace('_', ' '):24} {value}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
