"""What all benchmarks share: how they are called, what they ran on, and how they say what they compared."""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

REPO = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(REPO / "lab"), str(REPO / "_utils")]


class Size(NamedTuple):
    """An option that says how much is measured: its default, and what is enough to see that the benchmark works."""

    full: int | float
    smoke: int | float
    meaning: str


@dataclass(frozen=True)
class Comparison:
    """What was measured, and beside it ``baseline``: the same quantity of ``against``, in the same run."""

    what: str
    ours: float
    baseline: float
    against: str
    unit: str = "s"

    @property
    def ratio(self) -> float | None:
        return round(self.ours / self.baseline, 2) if self.baseline else None

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "ratio": self.ratio}


class BenchError(Exception):
    """What is to be measured did not happen."""


Measured = tuple[dict[str, Any], list[Comparison]]


def run(doc: str | None, measure: Callable[..., Measured], **sizes: Size) -> int:
    """The command line of a benchmark. ``measure`` takes the sizes by name. Returns the exit code."""
    options = _parser(doc or "", sizes).parse_args()
    chosen = {name: getattr(options, name) for name in sizes}
    for name, size in sizes.items():
        if chosen[name] is None:
            chosen[name] = size.smoke if options.smoke else size.full
    try:
        details, comparisons = measure(**chosen)
    except BenchError as exc:
        print(f"{Path(sys.argv[0]).stem}: {exc}", file=sys.stderr)
        return 2
    result = {"sizes": chosen, "machine": machine(), "comparisons": [each.as_json() for each in comparisons], **details}
    print(json.dumps(result) if options.json else _table(result))
    return 0


def _parser(doc: str, sizes: dict[str, Size]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--smoke", action="store_true", help="the smallest sizes, to see in seconds that it works")
    for name, size in sizes.items():
        meaning = f"{size.meaning} (default: {size.full})"
        parser.add_argument(f"--{name.replace('_', '-')}", metavar="N", type=type(size.full), help=meaning)
    return parser


def machine() -> dict[str, Any]:
    """What this ran on, and how busy that was."""
    with open("/proc/meminfo", encoding="ascii") as handle:
        memory = int(handle.readline().split()[1]) / 2**20
    return {
        "date": time.strftime("%Y-%m-%d"),
        "cores": os.cpu_count(),
        "memory_gb": round(memory),
        "load_average": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        "salt": importlib.metadata.version("salt"),
        "wireguard": "kernel" if Path("/sys/module/wireguard").exists() else "wireguard-go",
    }


def _table(result: dict[str, Any]) -> str:
    lines = [
        f"{each['what']}: {each['ours']:g} {each['unit']}; {each['against']}: {each['baseline']:g} {each['unit']};"
        f" ratio {each['ratio']}"
        for each in result["comparisons"]
    ]
    rest = {name: value for name, value in result.items() if name != "comparisons"}
    for group in ("sizes", "machine"):
        rest |= rest.pop(group)
    return "\n".join([*lines, *(f"{name.replace('_', ' '):32} {value}" for name, value in rest.items())])
