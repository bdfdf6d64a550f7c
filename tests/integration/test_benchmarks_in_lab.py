"""The benchmarks with a master and minions work: the smallest size of each."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).resolve().parents[2] / "bench"

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("labs")]


@pytest.mark.parametrize("program", ["burst", "join", "matrix", "revocation", "rotation"])
def test_a_benchmark_runs(program):
    argv = [sys.executable, str(BENCH / f"{program}.py"), "--smoke", "--json"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["comparisons"]
