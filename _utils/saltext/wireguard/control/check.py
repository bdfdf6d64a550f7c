"""Is the mesh file right, and what would it change? Judged with all that this machine can find out."""

from __future__ import annotations

import contextlib
import time
from typing import Any

from ..errors import ConfigError, MeshError
from ..master.config import nodegroups_of
from ..master.master import Master
from ..master.warnings import drained, warnings
from ..meshfile.load import load_mesh
from ..meshfile.mesh import Mesh
from ..review.context import Known
from ..review.lint import Findings, hosts, lint
from ..system.resolve import resolve_names
from . import tables
from .exit_codes import FAILED, exiting
from .node_query import NodeQuery
from .operator import Operator
from .plan import Plan
from .progress import Progress

# All names together may take so long.
RESOLVE_SECONDS = 5.0


def check(mesh: Mesh, master: Master | None = None) -> Findings:
    """What is found about a mesh that parsed; without a master, about the file alone. Raises RegistryError."""
    known = Known(master.registry.snapshot(), master.accepted()) if master else None
    addresses = resolve_names(hosts(mesh), RESOLVE_SECONDS)
    return lint(mesh, time.time(), known, addresses)


def validate(operator: Operator, path: str | None) -> dict[str, Any]:
    """``salt-run wireguard.validate``."""
    master = _master_unless(operator, path)
    try:
        mesh = load_mesh(path or operator.master.mesh_path, nodegroups_of(operator.opts))
    except MeshError as exc:
        return exiting(FAILED, {"valid": False, "errors": tables.problems(exc.problems)})
    findings = check(mesh, master)
    answer = {
        "valid": not findings.errors,
        "errors": tables.problems(findings.errors),
        "warnings": [
            *tables.problems(findings.warnings),
            *({"where": "registry", "message": text} for text in (_drained(master) if master else ())),
        ],
        "checked": ["mesh file", "registry", "accepted keys"] if master else ["mesh file"],
        "networks": tables.networks(mesh),
    }
    return exiting(FAILED if findings.errors else 0, answer)


def _drained(master: Master) -> list[str]:
    return drained(master.registry.snapshot(), time.time())


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
    nodegroups = nodegroups_of(operator.opts)
    return tables.plan_or_problems(file, lambda: _plan(operator, master, path, load_mesh(file, nodegroups), timeout))


def _plan(operator: Operator, master: Master | None, path: str | None, mesh: Mesh, timeout: float) -> dict[str, Any]:
    running = master is not None and operator.has_master()
    if master is None or not (running or master.registry.exists()):
        alone = "the mesh file was checked by itself: there is no salt-master here, and no registry"
        return tables.plan(alone, check(mesh))
    findings = check(mesh, master)
    with operator.bus() if running else contextlib.nullcontext() as bus:
        plans = Plan(master, NodeQuery(bus, timeout, Progress(operator.progress)) if bus else None)
        result = plans.edited(mesh) if path else plans.present()
    answer = result.answer() + ("" if running else "; no node was asked, as no salt-master runs here")
    return tables.plan(answer, findings, result, warnings(master.moment()))
