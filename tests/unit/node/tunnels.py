"""What is at the other ends of a made-up machine's tunnels, on a clock that waiting moves on and nothing else."""

import sys
import time
from types import SimpleNamespace

from saltext.wireguard.node import reach, trial


class Tunnels:
    """
    ``answering``: the public keys of the peers that an echo request reaches. ``master``: whether the master accepts
    connections. ``watchdogs``: the ids of the trials whose watchdogs run.
    """

    def __init__(self, host, monkeypatch):
        self.host = host
        self.answering = set()
        self.master = True
        self.watchdogs = []
        self.now = float(int(time.time()))
        clock = SimpleNamespace(**vars(time))
        clock.time = clock.monotonic = lambda: self.now
        clock.sleep = self.wait
        # Not the clock of everybody: pytest and its plugins wait by it as well.
        for name, module in [*sys.modules.items()]:
            if name.startswith("saltext.wireguard.node.") and getattr(module, "time", None) is time:
                monkeypatch.setattr(module, "time", clock)
        monkeypatch.setattr(reach, "send_echo", self._send_echo)
        monkeypatch.setattr(reach, "accepts", lambda *_: self.master)
        monkeypatch.setattr(trial, "_start_watchdog", lambda *words: self.watchdogs.append(words[2]) or words[2])
        monkeypatch.setattr(trial, "_stop", self.watchdogs.remove)

    def wait(self, seconds):
        self.now += seconds

    def connect(self, *public_keys, interface="wg0"):
        """From now on these peers answer, and there is a session with each."""
        self.answering.update(public_keys)
        for public_key in public_keys:
            self.host.machine.devices[interface].peers[public_key].handshake = int(self.now)

    def _send_echo(self, interface, address):
        for public_key, peer in self.host.machine.devices[interface].peers.items():
            if public_key in self.answering and {f"{address}/32", f"{address}/128"} & set(peer.allowed_ips):
                peer.received += 92
                peer.handshake = int(self.now)
