"""
What an interface boots from, brought up to date where the device is changed but not applied anew.

Callers hold the interface's lock.
"""

from __future__ import annotations

import contextlib

from ..errors import NamesError
from ..system import files
from . import config_files, endpoints
from .boot.managers import Manager, Setup


def rewrite(interface: str, text: str, boot: Manager | None) -> None:
    """
    Give the configuration file another text, and other files what follows from it. No name is looked up for that.

    :raises NodeError: or OSError, if a file cannot be written
    """
    path = config_files.config_file(interface)
    if not files.is_written(path, text):
        files.replace(path, text)
    view = config_files.written(interface)
    if boot and view:
        setup = Setup(view, config_files.key_file(interface), endpoints.known(view))
        if boot.missing(setup):
            with contextlib.suppress(NamesError):  # the next apply says so
                boot.enable(setup)
