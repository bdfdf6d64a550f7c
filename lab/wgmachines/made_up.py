"""
A mesh that is only made up: a registry with as many nodes as one likes, and what they would see of each other.

For pictures, benchmarks and tests of what people look at. Nothing runs; always the same for the same number of nodes.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import random
import time
from collections.abc import Iterator
from pathlib import Path

from saltext.wireguard.control.status import LiveFleet
from saltext.wireguard.master.master import Master, Moment
from saltext.wireguard.master.status import statuses
from saltext.wireguard.model.live import LiveInterface, LivePeer
from saltext.wireguard.model.probe import Echo, Probe
from saltext.wireguard.model.statements import Registration, Report
from saltext.wireguard.observe import paths
from saltext.wireguard.observe.pairs import pairs
from saltext.wireguard.registry.salt_keys import AcceptedKey

NETWORK = "backbone"
SITES = ("amsterdam", "frankfurt", "london", "madrid", "milan", "oslo", "paris", "warsaw")
NODES_OF_A_SITE = 12


class MadeUp:
    """
    ``count`` nodes and two external peers. The first node is a hub. Of some nodes and pairs, not all is well.

    :param path: an empty folder
    """

    def __init__(self, path: Path, count: int) -> None:
        self._random = random.Random(count)  # noqa: S311 - no secret
        self.sites = SITES[: max(2, min(len(SITES), count // NODES_OF_A_SITE))]
        self.names = [f"{self._site(number)[:3]}-{number:03}" for number in range(1, count + 1)]
        (path / "mesh.yml").write_text("\n".join(self._mesh_file()) + "\n")
        self.master = Master(str(path / "mesh.yml"), str(path / "minions"), str(path / "state"))
        self._keys = {name: AcceptedKey(b"", "made up") for name in self.names}
        self._register()

    def _site(self, number: int) -> str:
        return self.sites[number % len(self.sites)]

    def _mesh_file(self) -> Iterator[str]:
        yield f"networks:\n  {NETWORK}:\n    subnets: [10.42.0.0/16, 'fd42::/64']\n    nodes:"
        for number, name in enumerate(self.names, 1):
            hub = ", hub: true" if number == 1 else ""
            endpoint = f"198.51.{100 + number // 250}.{number % 250 + 1}"
            yield f"      {name}: {{site: {self._site(number)}, endpoint: {endpoint}{hub}}}"
        yield f"    peers:\n      phone: {{public_key: {public_key('phone')}, addresses: [10.42.255.1]}}"
        yield f"      laptop: {{public_key: {public_key('laptop')}, addresses: [10.42.255.2]}}"

    def _moment(self) -> Moment:
        return Moment(self.master, self.master.mesh(), self.master.registry.snapshot(), self._keys, time.time())

    def _register(self) -> None:
        registry, members = self.master.registry, self._moment().unguarded.networks[NETWORK].membership
        with registry.held():
            for name in self.names:
                registry.register(Registration(name, NETWORK, public_key(name), (), 51820, 1), "made up", members)
            registry.audit.note_members(NETWORK, self.names, str)
            for (_, name), digest in self._moment().unguarded.digests().items():
                # Every fiftieth is out of date; of few nodes, the last one.
                old = self.names.index(name) % 50 == min(40, len(self.names) - 1)
                registry.report(Report(name, NETWORK, "old" if old else digest, 2), "made up")

    @functools.cache  # noqa: B019 - lives as long as its mesh
    def interfaces(self) -> dict[str, LiveInterface]:
        """What the nodes would say; some say nothing."""
        moment = self._moment()
        return {name: self._interface(moment, name) for name in self.names if name not in self.names[6::90]}

    def look(self) -> LiveFleet:
        """What ``wireguard.status`` would find."""
        moment = self._moment()
        interfaces = self.interfaces()
        silent = dict.fromkeys(sorted({*self.names} - interfaces.keys()), "no answer")
        found = pairs(NETWORK, moment.unguarded.networks[NETWORK], interfaces)
        return LiveFleet(moment, statuses(moment), [*found], {NETWORK: interfaces}, silent)

    def _interface(self, moment: Moment, name: str) -> LiveInterface:
        peers = moment.unguarded.networks[NETWORK].view(name).peers
        return LiveInterface("wg0", True, 1420, {peer.public_key: self._peer(name, peer.name) for peer in peers})

    def _peer(self, name: str, other: str) -> LivePeer:
        """Most have a session, some need none, and a few get no answer."""
        luck = random.Random("".join(sorted((name, other)))).random()  # noqa: S311
        if luck < (0.0005 if len(self.names) > 20 else 0.05):
            return LivePeer(None, None, 0, 148)
        return LivePeer("198.51.100.9:51820", 5 if luck < 0.8 else 4000, 10_000, 12_000)

    def pings(self, live: LiveFleet) -> list[paths.Path]:
        """What ``wireguard.matrix`` would find."""
        state = live.moment.unguarded.networks[NETWORK]
        probes = {
            name: Probe({peer.public_key: {4: self._echo()} for peer in state.view(name).peers}) for name in self.names
        }
        return [*paths.paths(NETWORK, state, probes)]

    def _echo(self) -> Echo:
        lost = self._random.random() < 0.001
        return Echo(3, 0, None) if lost else Echo(3, 3, round(self._random.lognormvariate(2, 0.9), 2))


def public_key(name: str) -> str:
    """A public key, always the same for the same name."""
    raw = bytearray(hashlib.sha256(name.encode()).digest())
    raw[31] &= 0x3F
    return base64.b64encode(bytes(raw)).decode()
