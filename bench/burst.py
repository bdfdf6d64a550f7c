#!/usr/bin/env python3
"""
What a burst of registrations costs a master: how many it stores in a second, and how much CPU each takes.

A lab with a master, the engine, and one host from which many minions register at once, each over its own sign-in and
with a record that it signed (``load.py``). The baseline, in the same run and in turns, is the same number of events of
the same size from the same minions under a tag that nobody acts on: what Salt takes to receive an event and to show it
to an engine. All CPU is that of all processes of the master, from the first event until two seconds after the last
registration is stored; so the reconcile that begins meanwhile is in it, and signing in is not. Absolute numbers are
those of this machine at this moment; the ratios are what can be compared. Needs root.

    bench/burst.py --count 100 --rounds 3 --json
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from typing import Any

from mesh_lab import MeshLab
from report import REPO, Comparison, Measured, Size, run

PLAIN_TAG = "bench/plain"


def burst(lab: MeshLab, keys: str, count: int, *more: str) -> dict[str, Any]:
    """All minions send an event, as fast as they can."""
    words = ["--keys", keys, "--count", str(count), "--seconds", "0", "--bad-share", "0", *more]
    said = json.loads(lab.run("exec", "master", "python3", str(REPO / "lab" / "load.py"), *words))
    return {"rate": count / said["seconds"], "cpu": said["master_cpu_seconds"] / count, "again": said["again"]}


def measure(count: int, rounds: int) -> Measured:
    """Plain events and registrations in turns."""
    plain, registrations, pings = [], [], []
    lab = MeshLab()
    with tempfile.TemporaryDirectory() as keys:
        try:
            lab.run("up", "1", "--trigger", "engine")
            for number in range(rounds):
                pings.append(lab.seconds("salt", "node1", "test.ping"))  # the others only send
                plain.append(burst(lab, keys, count, "--tag", PLAIN_TAG))
                # in the first round, minions are new; in the others they have a new key: what is no news is not stored
                words = ["--seed", str(number), "--wait", "300", "--report"]
                registrations.append(burst(lab, keys, count, *words))
        finally:
            lab.run("down", check=False)
    return summary(plain, registrations, pings)


def summary(plain: list[Any], registrations: list[Any], pings: list[float]) -> Measured:
    """Medians of both."""

    def median(rows: list[Any], name: str, factor: int = 1) -> float:
        return round(factor * statistics.median(row[name] for row in rows), 1)

    details = {
        "sent_again": sum(row["again"] for row in registrations),
        "registrations_per_ping": round(median(registrations, "rate") * statistics.median(pings)),
    }
    event = "an event that nothing acts on"
    rates = [median(rows, "rate") for rows in (registrations, plain)]
    cpu = [median(rows, "cpu", 1000) for rows in (registrations, plain)]
    return details, [
        Comparison("registrations a second", *rates, event, ""),
        Comparison("CPU of a registration", *cpu, event, "ms"),
    ]


if __name__ == "__main__":
    sys.exit(run(__doc__, measure, count=Size(100, 5, "minions"), rounds=Size(3, 2, "how often")))
