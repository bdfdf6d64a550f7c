"""
Which interfaces come up when the machine boots: by systemd, with wg-quick or with systemd-networkd.

Nothing is started, stopped or reloaded here: what runs is the business of ``converge``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from ...model.changes import Changes
from ...model.view import View

# Salt's functions by name, and what calls one of them.
Functions = Mapping[str, Callable[..., Any]]
Call = Callable[..., Any]


@dataclass(frozen=True)
class Setup:
    """What is to come up at boot. ``endpoints``: those of the view to ``ip:port``, as far as that is known."""

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


class ReplaceableManager(Manager, Protocol):
    """A manager that another one may have followed."""

    def left(self, interface: str) -> Changes:
        """What ``disable`` would change."""


@dataclass(frozen=True)
class Managers:
    """Several managers, each for something else."""

    managers: tuple[Manager, ...]

    def missing(self, setup: Setup) -> Changes:
        """What any of them has to change."""
        return tuple(change for each in self.managers for change in each.missing(setup))

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
class Replacement:
    """A manager, on a machine where it may have been the other one until now."""

    manager: Manager
    other: ReplaceableManager

    def missing(self, setup: Setup) -> Changes:
        """What either has to change."""
        return self.manager.missing(setup) + self.other.left(setup.view.interface)

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


def not_enabled(service: str, interface: str) -> str:
    """What to say of a service that could not be enabled."""
    return f"{service} could not be enabled: {interface} works now, but will not come up at boot"
