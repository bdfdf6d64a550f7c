"""
A network whose interface gets another name: the same key, and never two interfaces for long.

The old device is removed just before the new one is made, as both use one port. Until the new one works, the
configuration file of the old one stays. A rollback and a boot lead back to it. Afterwards the old one goes: what boots
it, then its keys, and last its configuration file, so that the next run finishes whatever a power cut left.

Callers hold the locks of both interfaces.
"""

from __future__ import annotations

import os

from ..model.view import View
from ..system import files
from . import config_files, devices, keys
from .boot.managers import Manager

_OTHER_KEYS = (config_files.next_key_file, config_files.previous_key_file)


def former(view: View) -> str | None:
    """The interface that the view's network has had so far, if it is another one."""
    if view.network is None:
        return None
    found = (each for each, network in config_files.managed().items() if network == view.network)
    return next((each for each in found if each != view.interface), None)


def key_file(view: View) -> str:
    """Where the private key of the view's interface is: until the interface is there, that of the former one."""
    before = former(view)
    is_there = before is None or os.path.exists(config_files.config_file(view.interface))
    return config_files.key_file(view.interface if is_there else str(before))


def take_key(view: View) -> str:
    """Give the new interface the key of the former one. An old key of this name is kept under another one."""
    source, target = key_file(view), config_files.key_file(view.interface)
    if source != target and files.read(source) != files.read(target):
        keys.put_aside(target)
        files.add(target, files.read(source))
    return target


def is_left_over(interface: str) -> bool:
    """Whether an interface of ours has no device any more, and another one of its network has."""
    managed = config_files.managed()
    others = [each for each, network in managed.items() if network == managed.get(interface) and each != interface]
    return not devices.exists(interface) and any(map(devices.exists, others))


def finish(interface: str, before: str, boot: Manager | None) -> None:
    """The new interface works: remove what is left of the former one."""
    devices.delete(before)
    if boot:
        boot.disable(before)
    for place in _OTHER_KEYS:
        if os.path.exists(place(before)) and not os.path.exists(place(interface)):
            files.replace(place(interface), files.read(place(before)))
    for place in (config_files.key_file, *_OTHER_KEYS, config_files.config_file):
        files.remove(place(before))
