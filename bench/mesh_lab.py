"""A lab with a mesh in it, for the benchmarks: made at the beginning, gone at the end, whatever happens between."""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from report import REPO, BenchError, Comparison

PATIENCE = 180.0


class MeshLab:
    """The lab by its command line, so that what is measured is what works by hand."""

    def __init__(self) -> None:
        self.name = f"b{os.getpid()}"
        self.dir = Path(f"/tmp/wglab-{self.name}")  # noqa: S108 - where the lab puts it

    def argv(self, *args: str) -> list[str]:
        return [sys.executable, str(REPO / "lab/lab"), "--name", self.name, *args]

    def run(self, *args: str, check: bool = True) -> str:
        done = subprocess.run(self.argv(*args), capture_output=True, text=True, check=False)
        if check and done.returncode:
            raise BenchError(f"lab {' '.join(args)}: exit code {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done.stdout

    def seconds(self, *args: str) -> float:
        """The wall time of a command."""
        started = time.monotonic()
        self.run(*args)
        return time.monotonic() - started

    def ping_minions(self) -> float:
        """The baseline: what a job takes that does nothing."""
        return self.seconds("salt", "--timeout=60", "*", "test.ping")

    def rows(self) -> dict[str, dict[str, Any]]:
        said = json.loads(self.run("salt-run", "--out=json", "wireguard.nodes"))
        return {row["node"]: row for row in said["nodes"]}

    def settle(self, count: int) -> None:
        """Wait until there are so many members, and all are what they must be."""
        deadline = time.monotonic() + PATIENCE
        while True:
            rows = self.rows()
            if len(rows) == count and all(row["in_sync"] for row in rows.values()):
                return
            if time.monotonic() > deadline:
                raise BenchError(f"not in sync after {PATIENCE:g} s: {rows}")
            time.sleep(0.5)


@contextlib.contextmanager
def mesh_lab(nodes: int, trigger: str = "engine") -> Iterator[MeshLab]:
    """A mesh of so many nodes in which packets flow between all."""
    lab = MeshLab()
    try:
        lab.run("up", str(nodes), "--trigger", trigger)
        lab.run("salt", "--timeout=180", "*", "state.apply", "wireguard", check=False)
        lab.run("salt-run", "wireguard.reconcile", check=False)
        lab.settle(nodes)
        lab.run("ping", "--wait", "60")
        yield lab
    finally:
        lab.run("down", check=False)


def against_ping(what: str, measured: list[float], pings: list[float]) -> Comparison:
    """Medians of both."""
    return Comparison(what, *(round(statistics.median(each), 2) for each in (measured, pings)), "`salt '*' test.ping`")
