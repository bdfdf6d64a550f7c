"""
Managers: what brings an interface up at boot, or otherwise follows one that works.

They start, stop and reload nothing: what runs now is left to ``converge``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from ...errors import NodeError
from ...model.changes import Changes
from ...model.view import View

# Salt's functions by name, and a function that calls one of them.
Functions = Mapping[str, Callable[..., Any]]
Call = Callable[..., Any]


@dataclass(frozen=True)
class Setup:
    """What must come up at boot. ``endpoints``: endpoint in the view to ``ip:port``, for those that are known."""

    view: View
    key_file: str
    endpoints: Mapping[str, str]


class Manager(Protocol):
    """Brings interfaces up at boot, or keeps the host names of their networks."""

    def missing(self, setup: Setup) -> Changes:
        """What ``enable`` would change; empty if everything is right. Raises NodeError."""

    def enable(self, setup: Setup) -> None:
        """Let the interface come up at boot. Raises NodeError where that fails."""

    def disable(self, interface: str) -> None:
        """Keep the interface from coming up at boot, whether or not it would. Raises NodeError."""


class ReplaceableManager(Manager, Protocol):
    """A manager that another one can replace."""

    def left(self, interface: str) -> Changes:
        """What ``disable`` would change."""


@dataclass(frozen=True)
class Managers:
    """Several managers, each for something else."""

    managers: tuple[Manager, ...]

    def missing(self, setup: Setup) -> Changes:
        """What they would change together."""
        return tuple(change for each in self.managers for change in each.missing(setup))

    def enable(self, setup: Setup) -> None:
        """Each that has something to change, in order. One that fails does not keep the others from it."""
        failures = []
        for each in self.managers:
            try:
                if each.missing(setup):
                    each.enable(setup)
            except NodeError as exc:
                failures.append(exc)
        if failures:
            raise failures[0]

    def disable(self, interface: str) -> None:
        """In order."""
        for each in self.managers:
            each.disable(interface)


@dataclass(frozen=True)
class Replacement:
    """A manager that may have to replace the other one."""

    manager: Manager
    other: ReplaceableManager

    def missing(self, setup: Setup) -> Changes:
        """What both would change together."""
        return self.manager.missing(setup) + self.other.left(setup.view.interface)

    def enable(self, setup: Setup) -> None:
        """Enable the one before disabling the other, so that after a power cut in between the interface comes up."""
        if self.manager.missing(setup):
            self.manager.enable(setup)
        if self.other.left(setup.view.interface):
            self.other.disable(setup.view.interface)

    def disable(self, interface: str) -> None:
        """Both."""
        self.manager.disable(interface)
        self.other.disable(interface)


def not_enabled(service: str, interface: str) -> str:
    """The message for a service that could not be enabled."""
    return f"{service} could not be enabled: {interface} works now, but will not come up at boot"
