"""
Any view follows any other, on a real device with live sessions, and nobody who is not concerned notices.

Each example is a pair of views. The device is watched while the second one is applied: between all commands, and by a
process that does nothing else. ``WG_TEST_EXAMPLES=500`` tries so many pairs, other ones each time.
"""

import contextlib
import ipaddress
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace

import pytest

pytest.importorskip("salt")
pytest.importorskip("hypothesis", reason="the property test needs hypothesis")

import hypothesis
from hypothesis import strategies

from hosts import key, peer, view, wait_until

EXAMPLES = os.environ.get("WG_TEST_EXAMPLES")

NOBODY = "127.0.0.1:4444"
LIVE = ("node2", "node3", "node4")
NAMES = (*LIVE, "node5", "node6", "node7")
NETWORKS = (
    *("10.42.0.10/32", "10.42.0.11/32", "10.42.0.12/32", "10.42.0.13/32", "10.42.0.14/32", "10.42.0.15/32"),
    *("10.42.0.0/24", "10.43.0.0/16", "192.168.4.0/24", "fd42::10/128", "fd42::11/128", "fd42::/64", "fd99::/64"),
)
IPV4 = ("10.42.0.1/16", "10.42.0.1/24", "10.42.0.1/32", "10.42.0.2/16", "10.42.0.3/16", "10.42.0.4/24", "10.43.0.1/16")
IPV6 = ("fd42::1/64", "fd42::1/128", "fd42::2/64")


def base_port(name):
    return 52000 + int(name[4:])


# -- the other ends of the sessions


class Other:
    """A device on the same machine that calls wg0 as a peer does, and keeps silent unless it is told to speak."""

    def __init__(self, host, name):
        self.name, self._host, self._device = name, host, f"wg{name[4:]}"
        private = host.run("wg", "genkey")
        self.public_key = host.run("wg", "pubkey", text=private).strip()
        try:
            host.run("ip", "link", "add", "dev", self._device, "type", "wireguard")
        except AssertionError:
            host.run("wireguard-go", self._device)
        host.run("wg", "set", self._device, "private-key", "/dev/stdin", text=private)
        host.run("ip", "link", "set", "dev", self._device, "up")

    def meet(self):
        """Have a new session with wg0, from the base port."""
        wg0 = self._host.device()
        self._wg("peer", wg0.public_key, "remove")
        self._wg("listen-port", str(base_port(self.name)))
        self._speak(wg0, "endpoint", f"127.0.0.1:{wg0.port}")
        assert self._seen().endpoint == f"127.0.0.1:{base_port(self.name)}"

    def roam(self):
        """Go on from another port."""
        self._wg("listen-port", str(base_port(self.name) + 100))
        self._speak(self._host.device())
        assert self._seen().endpoint == f"127.0.0.1:{base_port(self.name) + 100}"

    def _speak(self, wg0, *words):
        """Until wg0 has heard it, and from then on no more."""
        before = self._seen()
        self._wg("peer", wg0.public_key, *words, "persistent-keepalive", "1")
        wait_until(lambda: self._seen().rx > before.rx and self._seen().latest_handshake)
        self._wg("peer", wg0.public_key, "persistent-keepalive", "0")
        heard = [before, self._seen()]
        wait_until(lambda: heard.append(self._seen()) or heard[-1] == heard[-2])

    def _seen(self):
        return self._host.device().peers[self.public_key]

    def _wg(self, *words):
        self._host.run("wg", "set", self._device, *words)


# -- watching


@dataclass(frozen=True)
class Look:
    """
    What matters of a device to those who use it: networks by peer, own addresses, and what is routed to it.

    ``prefixed`` are the IPv6 addresses with their prefix lengths.
    """

    allowed_ips: dict
    addresses: frozenset = frozenset()
    prefixed: frozenset = frozenset()
    routed: frozenset = frozenset()

    @property
    def owned(self):
        return frozenset().union(*self.allowed_ips.values())

    def routes(self, network):
        network = ipaddress.ip_network(network)
        return any(network.version == each.version and network.subnet_of(each) for each in self.routed)


def look(host):
    device = host.device()
    show = ("route", "show", "dev", "wg0", "table", "main")
    shown = [item["dst"] for family in ("-4", "-6") for item in json.loads(host.run("ip", "-json", family, *show))]
    return Look(
        {key: peer.allowed_ips for key, peer in device.peers.items()},
        frozenset(address.partition("/")[0] for address in device.addresses),
        frozenset(address for address in device.addresses if ":" in address),
        routed=frozenset(ipaddress.ip_network(each) for each in shown),
    )


