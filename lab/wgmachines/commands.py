"""Commands on a machine, and from outside on all of them."""

from __future__ import annotations

import subprocess


class NodeError(Exception):
    """A machine could not do what it was asked for."""


def run(argv: list[str], seconds: float = 60) -> str:
    """Return what the command printed. Raises NodeError where it failed."""
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=seconds)
    if done.returncode:
        raise NodeError(f"{argv}: {done.stderr.strip()}")
    return done.stdout
