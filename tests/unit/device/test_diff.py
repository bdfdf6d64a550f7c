"""
``diff`` decides alone; whether its commands lead to the view is tried on a ``Host``, a small model of what ``wg`` and
``ip`` do, and on a real device in tests/functional/test_real_device.py.
"""

import random
from dataclasses import dataclass, field, replace
from ipaddress import ip_interface

import pytest

from factories import in_words
from saltext.wireguard.device.operations import Applied, command_lines
from saltext.wireguard.errors import ViewError
from saltext.wireguard.model.device import Device, DevicePeer
from unit.device.views_and_devices import (
    NOW,
    OWN,
    A,
    B,
    applied_by,
    argvs,
    device,
    have,
    key,
    operations,
    peer,
    view,
)


def test_a_device_that_is_right_yields_nothing():
    right = view(peer("node2", "10.42.0.2/32", "192.168.4.0/24", keepalive=25), port=51820, mtu=1420)
    current = device(have("node2", "10.42.0.2/32", "192.168.4.0/24", keepalive=25), routes=["192.168.4.0/24"])
    assert operations(right, current) == ()


@pytest.mark.parametrize("noise", [{"latest_handshake": 0}, {"rx": 5}, {"tx": 5}, {"endpoint": "198.51.100.9:1"}])
def test_handshakes_counters_and_learned_endpoints_are_no_difference(noise):
    current = device(replace(have("node2", "10.42.0.2/32"), **noise))
    assert operations(view(peer("node2", "10.42.0.2/32")), current) == ()


def test_a_port_and_an_mtu_that_the_view_leaves_open_stay():
    assert operations(view(port=None, mtu=None), device(port=4444, mtu=9000)) == ()


def test_a_peer_that_is_right_is_mentioned_in_no_command():
    wanted = view(peer("node2", "10.42.0.2/32"), peer("node3", "10.42.0.3/32"))
    words = argvs(wanted, device(have("node2", "10.42.0.2/32"), have("node4", "10.42.0.4/32")))
    assert words
    assert not [argv for argv in words if key("node2") in argv]


def test_everything_is_set_up_before_peers_and_routes():
    wanted = view(peer("node2", "10.42.0.2/32", "192.168.4.0/24"), port=51820, mtu=1380)
    assert [str(operation.change.subject) for operation in operations(wanted, None)] == [
        "device",
        "private key",
        "listen port",
        "mtu",
        "address 10.42.0.1/16",
        "link",
        "peer node2",
        "route 192.168.4.0/24",
    ]


def test_removals_come_last():
    wanted = view(peer("node3", "10.42.0.3/32", "192.168.5.0/24"), addresses=["10.43.0.1/16"])
    current = device(have("node2", "10.42.0.2/32", "192.168.4.0/24"), routes=["192.168.4.0/24"])
    record = Applied(routes=frozenset({"192.168.4.0/24"}))
    assert [str(operation.change.subject) for operation in operations(wanted, current, applied=record)] == [
        "address 10.43.0.1/16",
        "peer node3",
        "route 10.42.0.3/32",
        "route 192.168.5.0/24",
        "route 192.168.4.0/24",
        f"peer {key('node2')}",
        "address 10.42.0.1/16",
    ]


def test_diff_checks_the_view():
    with pytest.raises(ViewError, match="own public key"):
        operations(view(peer("node2", public_key=OWN)), device())


# The commands lead to the view


