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
    """Raised for a minion whose master cannot say what it must have. The details are for readers on the master."""


class LossError(WireguardError):
    """
    Raised when most of a network's nodes would leave it at once, or nodes would lose their addresses, and no operator
    has said that this is meant.
    """


class ConfigError(WireguardError):
    """Raised when Salt's configuration lacks something that is needed, or has something that cannot work."""


class KeyFormatError(WireguardError):
    """Raised when a text is not a usable WireGuard public key."""


class RefusedError(WireguardError):
    """
    Raised when the master does not believe, or cannot accept, what a node says of itself.

    ``kind`` is a word for the reason: refusals are counted by it.
    """

    def __init__(self, message: str, kind: str = "malformed") -> None:
        super().__init__(message)
        self.kind = kind


class PoolExhaustedError(RefusedError):
    """Raised when a network's subnets have no free address left for a node."""


class RegistryError(WireguardError):
    """Raised when the registry file cannot be opened, is damaged, or was written by a newer version."""


class ViewError(WireguardError):
    """Raised when data that should describe one node's interface and peers is malformed."""


class DeviceError(WireguardError):
    """Raised when the output of ``wg`` or ``ip`` is not what it should be."""


class NodeError(WireguardError):
    """Raised on a node when a command fails, or when a file, a key or an interface there is not what it should be."""


class GuardError(NodeError):
    """Raised on a node before it changes anything, where nothing but force makes it do what it is asked to."""


class RolledBackError(NodeError):
    """Raised on a node that took a change back, as it did not work; also while it does not try the same again yet."""


class OutdatedError(NodeError):
    """Raised on a node that is to apply something older than what it has; nothing was changed."""
