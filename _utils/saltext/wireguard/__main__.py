"""
Checks mesh files by themselves, without Salt: ``python -m saltext.wireguard mesh.yml``.

For editors, pipelines and pre-commit. It looks up no names; ``salt-run wireguard.validate`` does, and knows the
registry.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence

from .errors import MeshError
from .meshfile.load import load_mesh
from .review.lint import Findings, lint


def main(argv: Sequence[str] | None = None) -> int:
    """Print what is wrong with each file. Returns the exit code: 1 for errors, 0 also if there are warnings."""
    parser = argparse.ArgumentParser(prog="python -m saltext.wireguard", description="Check WireGuard mesh files.")
    parser.add_argument("mesh", nargs="+", metavar="MESH", help="a mesh file, or a directory of them")
    found = [_check(path) for path in parser.parse_args(argv).mesh]
    for line in (line for findings in found for line in _lines(findings)):
        print(line)
    return 1 if any(findings.errors for findings in found) else 0


def _check(path: str) -> Findings:
    try:
        return lint(load_mesh(path), time.time())
    except MeshError as exc:
        return Findings(errors=exc.problems)


def _lines(findings: Findings) -> Iterator[str]:
    yield from (f"{problem.where}: error: {problem.message}" for problem in findings.errors)
    yield from (f"{problem.where}: warning: {problem.message}" for problem in findings.warnings)


if __name__ == "__main__":
    sys.exit(main())