@dataclass
class Host:
    """What ``wg`` and ``ip`` make of commands, as tried on wireguard-go and Linux 6.18 without promote_secondaries."""

    link: dict = field(default_factory=dict)
    addresses: list = field(default_factory=list)
    routes: list = field(default_factory=list)
    peers: dict = field(default_factory=dict)
    held: set = field(default_factory=set)

    def run(self, argv):
        words = [word for word in argv if word not in ("-4", "-6", "dev", "wg0")]
        getattr(self, f"_{words[0]}_{words[1]}")(*words[2:])

    def _ip_link(self, verb, *words):
        if verb == "add":
            assert not self.link, "the device exists already"
            self.link = {"up": False, "port": 40000, "mtu": 1420, "public_key": None}
        elif words == ("up",):
            self.link["up"] = True
        else:
            self.link["mtu"] = int(words[1])

    def _ip_address(self, verb, address):
        if verb == "del":
            self._address_removed(address)
        elif address not in self.addresses:
            taken = [other for other in self.addresses if ip_interface(other).ip == ip_interface(address).ip]
            assert ":" not in address or not taken, "ipv6: address already assigned"
            self.addresses.append(address)
        else:
            assert verb == "replace", "the address exists already"

    def _address_removed(self, address):
        network = ip_interface(address).network
        alike = [other for other in self.addresses if ip_interface(other).network == network]
        primary = ":" not in address and alike[0] == address
        for gone in alike if primary else [address]:
            self.addresses.remove(gone)
        if not any(":" not in other for other in self.addresses):
            self.routes = [route for route in self.routes if ":" in route]

    def _ip_route(self, verb, network, *protocol):
        assert self.link["up"], "the device is down"
        if "kernel" in protocol:
            self.held = {"replace": {*self.held, network}, "del": self.held - {network}}[verb]
            return
        if verb == "del":
            self.routes.remove(network)
            return
        connected = [str(ip_interface(address).network) for address in self.addresses if ":" not in address]
        assert verb == "replace" or network not in [*self.routes, *connected], "the route exists already"
        self.routes.append(network)

    def _wg_set(self, *words):
        words = list(words)
        peer = None
        while words:
            word = words.pop(0)
            if word == "peer":
                peer = self.peers.setdefault(words.pop(0), {"allowed_ips": set(), "keepalive": 0, "touched": 0})
                peer["touched"] += 1
            elif word == "remove":
                self.peers = {key: other for key, other in self.peers.items() if other is not peer}
            elif word == "private-key":
                self.link["public_key"] = {"/etc/wireguard/wg0.key": OWN}[words.pop(0)]
            elif word == "listen-port":
                self.link["port"] = int(words.pop(0))
            else:
                self._peer_set(peer, word, words.pop(0))

    def _peer_set(self, peer, word, value):
        if word == "allowed-ips":
            networks = set(filter(None, value.split(",")))
            for other in self.peers.values():
                other["allowed_ips"] -= networks
            peer["allowed_ips"] = networks
        elif word == "persistent-keepalive":
            peer["keepalive"] = int(value)
        else:
            peer[word] = value

    def device(self):
        if not self.link:
            return None
        return Device(
            interface="wg0",
            addresses=frozenset(self.addresses),
            routes=frozenset(self.routes),
            boot_routes=frozenset(self.routes),
            peers={
                key: DevicePeer(key, p.get("endpoint"), frozenset(p["allowed_ips"]), NOW, 0, 0, p["keepalive"], None)
                for key, p in self.peers.items()
            },
            **self.link,
        )

    def apply(self, view, record):
        resolved = {peer.endpoint: peer.endpoint for peer in view.peers if peer.endpoint}
        for argv in command_lines(operations(view, self.device(), resolved, record), "wg0"):
            self.run(argv)
        assert not self.held


ADDRESSES = (
    ["10.42.0.1/16", "10.42.0.1/24", "10.42.0.1/32", "10.42.0.2/16", "10.42.0.3/16", "10.43.0.1/16", "10.43.0.2/32"],
    ["fd42::1/64", "fd42::1/128", "fd42::2/64"],
)
NETWORKS = [
    *(f"10.42.0.{number}/32" for number in range(10, 18)),
    *(f"fd42::{number}/128" for number in range(10, 14)),
    *("10.42.0.0/16", "10.42.0.0/24", "10.43.0.0/16", "192.168.4.0/24", "fd42::/64", "fd99::/64"),
]


def some_view(choose):
    """A view of up to six peers that share out some networks, so that two such views overlap in every way."""
    names = choose.sample(["node2", "node3", "node4", "node5", "node6", "node7"], choose.randint(0, 6))
    shares = {name: [] for name in names}
    for network in choose.sample(NETWORKS, choose.randint(0, len(NETWORKS))) if names else ():
        shares[choose.choice(names)].append(network)
    peers = [
        peer(
            name,
            *shares[name],
            public_key=key(name + choose.choice(["", "", "", "rekeyed"])),
            endpoint=choose.choice([None, A, B]),
            keepalive=choose.choice([0, 25]),
        )
        for name in sorted(names)
    ]
    addresses = [*choose.sample(ADDRESSES[0], choose.randint(1, 3)), choose.choice(ADDRESSES[1])]
    return view(*peers, addresses=addresses, port=choose.choice([None, 51820, 51821]), mtu=choose.choice([None, 1380]))


@pytest.fixture(params=range(100))
def moved_host(request):
    """A host that was led from one random view to another; with both views, and the peers before the second."""
    choose = random.Random(request.param)
    old, new = some_view(choose), some_view(choose)
    host = Host()
    host.apply(old, Applied())
    for each in host.peers.values():
        each["touched"] = 0
    before = host.device()
    host.apply(new, applied_by(old))
    return host, before, old, new


def test_between_any_two_views_the_device_ends_up_as_the_view(moved_host):
    host, _, _, new = moved_host
    assert host.link["up"]
    assert set(host.addresses) == set(new.addresses)
    assert set(host.routes) == new.routes
    assert {key: (peer["allowed_ips"], peer["keepalive"]) for key, peer in host.peers.items()} == {
        peer.public_key: (set(peer.allowed_ips), peer.keepalive) for peer in new.peers
    }


def test_between_any_two_views_a_second_run_finds_nothing_to_do(moved_host):
    host, _, _, new = moved_host
    resolved = {A: A, B: B}
    assert operations(new, host.device(), resolved, applied_by(new)) == ()


def test_between_any_two_views_peers_that_stay_as_they_are_are_not_touched(moved_host):
    host, _, old, new = moved_host
    same = {peer.public_key for peer in set(old.peers) & set(new.peers)}
    assert {key for key in same if host.peers[key]["touched"]} == set()


def test_between_any_two_views_changes_name_no_peer_that_stays_as_it_is(moved_host):
    _, before, old, new = moved_host
    named = in_words(operations(new, before, {A: A, B: B}, applied_by(old)))
    differing = {peer.name for peer in set(old.peers) ^ set(new.peers)}
    assert {subject for subject in named if subject.startswith("peer ")} <= {f"peer {name}" for name in differing}
