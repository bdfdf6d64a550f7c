#!/usr/bin/env python3
"""
What the page of ``wireguard.report`` costs the master: time and size, compared with the answer of ``wireguard.status``.

Both are made of the same registry, and of the same answers of nodes that are made up: nobody is asked. All nodes are
linked with each other. Needs no root.

    bench/page.py --nodes 500 --json
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from report import Comparison, Measured, Size, run
from saltext.wireguard.control import status
from saltext.wireguard.control.report import gather
from saltext.wireguard.report.page import page
from wgmachines.made_up import MadeUp

# What people are asked to load and to wait for.
MOST_MB, MOST_SECONDS = 3, 5


def timed(work: Callable[[], str]) -> tuple[float, str]:
    started = time.perf_counter()
    made = work()
    return time.perf_counter() - started, made


def measure(nodes: int, rounds: int) -> Measured:
    """Medians of the seconds, in turns."""
    with tempfile.TemporaryDirectory() as directory:
        mesh = MadeUp(Path(directory), nodes)
        mesh.interfaces()  # the nodes answer before anything is measured
        both: dict[str, Callable[[], str]] = {
            "page": lambda: page(gather(mesh.look()), None),
            "status": lambda: json.dumps(status.answer(mesh.look())),
        }
        taken: dict[str, list[float]] = {name: [] for name in both}
        for _ in range(rounds):
            made = {name: timed(work) for name, work in both.items()}
            for name, (seconds, _) in made.items():
                taken[name].append(seconds)
        with_pings = page(gather(mesh.look(), None, mesh.pings(mesh.look())), None)
    seconds = {name: round(statistics.median(each), 2) for name, each in taken.items()}
    size = {name: round(len(text) / 1e6, 3) for name, (_, text) in made.items()}
    answer = "the answer of `wireguard.status`"
    details = {"mb_with_pings": round(len(with_pings) / 1e6, 3), "goal_seconds": MOST_SECONDS, "goal_mb": MOST_MB}
    return details, [
        Comparison("a page", seconds["page"], seconds["status"], answer, "s"),
        Comparison("size of a page", size["page"], size["status"], answer, "MB"),
    ]


if __name__ == "__main__":
    sys.exit(run(__doc__, measure, nodes=Size(500, 20, "nodes"), rounds=Size(3, 1, "pages")))
