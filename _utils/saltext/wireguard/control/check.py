"""The mesh file judged with all that this machine can find out: host names looked up, and what the master knows."""

from __future__ import annotations

import time

from ..review.context import Known
from ..review.lint import hosts, lint
from ..system.resolve import resolve_names

# All names together may take so long.
RESOLVE_SECONDS = 5.0


def check(mesh, master=None):
    """The ``Findings`` about a mesh that parsed; without a master, about the file alone. Raises RegistryError."""
    known = Known(master.registry.snapshot(), master.accepted()) if master else None
    addresses = resolve_names(hosts(mesh), RESOLVE_SECONDS)
    return lint(mesh, time.time(), known, addresses)
