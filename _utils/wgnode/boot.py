"""
Which interfaces come up when the machine boots: by wg-quick, with systemd or OpenRC, or by systemd-networkd.

Nothing is started, stopped or reloaded here: what runs is the business of ``converge``.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

try:
    from saltext.wireguard.utils.wgmesh.diff import Facts
    from saltext.wireguard.utils.wgmesh.errors import NodeError
    from saltext.wireguard.utils.wgmesh.view import View
except ImportError:  # synced from _utils/
    from wgmesh.diff import Facts
    from wgmesh.errors import NodeError
    from wgmesh.view import View

from .commands import run

INIT_DIR = "/etc/init.d"
RUNLEVEL_DIR = "/etc/runlevels"
OPENRC_STATE = "/run/openrc"

Changes = dict[str, dict[str, Facts]]
Functions = Mapping[str, Callable[..., Any]]


@dataclass(frozen=True)
class Setup:
    """What is to come up at boot. ``endpoints``: those of the view that can be resolved now, as ``ip:port``."""

    view: View
    key_file: str
    endpoints: Mapping[str, str]


class Manager(Protocol):
    """What brings interfaces up at boot, or has their machines' names."""

    def missing(self, setup: Setup) -> Changes:
        """What ``enable`` would change; nothing where all is as it should be. Raises NodeError."""

    def enable(self, setup: Setup) -> None:
        """Let the interface come up at boot. Raises NodeError where that fails."""

    def disable(self, interface: str) -> None:
        """Let the interface not come up at boot; it may be that it does not. Raises NodeError."""


class Leavable(Manager, Protocol):
    """A manager that another one may have followed."""

    def left(self, interface: str) -> Changes:
        """What ``disable`` would change."""


@dataclass(frozen=True)
class Together:
    """Several managers, each for something else."""

    managers: tuple[Manager, ...]

    def missing(self, setup: Setup) -> Changes:
        """What any of them has to change."""
        return {subject: change for each in self.managers for subject, change in each.missing(setup).items()}

    def enable(self, setup: Setup) -> None:
        """In order, those that have something to change."""
        for each in self.managers:
            if each.missing(setup):
                each.enable(setup)

    def disable(self, interface: str) -> None:
        """In order."""
        for each in self.managers:
            each.disable(interface)


@dataclass(frozen=True)
class InPlaceOf:
    """A manager, on a machine where it may have been the other one until now."""

    manager: Manager
    other: Leavable

    def missing(self, setup: Setup) -> Changes:
        """What either has to change."""
        return {**self.manager.missing(setup), **self.other.left(setup.view.interface)}

    def enable(self, setup: Setup) -> None:
        """First the one, then not the other: a power cut in between does not leave the interface to nobody."""
        if self.manager.missing(setup):
            self.manager.enable(setup)
        if self.other.left(setup.view.interface):
            self.other.disable(setup.view.interface)

    def disable(self, interface: str) -> None:
        """Both."""
        self.manager.disable(interface)
        self.other.disable(interface)


class Systemd:
    """``wg-quick@<interface>``. ``functions``: Salt's ``service.enabled``, ``service.enable``, ``service.disable``."""

    def __init__(self, functions: Functions) -> None:
        self._functions = functions

    def service(self, interface: str) -> str:
        """The name of the interface's service."""
        return f"wg-quick@{interface}"

    def is_enabled(self, interface: str) -> bool:
        """Whether the interface comes up at boot."""
        return bool(self._functions["service.enabled"](self.service(interface)))

    def missing(self, setup: Setup) -> Changes:
        """The service, unless it is enabled."""
        return _missing_service(self, setup.view.interface)

    def enable(self, setup: Setup) -> None:
        """Raises NodeError where that fails."""
        service = self.service(setup.view.interface)
        if not self._functions["service.enable"](service):
            raise NodeError(not_enabled(service, setup.view.interface))

    def left(self, interface: str) -> Changes:
        """The service, if it is enabled."""
        return {self.service(interface): {"old": "enabled", "new": "disabled"}} if self.is_enabled(interface) else {}

    def disable(self, interface: str) -> None:
        """Also one that is not enabled."""
        self._functions["service.disable"](self.service(interface))


class OpenRC:
    """
    ``wg-quick.<interface>``: a link to the init script ``wg-quick``, which takes the interface from its own name.

    In Alpine, the script is in the package wireguard-tools-openrc. The runlevels are changed by ``rc-update`` itself:
    Salt 3008 has no service functions for OpenRC, unless an extension brings them.
    """

    def service(self, interface: str) -> str:
        """The name of the interface's service."""
        return f"wg-quick.{interface}"

    def is_enabled(self, interface: str) -> bool:
        """Whether the interface comes up at boot."""
        return bool(self._runlevels(interface)) and os.path.exists(self._link(interface))

    def missing(self, setup: Setup) -> Changes:
        """The service, unless it is enabled."""
        return _missing_service(self, setup.view.interface)

    def enable(self, setup: Setup) -> None:
        """Raises NodeError where that fails."""
        interface = setup.view.interface
        service = self.service(interface)
        script = os.path.join(INIT_DIR, "wg-quick")
        if not os.path.exists(script):
            why = f"there is no {script}; Alpine has it in the package wireguard-tools-openrc"
            raise NodeError(f"{not_enabled(service, interface)} ({why})")
        try:
            if not os.path.lexists(self._link(interface)):
                os.symlink("wg-quick", self._link(interface))
            run(["rc-update", "add", service, "default"])
        except (NodeError, OSError) as exc:
            raise NodeError(f"{not_enabled(service, interface)} ({exc})") from exc

    def disable(self, interface: str) -> None:
        """Also one that is not enabled."""
        runlevels = self._runlevels(interface)
        if runlevels:
            run(["rc-update", "delete", self.service(interface), *runlevels])
        if os.path.islink(self._link(interface)):
            os.unlink(self._link(interface))

    def _link(self, interface: str) -> str:
        return os.path.join(INIT_DIR, self.service(interface))

    def _runlevels(self, interface: str) -> list[str]:
        """Those that start the interface."""
        found = glob.glob(os.path.join(RUNLEVEL_DIR, "*", glob.escape(self.service(interface))))
        return sorted(os.path.basename(os.path.dirname(path)) for path in found)


def has_openrc() -> bool:
    """Whether OpenRC booted this machine."""
    return os.path.exists(OPENRC_STATE)


def not_enabled(service: str, interface: str) -> str:
    """What to say of a service that could not be enabled."""
    return f"{service} could not be enabled: {interface} works, but is not there after a boot"


def _missing_service(manager: Systemd | OpenRC, interface: str) -> Changes:
    if manager.is_enabled(interface):
        return {}
    return {manager.service(interface): {"old": "disabled", "new": "enabled"}}