class Watch:
    """Looks at wg0 before each command that changes something, and all the time from a process of its own."""

    SCRIPT = "while wg show wg0 allowed-ips && echo; do :; done"

    def __init__(self, host):
        self._host = host
        self._on = False
        sys.addaudithook(self._hear)

    @contextlib.contextmanager
    def __call__(self):
        """Yields the list of looks between commands, and that of the other process's, which is complete afterwards."""
        self._looks, glances = [], []
        with tempfile.TemporaryFile("a+") as seen:
            with self._host.quiet():
                process = subprocess.Popen(["sh", "-c", self.SCRIPT], stdout=seen)
            try:
                wait_until(lambda: os.fstat(seen.fileno()).st_size)
                self._on = True
                yield self._looks, glances
            finally:
                self._on = False
                process.kill()
                process.wait()
            # Not from where the file stands: a `wg` that outlives its shell by a moment writes, and so moves that on.
            text = os.pread(seen.fileno(), os.fstat(seen.fileno()).st_size, 0).decode()
            blocks = text.split("\n\n")[:-1]  # the last one may have been cut off
            glances += [Look(self._allowed_ips(block)) for block in blocks]

    def _hear(self, event, args):
        if self._on and event == "subprocess.Popen" and [str(word) for word in args[1]][1] not in ("show", "-json"):
            self._on = False
            self._looks.append(look(self._host))
            self._on = True

    @staticmethod
    def _allowed_ips(block):
        lines = [line.partition("\t") for line in block.splitlines()]
        return {key: frozenset(networks.split()) - {"(none)"} for key, _, networks in lines}


def assert_hitless(before, seen, after):
    """What is there before and after is there all the time."""
    for each in seen:
        for public_key in set(before.allowed_ips) & set(after.allowed_ips):
            lasting = before.allowed_ips[public_key] & after.allowed_ips[public_key]
            assert lasting <= each.allowed_ips.get(public_key, frozenset()), f"{public_key} lost what it keeps: {each}"
        assert before.owned & after.owned <= each.owned, "a network was nobody's in between"


def assert_in_reach(before, seen, after):
    """Own addresses, and the way to what is behind peers."""
    lasting = before.addresses & after.addresses
    networks = [each for each in before.owned & after.owned if before.routes(each) and after.routes(each)]
    if has_other_prefix(before, after):
        lasting = {address for address in lasting if ":" not in address}
        networks = [network for network in networks if ":" not in network]
    for each in seen:
        assert lasting <= each.addresses, "an own address was away in between"
        for network in networks:
            assert each.routes(network), f"{network} was not routed in between"


def has_other_prefix(before, after):
    """Whether an IPv6 address gets another prefix length: Linux has it once only, so it must go before it comes."""
    return any(":" in address for address in before.addresses & after.addresses) and not (
        before.prefixed & after.prefixed
    )


# -- pairs of views


@dataclass(frozen=True)
class Case:
    """``roamed`` are the names of live peers that go elsewhere before the second view comes."""

    old: object
    new: object
    roamed: frozenset


