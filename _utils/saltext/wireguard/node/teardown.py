"""
Takes interfaces down: device, service for boot, configuration file.

Callers hold the interface's lock.
"""

from __future__ import annotations

import os
import time

from ..device import disruption
from ..errors import NodeError
from ..model.changes import removal
from ..model.hosts import block_changes
from ..system import files
from . import config_files, devices, hosts_file, keys
from .boot.managers import Manager
from .outcome import Outcome, sessions_cut_off
from .ownership import not_ours


def remove(interface: str, boot: Manager | None, test: bool) -> Outcome:
    """Take an interface of ours down. Its key file is kept under another name. Raises NodeError or OSError."""
    if interface not in config_files.managed():
        if os.path.exists(config_files.config_file(interface)):
            raise NodeError(not_ours(interface))
        return Outcome((), f"{interface} is not set up")
    names = hosts_file.written(config_files.managed()[interface])
    changes = removal(interface) + block_changes(names, [])
    if test:
        disturbs = disruption.disturbed(changes, (), devices.read(interface), int(time.time()))
        comment = f"{interface} would be removed{sessions_cut_off(disturbs)}"
        return Outcome(changes, comment, pending=True, disturbs=disturbs)
    aside = _tear_down(interface, boot)
    return Outcome(changes, f"{interface} was removed" + (f"; its key is kept in {aside}" if aside else ""))


def _tear_down(interface: str, boot: Manager | None) -> str | None:
    """The configuration file goes last: as long as it is there, the next run knows that there is something to do."""
    devices.delete(interface)
    if boot:
        boot.disable(interface)
    aside = keys.put_aside(config_files.key_file(interface))
    for file in (config_files.next_key_file, config_files.previous_key_file, config_files.config_file):
        files.remove(file(interface))
    return aside


def shut_down(interface: str, boot: Manager | None) -> None:
    """Take an interface of ours down, now and at boot, and keep its key in place."""
    if interface in config_files.managed():
        devices.delete(interface)
        if boot:
            boot.disable(interface)
        files.remove(config_files.config_file(interface))
