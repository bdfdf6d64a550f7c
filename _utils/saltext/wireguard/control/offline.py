"""A plan where there is no Salt, from copies of what the master has."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import Any

from ..errors import ConfigError
from ..master.master import Master
from ..master.warnings import warnings
from ..meshfile.load import load_mesh
from ..model.preshared import new_secret, secret
from ..review.context import Known
from ..review.lint import lint
from . import tables
from .plan import Plan


@dataclass(frozen=True)
class Copies:
    """
    What is copied from a master. ``state``: a folder with its ``registry.db``, and ``denials.json`` if there is one.
    ``keys``: a folder with the accepted minion keys.
    """

    state: str
    keys: str

    def known(self) -> Known:
        master = self.master("")
        return Known(master.registry.snapshot(), master.accepted())

    def master(self, mesh: str) -> Master:
        """With this mesh file. Raises ConfigError if something is missing: it would count as a fleet without nodes."""
        registry = os.path.join(self.state, "registry.db")
        for place in (registry, self.keys):
            if not os.path.exists(place):
                raise ConfigError(f"{place} does not exist; copy it from the master")
        # The secret of a fleet belongs into no copy. Whichever it is, a plan is the same, and none is written.
        return Master(mesh, self.keys, self.state, configured_secret=secret(new_secret()))


def plan(copies: Copies, live: str, path: str) -> dict[str, Any]:
    """What the mesh file at ``path`` would change in place of ``live``, as ``salt-run wireguard.plan`` returns it."""
    return tables.plan_or_problems(path, lambda: _plan(copies, live, path))


def _plan(copies: Copies, live: str, path: str) -> dict[str, Any]:
    master = copies.master(live)
    mesh = load_mesh(path)
    findings = lint(mesh, time.time(), copies.known())
    result = Plan(master, None).edited(mesh)
    answer = f"{result.answer()}; no node was asked, and no names were looked up"
    return tables.plan(answer, findings, result, warnings(master.moment()))