def cases(live):
    """
    The second view keeps much of the first, and changes some of everything.

    :param live: name -> public key of the peers that answer
    """
    names, networks = strategies.sampled_from(NAMES), strategies.sampled_from(NETWORKS)
    own = strategies.fixed_dictionaries(
        {
            "addresses": strategies.lists(strategies.sampled_from(IPV4), min_size=1, max_size=3, unique=True),
            "ipv6": strategies.sampled_from([*IPV6, None]),
            "port": strategies.sampled_from([51820, 51820, 51821]),
            "mtu": strategies.sampled_from([None, 1200, 1280, 1380, 1420]),
        }
    )

    @strategies.composite
    def settings(draw, name):
        return {
            "public_key": draw(strategies.sampled_from([live.get(name, key(name))] * 3 + [key(name + " rekeyed")])),
            "endpoint": draw(strategies.sampled_from([f"127.0.0.1:{base_port(name)}", NOBODY, None])),
            # A keepalive that comes due in the middle of a test would count as traffic.
            "keepalive": draw(strategies.sampled_from([0, 0, 3600])),
        }

    def some(draw, names):
        return {name: draw(settings(name)) for name in sorted(names)}

    def build(own, shares, peers):
        ipv6 = [own["ipv6"]] if own["ipv6"] else []
        mtu = own["mtu"]
        if mtu == 1200 and (ipv6 or any(":" in network for network in shares)):
            mtu = 1280
        made = [
            peer(name, *(network for network, owner in shares.items() if owner == name), **settings)
            for name, settings in sorted(peers.items())
        ]
        # By `replace`, for `view` has peers of its own where none are given.
        addresses = (*own["addresses"], *ipv6)
        return replace(view(key("own")), peers=tuple(made), addresses=addresses, port=own["port"], mtu=mtu)

    @strategies.composite
    def case(draw):
        first = draw(own)
        peers = some(draw, {*LIVE[:2], *draw(strategies.sets(names, max_size=4))})
        shares = {
            network: draw(strategies.sampled_from(sorted(peers)))
            for network in sorted(draw(strategies.sets(networks, min_size=3)))
        }
        old = build(first, shares, peers)
        second = {**first, **(draw(own) if draw(strategies.booleans()) else {})}
        gone = draw(strategies.sets(names, max_size=2))
        others = {name: each for name, each in peers.items() if name not in gone}
        others |= some(draw, draw(strategies.sets(names, max_size=3)))
        moved = {network: draw(names) for network in sorted(draw(strategies.sets(networks, max_size=5)))}
        new_shares = {network: name for network, name in (shares | moved).items() if name in others}
        roamed = frozenset(draw(strategies.sets(strategies.sampled_from(LIVE), max_size=2)))
        return Case(old, build(second, new_shares, others), roamed)

    return case()


def test_any_view_follows_any_other_and_disturbs_nobody_else(host):
    converge = host.library("node.converge").converge
    # Without a trial, whose greetings would count as traffic.
    safety = host.library("node.trial").Safety(host.opts["cachedir"], confirm_seconds=0, forced="little in common")
    own_key = host.call("keypair", "wg0")
    path = "/etc/wireguard/wg0.key"

    def apply(wanted):
        return converge(replace(wanted, public_key=own_key), path, None, False, safety)

    others = {name: Other(host, name) for name in LIVE}
    watch = Watch(host)

    @hypothesis.settings(
        max_examples=int(EXAMPLES or 25),
        deadline=None,
        database=None,
        derandomize=not EXAMPLES,
        suppress_health_check=list(hypothesis.HealthCheck),
        phases=[hypothesis.Phase.generate],  # an example takes too long to look for a smaller one
    )
    @hypothesis.given(cases({name: other.public_key for name, other in others.items()}))
    def follows(case):
        apply(case.old)
        assert_equals(host.device(), case.old)
        for name in LIVE:
            if others[name].public_key in host.device().peers:
                others[name].meet()
                if name in case.roamed:
                    others[name].roam()
        before, there = host.device().peers, look(host)
        host.forget_commands()
        with watch() as (between, glances):
            apply(case.new)
        after, here = host.device(), look(host)

        assert_equals(after, case.new)
        assert glances, "nobody was watching"
        assert_hitless(there, [*between, *glances], here)
        assert_in_reach(there, between, here)

        same = {peer.public_key for peer in set(case.old.peers) & set(case.new.peers)}
        assert {key: before[key] for key in same} == {key: after.peers[key] for key in same}
        assert not [argv for argv in host.writing_commands() if same.intersection(argv)]
        for was, now in pairs(case.old, case.new):
            if now.endpoint not in (None, was.endpoint):
                assert after.peers[now.public_key].endpoint == now.endpoint

        host.forget_commands()
        assert apply(case.new).changes == ()
        assert host.writing_commands() == []

    follows()


def pairs(old, new):
    """The peers that are in both views, by public key."""
    olds = {peer.public_key: peer for peer in old.peers}
    return [(olds[peer.public_key], peer) for peer in new.peers if peer.public_key in olds]


def assert_equals(device, wanted):
    assert device.up
    assert (device.port, device.addresses, device.routes) == (wanted.port, set(wanted.addresses), wanted.routes)
    assert wanted.mtu in (None, device.mtu)
    assert {peer.public_key: (peer.allowed_ips, peer.keepalive) for peer in device.peers.values()} == {
        peer.public_key: (set(peer.allowed_ips), peer.keepalive) for peer in wanted.peers
    }
