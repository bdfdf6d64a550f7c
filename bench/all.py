#!/usr/bin/env python3
"""
Runs all benchmarks one after the other and writes what came of them into the table of bench/README.md.

    bench/all.py [--smoke]

With ``--smoke``, with the smallest sizes, and the table stays as it is. Needs root.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PAGE = HERE / "README.md"
BEGIN, END = "<!-- results -->", "<!-- end of results -->"
PROGRAMS = (
    "revocation",
    "join",
    "matrix",
    "rotation",
    "rotation_gap",
    "hitless",
    "noop",
    "burst",
    "flood",
    "registry",
    "refusals",
    "page",
    "large_fleet",
)


def measure(program: str, *options: str) -> dict[str, Any]:
    """Run a benchmark; raises RuntimeError with what it said."""
    argv = [sys.executable, str(HERE / f"{program}.py"), "--json", *options]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{program}: exit code {done.returncode}\n{done.stderr}")
    return dict(json.loads(done.stdout))


def sentence(results: dict[str, dict[str, Any]]) -> str:
    """What they ran on, in words."""
    machines = [result["machine"] for result in results.values()]
    one = machines[0]
    loads = [each["load_average"] for each in machines]
    return (
        f"Measured on {one['date']} with {one['cores']} cores, {one['memory_gb']} GB, {one['wireguard']},"
        f" Salt {one['salt']} and Python {one['python']},\nat a load average of {min(loads):g} to {max(loads):g}."
    )


def table(results: dict[str, dict[str, Any]]) -> str:
    """One row for each comparison."""
    lines = ["| Program | Measured | Result | Compared with | Its result | Ratio |", "|---|---|---|---|---|---|"]
    for program, result in results.items():
        options = "".join(f" --{name.replace('_', '-')} {value:g}" for name, value in result["sizes"].items())
        for each in result["comparisons"]:
            ours, theirs = (f"{each[name]:g} {each['unit']}".rstrip() for name in ("ours", "baseline"))
            ratio = "" if each["ratio"] is None else f"{each['ratio']:g}"
            cells = (f"`{program}.py{options}`", each["what"], ours, each["against"], theirs, ratio)
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def write(results: dict[str, dict[str, Any]], page: Path = PAGE) -> None:
    """Put the results between the marks of the page."""
    head, _, rest = page.read_text().partition(BEGIN)
    tail = rest.partition(END)[2]
    page.write_text(f"{head}{BEGIN}\n{sentence(results)}\n\n{table(results)}\n{END}{tail}")


def main(options: list[str]) -> int:
    if set(options) - {"--smoke"}:
        sys.exit(__doc__)
    results = {}
    for program in PROGRAMS:
        print(f"{program} ...", flush=True)
        results[program] = measure(program, *options)
        for each in results[program]["comparisons"]:
            print(f"    {each['what']}: {each['ours']:g} {each['unit']}, ratio {each['ratio']} to {each['against']}")
    if not options:
        write(results)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
