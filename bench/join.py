#!/usr/bin/env python3
"""
How long it takes from the start of a new minion until every node reaches every other through the mesh.

From the new minion's start event on the master's bus until pings go through between all pairs, old and new, by IPv4 and
IPv6; over the wall time of `salt '*' test.ping` on the same fleet. Nobody runs a command: the engine does it. The pings
begin before the mesh is there, as traffic does: WireGuard tries a handshake that nobody answered again after 5 seconds.
So the time until the last node has applied and reported everything is told as well. The node is removed after each
round. Needs root.

    bench/join.py --nodes 8 --rounds 3 --json
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import statistics
import subprocess
import sys
import threading
import time
from datetime import datetime
from pathlib import Path

from mesh_lab import PATIENCE, MeshLab, against_ping, mesh_lab
from report import REPO, BenchError, Measured, Size, run

RECORDER = REPO / "lab/record_events.py"


def record(lab: MeshLab) -> Path:
    """Write down the events of the master's bus from now on; returns where."""
    file = lab.dir / "events.jsonl"
    argv = lab.argv("exec", "master", "python3", str(RECORDER), str(file))
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    if process.stdout is None or process.stdout.readline() != "listening\n":
        raise BenchError("the recorder of events does not start")
    process.stdout.close()  # it ends with the master's host
    return file


def started_at(events: Path, node: str) -> float:
    """Wait for the minion's start event; returns its time in Unix seconds."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        for line in events.read_text().splitlines():
            tag, data = json.loads(line)
            if tag == f"salt/minion/{node}/start":
                return datetime.fromisoformat(data["_stamp"]).timestamp()
        time.sleep(0.05)
    raise BenchError(f"{node} did not start")


def reported_at(lab: MeshLab) -> float:
    """When the last report of a node came, in Unix seconds."""
    path = lab.dir / "hosts/master/var/cache/salt/master/wireguard/registry.db"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return float(connection.execute("SELECT max(reported) FROM report").fetchone()[0])


def join(lab: MeshLab, events: Path, node: str, nodes: int) -> tuple[float, float]:
    """Seconds until every pair pings, and until every node is in sync."""
    adding = threading.Thread(target=lab.run, args=("add", node))
    adding.start()
    started = started_at(events, node)
    lab.run("ping", "--wait", str(PATIENCE))
    seconds = time.time() - started
    adding.join()
    lab.settle(nodes)
    return seconds, reported_at(lab) - started


def measure(nodes: int, rounds: int) -> Measured:
    joins, in_sync, baseline, pings = [], [], [], []
    with mesh_lab(nodes - 1) as lab:
        events = record(lab)
        for number in range(rounds):
            baseline.append(lab.ping_minions())
            name = f"new{number}"
            pinging, reported = join(lab, events, name, nodes)
            joins.append(pinging)
            in_sync.append(reported)
            pings.append(lab.seconds("ping"))
            lab.run("remove", name)
            lab.settle(nodes - 1)
    comparisons = [
        against_ping("until all pairs ping", joins, baseline),
        against_ping("until all nodes are in sync", in_sync, baseline),
    ]
    return {"of_it_the_pings_themselves": round(statistics.median(pings), 2)}, comparisons


if __name__ == "__main__":
    sys.exit(
        run(
            __doc__,
            measure,
            nodes=Size(8, 3, "size of the fleet with the new node"),
            rounds=Size(3, 1, "joins"),
        )
    )
