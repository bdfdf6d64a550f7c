"""Is the mesh file right, and what would it change? Judged with all that this machine can find out."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Collection
from typing import Any

from ..errors import ConfigError, LossError, MeshError, Problem, RefusedError
from ..master.master import Master
from ..master.warnings import warnings
from ..meshfile.load import load_mesh
from ..meshfile.mesh import Mesh
from ..review.context import Known
from ..review.lint import Findings, hosts, lint
from ..system.resolve import resolve_names
from . import tables
from .node_query import NodeQuery
from .operator import DIFFERS, FAILED, Operator, exiting
from .plan import Plan, PlanResult
from .progress import Progress

# All names together may take so long.
RESOLVE_SECONDS = 5.0

_INVALID = "the mesh file cannot be applied"


def check(mesh: Mesh, master: Master | None = None) -> Findings:
    """What is found about a mesh that parsed; without a master, about the file alone. Raises RegistryError."""
    known = Known(master.registry.snapshot(), master.accepted()) if master else None
    addresses = resolve_names(hosts(mesh), RESOLVE_SECONDS)
    return lint(mesh, time.time(), known, addresses)


def validate(operator: Operator, path: str | None) -> dict[str, Any]:
    """``salt-run wireguard.validate``."""
    master = _master_unless(operator, path)
    try:
        mesh = load_mesh(path or operator.master.mesh_path)
    except MeshError as exc:
        return exiting(FAILED, {"valid": False, "errors": tables.problems(exc.problems)})
    findings = check(mesh, master)
    answer = {
        "valid": not findings.errors,
        "errors": tables.problems(findings.errors),
        "warnings": tables.problems(findings.warnings),
        "checked": ["mesh file", "registry", "accepted keys"] if master else ["mesh file"],
        "networks": tables.networks(mesh),
    }
    return exiting(FAILED if findings.errors else 0, answer)


def _master_unless(operator: Operator, path: str | None) -> Master | None:
    """A mesh file that is named can be judged where no master is configured, too: then None."""
    try:
        return operator.master
    except ConfigError:
        if path:
            return None
        raise


def plan(operator: Operator, path: str | None, timeout: float) -> dict[str, Any]:
    """``salt-run wireguard.plan``."""
    master = _master_unless(operator, path)
    file = path or operator.master.mesh_path
    try:
        mesh = load_mesh(file)
        running = master is not None and operator.has_master()
        if master is None or not (running or master.registry.exists()):
            alone = "the mesh file was checked by itself: there is no salt-master here, and no registry"
            return _planned(alone, check(mesh))
        findings = check(mesh, master)
        with operator.bus() if running else contextlib.nullcontext() as bus:
            plans = Plan(master, NodeQuery(bus, timeout, Progress(operator.progress)) if bus else None)
            result = plans.edited(mesh) if path else plans.present()
        answer = result.answer() + ("" if running else "; nobody was asked, as no salt-master runs here")
        return _planned(answer, findings, result, warnings(master.moment()))
    except MeshError as exc:
        return _planned(_INVALID, Findings(errors=exc.problems))
    except (LossError, RefusedError) as exc:
        return _planned(_INVALID, Findings(errors=(Problem(file, 0, str(exc)),)))


def _planned(
    answer: str, findings: Findings, result: PlanResult | None = None, warnings: Collection[str] = ()
) -> dict[str, Any]:
    result = result or PlanResult()
    code = FAILED if findings.errors or result.failed else 0 if result.is_quiet else DIFFERS
    return exiting(code, tables.plan(answer, findings, result, warnings))
