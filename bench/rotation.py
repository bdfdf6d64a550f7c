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

import contextlib
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from mesh_lab import MeshLab, mesh_lab
from report import BenchError, Comparison, Measured, Size, run
from wgmachines import UDP_ECHO

RATE = "1000"
SETTLE_SECONDS = 2.0
STREAMS = (("node1", "node2"), ("node2", "node1"), ("node3", "node4"))


@contextlib.contextmanager
def echoes(lab: MeshLab) -> Iterator[None]:
    """Let the receivers send everything back."""
    argvs = [lab.argv("exec", node, sys.executable, str(UDP_ECHO), "serve") for _, node in STREAMS]
    serving = [subprocess.Popen(argv) for argv in argvs]
    try:
        yield
    finally:
        for process in serving:
            process.kill()


def watch(lab: MeshLab, work: Callable[[], Any]) -> dict[str, Any]:
    """Do something while packets flow."""
    address = {node: row["addresses"][0] for node, row in lab.rows().items()}
    argvs = [
        lab.argv("exec", sender, sys.executable, str(UDP_ECHO), "stream", address[receiver], "-", RATE)
        for sender, receiver in STREAMS
    ]
    streams = [subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for argv in argvs]
    time.sleep(SETTLE_SECONDS)
    started = time.monotonic()
    work()
    took = time.monotonic() - started
    time.sleep(SETTLE_SECONDS)
    outgoing, incoming, unconcerned = (json.loads(each.communicate(timeout=60)[0]) for each in streams)
    return {
        "gap": max(outgoing["gap"], incoming["gap"]),
        "lost": outgoing["sent"] - outgoing["received"] + incoming["sent"] - incoming["received"],
        "gap_of_others": unconcerned["gap"],
        "lost_by_others": unconcerned["sent"] - unconcerned["received"],
        "took": took,
    }


def rotate(lab: MeshLab) -> None:
    """By the protocol."""
    said = json.loads(lab.run("salt-run", "--out=json", "wireguard.rotate", "node1", check=False))
    if not said["rotations"][0]["rotated"]:
        raise BenchError(str(said))


def rotate_naively(lab: MeshLab, nodes: int) -> None:
    """Another key on the node, and the engine tells the others."""
    lab.run("exec", "node1", "rm", "/etc/wireguard/wg0.key")
    lab.run("salt", "--timeout=60", "node1", "wireguard.sync")
    lab.settle(nodes)


def measure(nodes: int, rounds: int) -> Measured:
    noop, rotated, naive = [], [], []
    with mesh_lab(nodes) as lab, echoes(lab):
        for _ in range(rounds):
            noop.append(watch(lab, lambda: lab.run("salt", "--timeout=60", "*", "wireguard.sync")))
            rotated.append(watch(lab, lambda: rotate(lab)))
            lab.settle(nodes)
            naive.append(watch(lab, lambda: rotate_naively(lab, nodes)))
            lab.settle(nodes)

    def median(rounds: list[dict[str, Any]], name: str, digits: int = 3) -> float:
        return round(statistics.median(each[name] for each in rounds), digits)

    details = {
        "longest_gap_seconds": round(max(each["gap"] for each in rotated), 3),
        "gap_noop_seconds": median(noop, "gap"),
        "gap_of_others_seconds": median(rotated, "gap_of_others"),
        "gap_of_others_noop_seconds": median(noop, "gap_of_others"),
        "packets_lost_by_others": sum(each["lost_by_others"] for each in rotated),
        "packets_lost_noop": median(noop, "lost"),
        "packets_lost_by_others_noop": sum(each["lost_by_others"] for each in noop),
        "rotation_takes_seconds": median(rotated, "took", 2),
    }
    naively = "a new key without the protocol"
    comparisons = [
        Comparison("longest gap", median(rotated, "gap"), median(naive, "gap"), naively),
        Comparison("packets lost", median(rotated, "lost"), median(naive, "lost"), naively, ""),
    ]
    return details, comparisons


if __name__ == "__main__":
    sys.exit(
        run(
            __doc__,
            measure,
            nodes=Size(8, 4, "size of the fleet, at least 4"),
            rounds=Size(3, 1, "rotations of each kind"),
        )
    )
