"""
Mesh files without Salt: ``python -m saltext.wireguard mesh.yml``.

For editors, pipelines and pre-commit: checks mesh files, draws them, and plans a change from copies of what the master
has. Looks up no names and asks no node; ``salt-run wireguard.validate`` and ``wireguard.plan`` do.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence

from .control import offline, text
from .errors import MeshError, Problem, WireguardError
from .meshfile.load import load_mesh
from .report.drawing import FORMATS, draw
from .review.graph import graph
from .review.lint import Findings, lint

EPILOG = """\
exit codes: 0 the files are right, 1 an error, 2 (--live) something would change
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the arguments say, and return the exit code."""
    parser = _parser()
    args = parser.parse_args(argv)
    if bool(args.state) != bool(args.keys) or (args.live and not args.state):
        parser.error("--live needs --state and --keys, which belong together")
    if args.live and (args.graph or len(args.mesh) > 1):
        parser.error("--live takes one mesh file, and no --graph")
    copies = offline.Copies(args.state, args.keys) if args.state else None
    try:
        if args.live and copies:
            return _print_plan(offline.plan(copies, args.live, args.mesh[0]), args.json)
        if args.graph:
            known = copies.known() if copies else None
            graphs = [each for path in args.mesh for each in graph(load_mesh(path), time.time(), known)]
            print(draw(graphs, args.format))
            return 0
        return _print_findings([_check(path, copies) for path in args.mesh])
    except MeshError as exc:
        return _print_findings([Findings(errors=exc.problems)])
    except WireguardError as exc:
        print(f"error: {exc}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m saltext.wireguard", description="Check, plan and draw WireGuard mesh files.", epilog=EPILOG
    )
    parser.add_argument("mesh", nargs="+", metavar="MESH", help="a mesh file, or a directory of them")
    parser.add_argument("--state", metavar="DIR", help="with a copy of the master's registry.db, and of denials.json")
    parser.add_argument("--keys", metavar="DIR", help="a copy of the master's accepted minion keys")
    parser.add_argument("--live", metavar="MESH", help="plan: what MESH would change in place of this one")
    parser.add_argument("--json", action="store_true", help="print the plan as data")
    parser.add_argument("--graph", action="store_true", help="draw the mesh, as a Mermaid flowchart")
    parser.add_argument("--format", choices=FORMATS, default="mermaid", help="of the --graph")
    return parser


def _check(path: str, copies: offline.Copies | None) -> Findings:
    try:
        return lint(load_mesh(path), time.time(), copies.known() if copies else None)
    except MeshError as exc:
        return Findings(errors=exc.problems)


def _print_findings(found: Sequence[Findings]) -> int:
    for line in (line for findings in found for line in _lines(findings)):
        print(line)
    return 1 if any(findings.errors for findings in found) else 0


def _lines(findings: Findings) -> Iterator[str]:
    for kind, problems in (("error", findings.errors), ("warning", findings.warnings)):
        yield from (_line(kind, problem) for problem in problems)


def _line(kind: str, problem: Problem) -> str:
    return f"{problem.where}: {kind}: {problem.message}"


def _print_plan(answer: dict[str, object], as_json: bool) -> int:
    code = answer.pop("retcode", 0)
    print(json.dumps(answer, indent=2) if as_json else text.render(answer))
    assert isinstance(code, int)
    return code


if __name__ == "__main__":
    sys.exit(main())
