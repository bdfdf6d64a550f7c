"""Files for node_exporter's textfile collector."""

from __future__ import annotations

import os

from ..errors import NodeError
from . import files

# node_exporter does not run as root.
READABLE = 0o644


def write(path: str, text: str) -> str:
    """
    Write the file, and return its name; whoever reads it meanwhile has the whole old or the whole new one.

    Raises NodeError, also for a name that node_exporter would not read: nobody should replace other files by this.
    """
    if not isinstance(path, str) or not os.path.isabs(path) or not path.endswith(".prom"):
        raise NodeError(
            "file must be an absolute path that ends with .prom, such as"
            " /var/lib/prometheus/node-exporter/wireguard.prom"
        )
    files.remove_leftovers(path)
    files.replace(path, text, READABLE)
    return path
