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

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

REPO = Path(__file__).resolve().parents[1]
LAB = [sys.executable, str(REPO / "lab" / "lab"), "--name", f"b{os.getpid()}"]
PLAIN_TAG = "bench/plain"


def lab(*words: str) -> str:
    """Run a command of the lab; return its output."""
    done = subprocess.run([*LAB, *words], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"lab {' '.join(words)}: exit code {done.returncode}\n{done.stderr}")
    return done.stdout


def burst(keys: str, count: int, *more: str) -> dict[str, Any]:
    """All minions send an event, as fast as they can."""
    words = ["--keys", keys, "--count", str(count), "--seconds", "0", "--bad-share", "0", *more]
    said = json.loads(lab("exec", "master", "python3", str(REPO / "bench" / "load.py"), *words))
    return {"rate": count / said["seconds"], "cpu": said["master_cpu_seconds"] / count, "again": said["again"]}


def ping_seconds() -> float:
    """How long the simplest job takes, for scale."""
    started = time.monotonic()
    lab("salt", "*", "test.ping")
    return time.monotonic() - started


def measure(count: int, rounds: int) -> dict[str, Any]:
    """Plain events and registrations in turns."""
    plain, registrations, pings = [], [], []
    with tempfile.TemporaryDirectory() as keys:
        try:
            lab("up", "1", "--trigger", "engine")
            for number in range(rounds):
                pings.append(ping_seconds())
                plain.append(burst(keys, count, "--tag", PLAIN_TAG))
                # the first round is about minions that are new, the others about such as register again
                registrations.append(burst(keys, count, "--wait", "300", "--report"))
                print(f"round {number + 1} of {rounds} is done", file=sys.stderr)
        finally:
            lab("down")
    return summary(count, plain, registrations, pings)


def summary(count: int, plain: list[Any], registrations: list[Any], pings: list[float]) -> dict[str, Any]:
    """Medians, and their ratios."""

    def median(rows: list[Any], name: str) -> float:
        return statistics.median(row[name] for row in rows)

    ping = statistics.median(pings)
    return {
        "count": count,
        "registrations_per_second": round(median(registrations, "rate"), 1),
        "cpu_ms_per_registration": round(1000 * median(registrations, "cpu"), 1),
        "sent_again": sum(row["again"] for row in registrations),
        "plain_events_per_second": round(median(plain, "rate"), 1),
        "cpu_ms_per_plain_event": round(1000 * median(plain, "cpu"), 1),
        "ping_seconds": round(ping, 2),
        "cpu_ratio": round(median(registrations, "cpu") / median(plain, "cpu"), 2),
        "time_ratio": round(median(plain, "rate") / median(registrations, "rate"), 2),
        "registrations_per_ping": round(median(registrations, "rate") * ping),
    }


def main() -> None:
    """Print the outcome."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100, help="minions (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="how often (%(default)s)")
    parser.add_argument("--json", action="store_true", help="JSON on standard output")
    options = parser.parse_args()
    result = measure(options.count, options.rounds)
    if options.json:
        print(json.dumps(result))
    else:
        print("\n".join(f"{name.replace('_', ' '):26} {value}" for name, value in result.items()))


if __name__ == "__main__":
    main()
