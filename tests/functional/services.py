"""A stand-in for systemd, which cannot run in a test."""

import salt.utils.systemd


class Services:
    """
    Which services are enabled, and what was asked of them; ``active``: by jobs of systemctl, while which the unit had
    a drop-in.
    """

    def __init__(self, host, monkeypatch, works=True):
        self._jobs = host.disk / "systemctl-jobs"
        units = host.disk / "units"
        host.put_program("systemctl", f'case $1 in start|stop) echo "$1" $(ls {units}) >>{self._jobs}; esac')
        monkeypatch.setattr(host.library("node.boot.systemd"), "UNITS_DIR", str(units))
        monkeypatch.setattr(salt.utils.systemd, "booted", lambda context=None: True)
        self.enabled = set()
        self.calls = []

        def enable(name):
            self.calls.append(("enable", name))
            if works:
                self.enabled.add(name)
            return works

        def disable(name):
            self.calls.append(("disable", name))
            self.enabled.discard(name)
            return True

        host.functions["service.enabled"] = lambda name, **_: name in self.enabled
        host.functions["service.enable"] = enable
        host.functions["service.disable"] = disable
        host.functions["service.show"] = lambda name: {"ActiveState": "active" if name in self.active else "inactive"}

    @property
    def active(self):
        """Of the jobs, the last one decides."""
        lines = self._jobs.read_text().splitlines() if self._jobs.exists() else []
        last = {drop_in.removesuffix(".service.d"): job for job, drop_in in map(str.split, lines)}
        return {name for name, job in last.items() if job == "start"}
