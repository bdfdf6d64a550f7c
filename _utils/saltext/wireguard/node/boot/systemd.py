"""
Interfaces at boot by systemd's ``wg-quick@`` units.

The unit of a working interface is active, as after a boot. Otherwise ``systemctl start`` would fail because the device
exists, and ``stop`` and ``restart`` would not take it down. Making a unit active or inactive must not change the
device, but wg-quick would. So for that one job, a drop-in in ``/run`` makes the unit do nothing. It is removed at once:
at boot and by hand, the unit is the distribution's own.
"""

from __future__ import annotations

import contextlib
import os

from ...errors import NodeError
from ...model.changes import Change, Changes, Kind
from ...system import files
from ...system.commands import run
from .managers import Call, Setup, not_enabled

UNITS_DIR = "/run/systemd/system"

# State of the unit -> the job, and the settings with which the job does nothing. If a kill leaves the drop-in of a
# start behind, that does no harm: it still starts a device that does not exist. A stop would end processes of the unit,
# such as wireguard-go, and a wg-quick that is terminated takes the device down unless it is killed.
_START = ("start", "ExecStart=\nExecStart=/bin/sh -c 'test -e /sys/class/net/%i || exec wg-quick up %i'\n")
_JOBS = {
    "inactive": _START,
    "failed": _START,
    "active": ("stop", "ExecStop=\nKillMode=process\n"),
    "activating": ("stop", "ExecStop=\nKillSignal=SIGKILL\nSuccessExitStatus=SIGKILL\n"),
}


class Systemd:
    """
    ``wg-quick@<interface>``. ``call``: calls a function of Salt, such as ``service.enable``. ``template``: the name of
    the unit, where it is another one.
    """

    def __init__(self, call: Call, template: str = "wg-quick") -> None:
        self._call = call
        self._template = template

    def service(self, interface: str) -> str:
        """The name of the interface's service."""
        return f"{self._template}@{interface}"

    def is_enabled(self, interface: str) -> bool:
        """Whether the interface comes up at boot."""
        return bool(self._call("service.enabled", self.service(interface)))

    def missing(self, setup: Setup) -> Changes:
        """The service, unless it is enabled and active."""
        service = self.service(setup.view.interface)
        if not self.is_enabled(setup.view.interface):
            return (Change(Kind.SERVICE, service, "disabled", "enabled"),)
        state = self._state(service)
        return (Change(Kind.SERVICE, service, state, "active"),) if _JOBS.get(state) == _START else ()

    def enable(self, setup: Setup) -> None:
        """Raises NodeError if that fails."""
        service = self.service(setup.view.interface)
        if not self._call("service.enable", service):
            raise NodeError(not_enabled(service, setup.view.interface))
        self._without_effect("start", service)

    def left(self, interface: str) -> Changes:
        """The service, if it is enabled."""
        if not self.is_enabled(interface):
            return ()
        return (Change(Kind.SERVICE, self.service(interface), "enabled", "disabled"),)

    def disable(self, interface: str) -> None:
        """Even if it is not enabled. Ends a start that hangs, for example on an unresolvable name. Raises NodeError."""
        service = self.service(interface)
        self._call("service.disable", service)
        self._without_effect("stop", service)

    def _state(self, service: str) -> str:
        """The unit's ``ActiveState``. It is ``activating`` while wg-quick works on the interface."""
        return str(self._call("service.show", service).get("ActiveState"))

    def _without_effect(self, job: str, service: str) -> None:
        """Start or stop the unit if necessary, and leave the device alone. Raises NodeError."""
        possible, setting = _JOBS.get(self._state(service), ("", ""))
        if possible != job:
            return
        folder = os.path.join(UNITS_DIR, f"{service}.service.d")
        drop_in = os.path.join(folder, "saltext-wireguard.conf")
        os.makedirs(folder, exist_ok=True)
        files.replace(drop_in, f"[Service]\n{setting}", 0o644)
        try:
            run(("systemctl", "daemon-reload"))
            # Without waiting for network-online.target, which may take minutes.
            run(("systemctl", job, "--job-mode=ignore-dependencies", f"{service}.service"))
        finally:
            files.remove(drop_in)
            with contextlib.suppress(OSError):  # there are other drop-ins
                os.rmdir(folder)
            run(("systemctl", "daemon-reload"))
