"""A stand-in for systemd, which cannot run in a test."""

import salt.utils.systemd


class Services:
    """Which services are enabled, and what was asked of them."""

    def __init__(self, host, monkeypatch, works=True):
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
