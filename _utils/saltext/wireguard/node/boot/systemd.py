"""Interfaces at boot by systemd's ``wg-quick@`` units."""

from __future__ import annotations

from ...errors import NodeError
from ...model.changes import Change, Changes, Kind
from .managers import Call, Setup, not_enabled


class Systemd:
    """``wg-quick@<interface>``. ``call``: calls a function of Salt, such as ``service.enable``."""

    def __init__(self, call: Call) -> None:
        self._call = call

    def service(self, interface: str) -> str:
        """The name of the interface's service."""
        return f"wg-quick@{interface}"

    def is_enabled(self, interface: str) -> bool:
        """Whether the interface comes up at boot."""
        return bool(self._call("service.enabled", self.service(interface)))

    def missing(self, setup: Setup) -> Changes:
        """The service, unless it is enabled."""
        if self.is_enabled(setup.view.interface):
            return ()
        return (Change(Kind.SERVICE, self.service(setup.view.interface), "disabled", "enabled"),)

    def enable(self, setup: Setup) -> None:
        """Raises NodeError where that fails."""
        service = self.service(setup.view.interface)
        if not self._call("service.enable", service):
            raise NodeError(not_enabled(service, setup.view.interface))

    def left(self, interface: str) -> Changes:
        """The service, if it is enabled."""
        if not self.is_enabled(interface):
            return ()
        return (Change(Kind.SERVICE, self.service(interface), "enabled", "disabled"),)

    def disable(self, interface: str) -> None:
        """Also one that is not enabled."""
        self._call("service.disable", self.service(interface))
