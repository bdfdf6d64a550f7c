"""Every error that this project raises on purpose. Each message is complete: what, where, and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


class WireguardError(Exception):
    """Base of all errors below; Salt modules translate it once into Salt's own exception."""


@dataclass(frozen=True, order=True)
class Problem:
    """One thing that is wrong with a mesh file. ``line`` counts from 1; 0 means the file as a whole."""

    file: str
    line: int
    message: str

    @property
    def where(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file

    def __str__(self) -> str:
        return f"{self.where}: {self.message}"


class MeshError(WireguardError):
    """Raised when a mesh file cannot be read, is invalid, or contradicts the registry. Carries *all* problems found."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(set(problems)))
        super().__init__("\n".join(str(problem) for problem in self.problems))


class PillarError(WireguardError):
    """Raised for a minion whose views the master cannot compute. The details are for readers on the master."""


class LossError(WireguardError):
    """
    Raised when most of a network's nodes would leave it at once, or nodes would lose their addresses, and no operator
    has confirmed that.
    """


class ConfigError(WireguardError):
    """Raised when Salt's configuration lacks a necessary setting, or has an impossible one."""


class KeyFormatError(WireguardError):
    """Raised when a text is not a usable WireGuard public key."""


class RefusedError(WireguardError):
    """
    Raised when the master refuses a node's statement.

    ``kind``: a word for the reason, by which refusals are counted.
    """

    def __init__(self, message: str, kind: str = "malformed") -> None:
        super().__init__(message)
        self.kind = kind


class PoolExhaustedError(RefusedError):
    """Raised when a network's subnets have no free address left for a node."""


class RegistryError(WireguardError):
    """Raised when the registry file cannot be opened, is damaged, or was written by a newer version."""


class ViewError(WireguardError):
    """Raised when the data of a view is malformed."""


class DeviceError(WireguardError):
    """Raised when the output of ``wg`` or ``ip`` is malformed."""


class NodeError(WireguardError):
    """Raised on a node when a command fails, or when something is wrong with a file, a key or an interface."""


class NamesError(NodeError):
    """Raised on a node whose hosts file cannot be given the names of a network; its tunnels work all the same."""


class GuardError(NodeError):
    """Raised on a node before it changes anything, if the change needs force."""


class RolledBackError(NodeError):
    """Raised on a node that rolled a change back because it did not work, and until it tries the same change again."""


class OutdatedError(NodeError):
    """Raised on a node that is to apply something older than what it has. Nothing was changed."""
