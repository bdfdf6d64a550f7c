"""What commands exit with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Of a command that did not do all that it was asked, and of a plan that would change something.
FAILED, DIFFERS = 1, 2

# What shells make of Ctrl-C.
INTERRUPTED = 130


def exiting(retcode: int, data: Mapping[str, Any]) -> dict[str, Any]:
    """What a command says that may fail. ``salt-run`` exits with the ``retcode`` that it finds there."""
    return {**data, "retcode": retcode} if retcode else {**data}
