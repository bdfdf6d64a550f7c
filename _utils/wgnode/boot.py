"""Which interfaces come up when the machine boots: with wg-quick, by systemd or by OpenRC. Nothing is started here."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Mapping
from typing import Any

try:
    from saltext.wireguard.utils.wgmesh.errors import NodeError
except ImportError:  # synced from _utils/
    from wgmesh.errors import NodeError

from .commands import run

INIT_DIR = "/etc/init.d"
RUNLEVEL_DIR = "/etc/runlevels"
OPENRC_STATE = "/run/openrc"


class Systemd:
    """``wg-quick@<interface>``. ``functions``: Salt's ``service.enabled``, ``service.enable``, ``service.disable``."""

    def __init__(self, functions: Mapping[str, Callable[..., Any]]) -> None:
        self._functions = functions

    def service(self, interface: str) -> str:
        """The name of the interface's service."""
        return f"wg-quick@{interface}"

    def is_enabled(self, interface: str) -> bool:
        """Whether the interface comes up at boot."""
        return bool(self._functions["service.enabled"](self.service(interface)))

    def enable(self, interface: str) -> None:
        """Raises NodeError where that fails."""
        if not self._functions["service.enable"](self.service(interface)):
            raise NodeError(_not_enabled(self.service(interface), interface))

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

    def enable(self, interface: str) -> None:
        """Raises NodeError where that fails."""
        service = self.service(interface)
        script = os.path.join(INIT_DIR, "wg-quick")
        if not os.path.exists(script):
            why = f"there is no {script}; Alpine has it in the package wireguard-tools-openrc"
            raise NodeError(f"{_not_enabled(service, interface)} ({why})")
        try:
            if not os.path.lexists(self._link(interface)):
                os.symlink("wg-quick", self._link(interface))
            run(["rc-update", "add", service, "default"])
        except (NodeError, OSError) as exc:
            raise NodeError(f"{_not_enabled(service, interface)} ({exc})") from exc

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


Manager = Systemd | OpenRC


def has_openrc() -> bool:
    """Whether OpenRC booted this machine."""
    return os.path.exists(OPENRC_STATE)


def _not_enabled(service: str, interface: str) -> str:
    return f"{service} could not be enabled: {interface} works, but is not there after a boot"
