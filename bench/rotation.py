#!/usr/bin/env python3
"""
How long a node is out of reach while it changes its key, in a whole fleet: by `salt-run wireguard.rotate`, and naively.

1,000 packets a second from the node to a peer and back, from the peer to the node and back, and between two nodes that
are not concerned. A gap is the longest time without an answer. Naively: the key file is removed and the node asked to
sync, upon which the engine tells everybody. For comparison, what the same machine does while all nodes find nothing to
change ("no-op", `salt '*' wireguard.sync`): that is the load of Salt itself, as long as all of it runs on one machine.
`bench/rotation_gap.py` does the same with three devices and no Salt. Needs root.

    bench/rotation.py --nodes 8 --rounds 3 --json
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from mesh_lab import BenchError, MeshLab, machine, mesh_lab, show

ECHO = str(Path(__file__).with_name("udp_echo.py"))
RATE = "1000"
STREAMS = (("node1", "node2"), ("node2", "node1"), ("node3", "node4"))


@contextlib.contextmanager
def echoes(lab: MeshLab) -> Iterator[None]:
    """Let the receivers send everything back."""
    argvs = [lab.argv("exec", node, sys.executable, ECHO, "serve") for _, node in STREAMS]
    serving = [subprocess.Popen(argv) for argv in argvs]
    try:
        yield
    finally:
        for process in serving:
            process.kill()


def watch(lab: MeshLab, work: Callable[[], Any], seconds: float) -> dict[str, Any]:
    """Do something while packets flow."""
    address = {node: row["addresses"][0] for node, row in lab.rows().items()}
    argvs = [
        lab.argv("exec", sender, sys.executable, ECHO, "stream", address[receiver], str(seconds), RATE)
        for sender, receiver in STREAMS
    ]
    streams = [subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) for argv in argvs]
    time.sleep(2)
    started = time.monotonic()
    work()
    took = time.monotonic() - started
    outgoing, incoming, unconcerned = (json.loads(each.communicate(timeout=seconds + 60)[0]) for each in streams)
    if took > seconds - 3:
        raise BenchError(f"it took {took:.1f} s, longer than the packets: use a larger --seconds")
    return {
        "gap": max(outgoing["gap"], incoming["gap"]),
        "lost": outgoing["sent"] - outgoing["received"] + incoming["sent"] - incoming["received"],
        "gap_of_others": unconcerned["gap"],
        "lost_by_others": unconcerned["sent"] - unconcerned["received"],
        "took": took,
    }


def measure(nodes: int, rounds: int, seconds: float) -> dict[str, Any]:
    noop, rotated, naive = [], [], []
    with mesh_lab(nodes) as lab, echoes(lab):

        def rotate() -> None:
            said = json.loads(lab.run("salt-run", "--out=json", "wireguard.rotate", "node1", check=False))
            if not said["rotations"][0]["rotated"]:
                raise BenchError(str(said))

        def rotate_naively() -> None:
            lab.run("exec", "node1", "rm", "/etc/wireguard/wg0.key")
            lab.run("salt", "--timeout=60", "node1", "wireguard.sync")
            lab.settle(nodes)

        for _ in range(rounds):
            noop.append(watch(lab, lambda: lab.run("salt", "--timeout=60", "*", "wireguard.sync"), seconds))
            rotated.append(watch(lab, rotate, seconds))
            lab.settle(nodes)
            naive.append(watch(lab, rotate_naively, seconds))
            lab.settle(nodes)
    gap = statistics.median(each["gap"] for each in rotated)
    naive_gap = statistics.median(each["gap"] for each in naive)
    return {
        "benchmark": "rotation",
        "nodes": nodes,
        "rounds": rounds,
        "gap_seconds": round(gap, 3),
        "longest_gap_seconds": round(max(each["gap"] for each in rotated), 3),
        "naive_gap_seconds": round(naive_gap, 3),
        "ratio": round(gap / naive_gap, 3),
        "gap_noop_seconds": round(statistics.median(each["gap"] for each in noop), 3),
        "gap_of_others_seconds": round(statistics.median(each["gap_of_others"] for each in rotated), 3),
        "gap_of_others_noop_seconds": round(statistics.median(each["gap_of_others"] for each in noop), 3),
        "packets_lost": statistics.median(each["lost"] for each in rotated),
        "packets_lost_naively": statistics.median(each["lost"] for each in naive),
        "packets_lost_by_others": sum(each["lost_by_others"] for each in rotated),
        "packets_lost_noop": statistics.median(each["lost"] for each in noop),
        "packets_lost_by_others_noop": sum(each["lost_by_others"] for each in noop),
        "rotation_takes_seconds": round(statistics.median(each["took"] for each in rotated), 2),
        **machine(),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0] if __doc__ else None)
    parser.add_argument("--nodes", type=int, default=8, help="size of the fleet, at least 4 (default: 8)")
    parser.add_argument("--rounds", type=int, default=3, help="rotations of each kind (default: 3)")
    parser.add_argument("--seconds", type=float, default=30, help="how long packets flow for each (default: 30)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    show(measure(options.nodes, options.rounds, options.seconds), options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
