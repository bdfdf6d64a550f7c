"""Every benchmark works: a run of the smallest size has the comparisons of which `make bench` makes a table."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("salt")

from wgmachines.nodes import why_not

BENCH = Path(__file__).resolve().parents[2] / "bench"
needs_machines = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))


def all_benchmarks():
    """The program that runs them all, as a module."""
    spec = importlib.util.spec_from_file_location("all_benchmarks", BENCH / "all.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    "program",
    [
        "registry",
        "refusals",
        "page",
        "large_fleet",
        *(pytest.param(name, marks=needs_machines) for name in ("hitless", "noop", "rotation_gap")),
    ],
)
def test_a_benchmark_without_daemons_runs(program):
    """One failed for weeks before somebody ran it: the views that it made were not in the order of their digests."""
    result = all_benchmarks().measure(program, "--smoke")
    assert result["comparisons"]
    assert {"cores", "load_average", "salt", "wireguard"} <= set(result["machine"])


def test_all_benchmarks_are_known_by_name():
    programs = {path.stem for path in BENCH.glob("*.py")} - {"all", "mesh_lab", "report"}
    assert set(all_benchmarks().PROGRAMS) == programs


def test_the_results_stand_between_the_marks_of_the_page(tmp_path):
    page = tmp_path / "README.md"
    page.write_text("before\n<!-- results -->\nold\n<!-- end of results -->\nafter\n")
    machine = {
        **{"date": "2026-01-01", "cores": 2, "memory_gb": 4, "load_average": 0.5},
        **{"python": "3.11.7", "salt": "3008.4", "wireguard": "kernel"},
    }
    compared = {"what": "time", "ours": 1.5, "baseline": 1.0, "against": "nothing", "unit": "s", "ratio": 1.5}
    all_benchmarks().write({"noop": {"sizes": {"rounds": 1}, "machine": machine, "comparisons": [compared]}}, page)
    text = page.read_text()
    assert text.startswith("before\n<!-- results -->\nMeasured on 2026-01-01 with 2 cores, 4 GB, kernel, Salt 3008.4")
    assert "| `noop.py --rounds 1` | time | 1.5 s | nothing | 1 s | 1.5 |\n<!-- end of results -->\nafter\n" in text


def test_a_benchmark_says_why_it_cannot_run():
    argv = [sys.executable, str(BENCH / "noop.py"), "--smoke"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env={"PATH": ""})
    assert done.returncode == 2
    assert done.stderr.startswith("noop: needs ")
