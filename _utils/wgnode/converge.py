"""
From a view to a device, a configuration file, and a service for boot; and back to nothing.

Whoever calls a function that changes something holds the interface's lock.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

try:
    from saltext.wireguard.utils.wgmesh import diff, impact, render, rotation
    from saltext.wireguard.utils.wgmesh.device import Device
    from saltext.wireguard.utils.wgmesh.diff import Applied, Operation
    from saltext.wireguard.utils.wgmesh.errors import NodeError
    from saltext.wireguard.utils.wgmesh.view import View
except ImportError:  # synced from _utils/
    from wgmesh import diff, impact, render, rotation
    from wgmesh.device import Device
    from wgmesh.diff import Applied, Operation
    from wgmesh.errors import NodeError
    from wgmesh.view import View

from . import devices, endpoints, files, keys
from .boot import Changes, Manager, Setup
from .commands import run


@dataclass(frozen=True)
class Outcome:
    """
    What was changed, or ``pending``: would be. ``comment`` says it in a sentence.

    ``disturbs``: of what would be changed, subject to the number of live sessions that it would cut off.
    """

    changes: Changes
    comment: str
    pending: bool = False
    disturbs: Mapping[str, int] = field(default_factory=dict)


def converge(view: View, key_file: str, boot: Manager | None, test: bool) -> Outcome:
    """
    Make the machine what the view says, or only say what would change. Raises WireguardError or OSError.

    :param key_file: path of the private key; without a key, this can only be a test run
    :param boot: what brings interfaces up at boot, if we may use it
    """
    refuse_foreign(view, key_file)
    public_key = keys.public_key(key_file)
    if public_key is None:
        changes: Changes = {"device": {"old": None, "new": view.interface}}
        return Outcome(changes, f"{view.interface} would be set up with a new key", pending=True)
    way = Way(view, key_file, public_key, boot)
    changes = way.changes()
    if not test:
        way.go()
    if not changes:
        return Outcome({}, f"{view.interface} is as it should be")
    if not test:
        return Outcome(changes, f"{view.interface} was changed: {_summary(changes)}")
    disturbs = way.disturbs()
    comment = f"{view.interface} would be changed: {_summary(changes)}{_cut_off(disturbs)}"
    return Outcome(changes, comment, pending=True, disturbs=disturbs)


def _cut_off(disturbs: Mapping[str, int]) -> str:
    return f"; live sessions cut off: {impact.total(disturbs)}" if disturbs else ""


def difference(view: View) -> dict[str, object]:
    """What ``converge`` would do to the device, as data: ``commands`` and ``changes``, ``comment`` if not yet."""
    key_file = files.key_file(view.interface)
    public_key = keys.public_key(key_file)
    if public_key is None or view.public_key != public_key:
        return {"commands": [], "changes": {}, "comment": "not registered yet; applying registers first"}
    way = Way(view, key_file, public_key)
    return {"commands": [" ".join(command) for command in way.commands()], "changes": way.device_changes()}


class Way:
    """
    All that lies between the machine as it is and the view.

    Everything is read once, when this is made: names are not looked up twice, and a handshake in the middle does not
    change which key of a rotating peer gets its addresses.
    """

    def __init__(self, view: View, key_file: str, public_key: str, boot: Manager | None = None) -> None:
        device = devices.read(view.interface)
        self._device = device
        self._view = rotation.expand(view, device)
        self._interface = view.interface
        self._key_file = key_file
        self._public_key = public_key
        self._boot = boot
        self._endpoints = endpoints.resolve(self._view, device)
        self._operations = self._to(device, files.applied(view.interface))

    def commands(self) -> list[tuple[str, ...]]:
        """What is to be run, in order."""
        return diff.commands(self._operations, self._interface)

    def device_changes(self) -> Changes:
        """What differs on the device alone."""
        return diff.changes(self._operations)

    def disturbs(self) -> dict[str, int]:
        """Of what differs, subject to the number of live sessions that putting it right cuts off."""
        return impact.disturbed(self.device_changes(), self._view.peers, self._device, int(time.time()))

    def changes(self) -> Changes:
        """What differs altogether."""
        changes = self.device_changes()
        if not self._is_written():
            changes[files.config_file(self._interface)] = {"old": None, "new": "written"}
        changes |= self._missing_at_boot
        if self._has_outdated_key():
            changes[files.previous_key_file(self._interface)] = {"old": "kept for going back", "new": None}
        return changes

    def go(self) -> None:
        """Device, then file, then service."""
        if self._operations:
            self._execute()
            self._verify()
        if not self._is_written():
            files.replace(files.config_file(self._interface), self._config)
        if self._has_outdated_key():
            files.remove(files.previous_key_file(self._interface))
        if self._boot and self._missing_at_boot:
            self._boot.enable(self._setup)

    def _execute(self) -> None:
        for command in self.commands():
            if command[:3] == ("ip", "link", "add"):
                devices.create(self._interface, command)
            else:
                run(command)

    def _verify(self) -> None:
        """Read the device again: what was not done is an error, whatever the commands said."""
        # By the same answers of the resolver, and with the view's endpoints as applied: a live peer may have roamed.
        set_now = {peer.public_key: peer.endpoint for peer in self._view.peers if peer.endpoint}
        applied = dataclasses.replace(files.applied(self._interface), endpoints=set_now)
        left = diff.changes(self._to(devices.read(self._interface), applied))
        if left:
            raise NodeError(
                f"{self._interface} is still not what it should be after applying: {_summary(left)}."
                " Does something else on this machine change it?"
            )

    def _to(self, device: Device | None, applied: Applied) -> tuple[Operation, ...]:
        return diff.diff(
            self._view,
            device,
            key_file=self._key_file,
            public_key=self._public_key,
            endpoints=self._endpoints,
            applied=applied,
            now=int(time.time()),
            forwarded=devices.forwarded(),
        )

    @functools.cached_property
    def _config(self) -> str:
        return render.render(self._view).replace(render.PRIVATE_KEY, files.read(self._key_file).strip())

    def _is_written(self) -> bool:
        return files.is_written(files.config_file(self._interface), self._config)

    @property
    def _setup(self) -> Setup:
        return Setup(self._view, self._key_file, self._endpoints)

    @functools.cached_property
    def _missing_at_boot(self) -> Changes:
        return self._boot.missing(self._setup) if self._boot else {}

    def _has_outdated_key(self) -> bool:
        """The key from before a rotation, once the pillar shows that the master has taken in the new one."""
        known = self._view.public_key == self._public_key
        return known and os.path.exists(files.previous_key_file(self._interface))


def _summary(changes: Mapping[str, object]) -> str:
    subjects = [subject if len(subject) < 60 else subject[:57] + "..." for subject in sorted(changes)]
    return ", ".join(subjects[:5]) + (f" and {len(subjects) - 5} more" if len(subjects) > 5 else "")


# -- what is not ours


def refuse_foreign(view: View, key_file: str) -> None:
    """Raise NodeError rather than take over an interface that somebody else set up."""
    config = files.read(files.config_file(view.interface))
    if config and not render.is_managed(config):
        raise NodeError(_not_ours(view.interface))
    owner = render.managed_network(config)
    if config and owner != view.network:
        raise NodeError(
            f"{view.interface} was set up for {_purpose(owner)} on this minion, and not for {_purpose(view.network)}"
        )
    device = None if config else devices.read(view.interface)
    if device and device.public_key not in (None, keys.public_key(key_file)):
        raise NodeError(
            f"a device {view.interface} exists that was not set up from here, and it is left alone. Take it down, or"
            " choose another `interface:` in the mesh file"
        )


def _purpose(network: str | None) -> str:
    return f"the network {network}" if network else "explicit arguments of wireguard.present"


def _not_ours(interface: str) -> str:
    return (
        f"{files.config_file(interface)} was not written by these modules, and it is left alone. Move it away (the"
        f" device too: `wg-quick down {interface}`), or choose another `interface:`"
    )


# -- back to nothing


def remove(interface: str, boot: Manager | None, test: bool) -> Outcome:
    """Take an interface of ours down. Its key file is kept under another name. Raises NodeError or OSError."""
    if interface not in files.managed():
        if os.path.exists(files.config_file(interface)):
            raise NodeError(_not_ours(interface))
        return Outcome({}, f"{interface} is not set up")
    changes = diff.removed(interface)
    if test:
        disturbs = impact.disturbed(changes, (), devices.read(interface), int(time.time()))
        comment = f"{interface} would be removed{_cut_off(disturbs)}"
        return Outcome(changes, comment, pending=True, disturbs=disturbs)
    aside = _tear_down(interface, boot)
    return Outcome(changes, f"{interface} was removed" + (f"; its key is kept in {aside}" if aside else ""))


def _tear_down(interface: str, boot: Manager | None) -> str | None:
    """The configuration file goes last: as long as it is there, the next run knows that there is something to do."""
    if boot:
        boot.disable(interface)
    devices.delete(interface)
    aside = _put_key_aside(interface)
    for file in (files.next_key_file, files.previous_key_file, files.config_file):
        files.remove(file(interface))
    return aside


def stand_down(interface: str, boot: Manager | None) -> None:
    """Take an interface of ours down, now and at boot, and keep its key in place."""
    if interface in files.managed():
        if boot:
            boot.disable(interface)
        devices.delete(interface)
        files.remove(files.config_file(interface))


def _put_key_aside(interface: str) -> str | None:
    key_file = files.key_file(interface)
    if not os.path.exists(key_file):
        return None
    aside = f"{key_file}.removed-{time.strftime('%Y%m%d-%H%M%S')}"
    files.rename(key_file, aside)
    return aside
