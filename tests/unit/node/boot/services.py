"""Services that are made up: which are enabled and active, and what Salt's functions and systemctl do to them."""

import salt.utils.systemd

from saltext.wireguard.node.boot import systemd


class Services:
    """
    ``enabled``: names of services. ``states``: name -> ActiveState. ``calls``: what was asked of Salt. ``works``:
    whether a service can be enabled.

    A job of systemctl must find its drop-in: without that, wg-quick would change the device.
    """

    def __init__(self, host, monkeypatch, works=True):
        self._units = host.disk / "units"
        self._works = works
        self.enabled = set()
        self.states = {}
        self.calls = []
        monkeypatch.setattr(systemd, "UNITS_DIR", str(self._units))
        monkeypatch.setattr(salt.utils.systemd, "booted", lambda context=None: True)
        host.machine.programs.add("systemctl")
        host.machine.handlers["systemctl"] = self._systemctl
        host.functions["service.enabled"] = lambda name: name in self.enabled
        host.functions["service.enable"] = self._enable
        host.functions["service.disable"] = self._disable
        host.functions["service.show"] = lambda name: {"ActiveState": self.states.get(name, "inactive")}

    @property
    def active(self):
        return {name for name, state in self.states.items() if state == "active"}

    def _enable(self, name):
        self.calls.append(("enable", name))
        if self._works:
            self.enabled.add(name)
        return self._works

    def _disable(self, name):
        self.calls.append(("disable", name))
        self.enabled.discard(name)
        return True

    def _systemctl(self, words):
        if words[1] == "daemon-reload":
            return
        job, unit = words[1], words[-1]
        assert (self._units / f"{unit}.d" / "saltext-wireguard.conf").read_text().startswith("[Service]\n")
        self.states[unit.removesuffix(".service")] = "active" if job == "start" else "inactive"

    def drop_ins(self):
        """What is left of them."""
        return list(self._units.rglob("*.conf")) if self._units.exists() else []
