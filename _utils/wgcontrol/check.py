"""The mesh file judged with all that this machine can find out: host names looked up, and what the master knows."""

import time

try:
    from saltext.wireguard.utils.wgmesh import lint, names
except ImportError:  # synced from _utils/
    from wgmesh import lint, names

# All names together may take so long.
RESOLVE_SECONDS = 5.0


def check(mesh, master=None):
    """The ``Findings`` about a mesh that parsed; without a master, about the file alone. Raises RegistryError."""
    known = lint.Known(master.registry.snapshot(), master.accepted()) if master else None
    addresses = names.look_up(lint.hosts(mesh), RESOLVE_SECONDS)
    return lint.lint(mesh, time.time(), known, addresses)
