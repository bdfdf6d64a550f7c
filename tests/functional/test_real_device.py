"""
What ``diff`` orders, on a real WireGuard device in a network namespace of its own.

The namespace's first process reads from a pipe of ours: when the tests end, in whatever way, the pipe closes, that
process ends, and the kernel takes everything in the namespace away.
"""

import base64
import hashlib
import os
import shutil
import subprocess
import time
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from saltext.wireguard.device.diff import diff
from saltext.wireguard.device.operations import Applied, command_lines
from saltext.wireguard.device.parse import parse
from saltext.wireguard.formats.wg_quick import render
from saltext.wireguard.model.keys import PrivateKey
from saltext.wireguard.model.view import Peer, View

PROGRAMS = ("unshare", "nsenter", "ip", "wg", "wg-quick")
DEADLINE = 60  # the kernel takes a while to remove a thousand peers

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root"),
    pytest.mark.skipif(
        any(shutil.which(program) is None for program in PROGRAMS), reason=f"needs {', '.join(PROGRAMS)}"
    ),
]


@dataclass
class Host:
    """A network namespace, with mounts and processes of its own."""

    holder: subprocess.Popen
    etc: Path

    def run(self, *argv, text=None):
        target = self.holder.pid
        enter = ("nsenter", "--target", str(target), "--net", "--mount", f"--pid=/proc/{target}/ns/pid_for_children")
        done = subprocess.run([*enter, "--", *argv], input=text, capture_output=True, text=True, timeout=DEADLINE)
        assert done.returncode == 0, f"{argv}: {done.stderr}"
        return done.stdout

    def create(self, interface):
        """Make the device as the execution module does: in the kernel, or else in user space."""
        try:
            self.run("ip", "link", "add", "dev", interface, "type", "wireguard")
        except AssertionError:
            if shutil.which("wireguard-go") is None:
                pytest.skip("neither the kernel nor wireguard-go makes WireGuard devices here")
            self.run("wireguard-go", interface)

    def key_file(self, interface):
        path = self.etc / f"{interface}.key"
        if not path.exists():
            path.touch(0o600)
            path.write_text(self.run("wg", "genkey"))
        return str(path)

    def public_key(self, interface):
        return self.run("wg", "pubkey", text=Path(self.key_file(interface)).read_text()).strip()

    def device(self, interface="wg0"):
        if f"{interface}\n" not in self.run("ls", "-1", "/sys/class/net"):
            return None
        show_routes = [
            self.run("ip", "-json", family, "route", "show", "dev", interface, "table", "main")
            for family in ("-4", "-6")
        ]
        link = self.run("ip", "-json", "address", "show", "dev", interface)
        return parse(interface, self.run("wg", "show", interface, "dump"), link, *show_routes)

    def plan(self, view, record=None):
        return diff(
            view,
            self.device(view.interface),
            key_file=self.key_file(view.interface),
            public_key=self.public_key(view.interface),
            endpoints={peer.endpoint: peer.endpoint for peer in view.peers if peer.endpoint},
            applied=record or Applied(),
            now=int(time.time()),
        )

    def apply(self, view, record=None):
        done = command_lines(self.plan(view, record), view.interface)
        for argv in done:
            if argv[:3] == ("ip", "link", "add"):
                self.create(view.interface)
            else:
                self.run(*argv)
        return done


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    # A sysfs of its own, or /sys/class/net shows the interfaces of the namespace that mounted it.
    setup = "mkdir -p /run/wireguard && mount -t tmpfs tmpfs /run/wireguard && mount -t sysfs sysfs /sys"
    argv = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    argv += ["sh", "-c", f"{setup} && ip link set lo up && echo ready && read -r _"]
    holder = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        if holder.stdout.readline() != "ready\n":
            pytest.skip("network namespaces cannot be made here")
        yield Host(holder, tmp_path_factory.mktemp("wireguard"))
    finally:
        holder.communicate()
    assert holder.poll() is not None


@pytest.fixture
def fresh(host):
    """The host without an interface wg0 or wg1, before and after."""
    yield host
    for interface in ("wg0", "wg1"):
        if host.device(interface):
            host.run("ip", "link", "del", "dev", interface)


def key(name):
    return base64.b64encode(hashlib.sha256(name.encode()).digest()).decode()


def peer(name, *allowed_ips, public_key=None, **settings):
    return Peer(name, public_key or key(name), tuple(sorted(allowed_ips)), **settings)


def view(*peers, addresses=("10.42.0.1/16", "fd42::1/64"), **settings):
    return View("wg0", tuple(addresses), tuple(peers), **settings)


def assert_equals(device, view):
    assert device.up
    assert device.addresses == set(view.addresses)
    assert device.routes == view.routes
    assert {peer.public_key: (peer.allowed_ips, peer.keepalive) for peer in device.peers.values()} == {
        peer.public_key: (set(peer.allowed_ips), peer.keepalive) for peer in view.peers
    }


VIEW = view(
    peer("node2", "10.42.0.2/32", "192.168.4.0/24", endpoint="127.0.0.1:4444", keepalive=25),
    peer("node3", "10.42.0.3/32", "fd42::3/128", "fd99::/64", endpoint="[::1]:4444"),
    peer("node4"),
    port=51820,
    mtu=1380,
)
ENDPOINTS = {each.endpoint: each.endpoint for each in VIEW.peers if each.endpoint}


def test_a_view_is_applied_where_nothing_was(fresh):
    fresh.apply(VIEW)
    device = fresh.device()
    assert_equals(device, VIEW)
    assert (device.port, device.mtu, device.public_key) == (51820, 1380, fresh.public_key("wg0"))


def test_a_second_run_finds_nothing_to_do(fresh):
    fresh.apply(VIEW)
    assert fresh.plan(VIEW, Applied.of(VIEW)) == ()


def test_endpoints_are_set(fresh):
    fresh.apply(VIEW)
    endpoints = {peer.public_key: peer.endpoint for peer in fresh.device().peers.values()}
    assert endpoints == {peer.public_key: peer.endpoint for peer in VIEW.peers}


def test_a_thousand_peers_are_applied(fresh):
    peers = [peer(f"node{number}", f"10.42.{number // 250 + 1}.{number % 250}/32") for number in range(1000)]
    many = view(*peers)
    fresh.apply(many)
    assert_equals(fresh.device(), many)


def test_a_preshared_key_is_removed(fresh):
    fresh.apply(VIEW)
    fresh.run("wg", "set", "wg0", "peer", key("node2"), "preshared-key", "/dev/stdin", text=fresh.run("wg", "genpsk"))
    assert fresh.device().peers[key("node2")].preshared_key
    fresh.apply(VIEW, Applied.of(VIEW))
    assert not fresh.device().peers[key("node2")].preshared_key


def test_peers_swap_their_networks(fresh):
    old = view(peer("node2", "10.42.0.2/32"), peer("node3", "10.42.0.3/32"))
    new = view(peer("node2", "10.42.0.3/32"), peer("node3", "10.42.0.2/32"))
    fresh.apply(old)
    fresh.apply(new, Applied.of(old))
    assert_equals(fresh.device(), new)


def test_a_peer_exchanges_half_of_a_thousand_networks_with_another(fresh):
    """The kernel takes them in several netlink messages, and shows them in an order of its own."""
    networks = [f"10.42.{number // 250 + 1}.{number % 250}/32" for number in range(1500)]
    old = view(peer("node2", *networks[:1000]), peer("node3", *networks[1000:]))
    new = view(peer("node2", *networks[500:]), peer("node3", *networks[:500]))
    fresh.apply(old)
    assert fresh.plan(old, Applied.of(old)) == ()
    fresh.apply(new, Applied.of(old))
    assert_equals(fresh.device(), new)
    assert fresh.plan(new, Applied.of(new)) == ()


def test_a_rekeyed_node_keeps_its_networks(fresh):
    old = view(peer("node2", "10.42.0.2/32", "192.168.4.0/24"))
    new = view(peer("node2", "10.42.0.2/32", "192.168.4.0/24", public_key=key("rekeyed")))
    fresh.apply(old)
    fresh.apply(new, Applied.of(old))
    assert_equals(fresh.device(), new)


def test_a_route_made_by_hand_survives_a_renumbering(fresh):
    fresh.apply(view(addresses=["10.42.0.1/16"]))
    fresh.run("ip", "route", "add", "192.168.77.0/24", "dev", "wg0")
    fresh.apply(view(addresses=["10.42.0.2/16"]))
    assert fresh.device().routes == {"192.168.77.0/24"}


@pytest.mark.parametrize("promote", ["0", "1"])
def test_an_address_of_the_same_network_replaces_another(fresh, promote):
    fresh.apply(view(addresses=["10.42.0.1/16", "10.42.0.7/16"]))
    fresh.run("sh", "-c", f"echo {promote} >/proc/sys/net/ipv4/conf/wg0/promote_secondaries")
    fresh.apply(view(addresses=["10.42.0.2/16", "10.42.0.7/16"]))
    assert fresh.device().addresses == {"10.42.0.2/16", "10.42.0.7/16"}


def test_a_route_of_another_interface_is_not_taken_over(fresh):
    fresh.apply(VIEW)
    fresh.run("ip", "address", "add", "192.168.9.1/24", "dev", "lo")
    fresh.run("ip", "route", "add", "192.168.9.0/24", "dev", "lo")
    try:
        with pytest.raises(AssertionError, match="File exists"):
            fresh.apply(view(*VIEW.peers[1:], peer("node2", "192.168.9.0/24")))
        assert "dev lo" in fresh.run("ip", "route", "show", "192.168.9.0/24")
    finally:
        fresh.run("ip", "address", "del", "192.168.9.1/24", "dev", "lo")


@pytest.fixture
def session(fresh):
    """The host with a live session between wg0 and wg1; the view of wg0 with its peer."""
    other = peer("node2", "10.42.0.2/32", public_key=fresh.public_key("wg1"), endpoint="127.0.0.1:51822")
    fresh.apply(view(other, port=51821))
    own = peer("node1", "10.42.0.1/32", public_key=fresh.public_key("wg0"), endpoint="127.0.0.1:51821", keepalive=1)
    fresh.apply(replace(view(own, addresses=["10.43.0.2/16"], port=51822), interface="wg1"))
    deadline = time.monotonic() + DEADLINE
    while not fresh.device().peers[other.public_key].latest_handshake:
        assert time.monotonic() < deadline, "no handshake"
        time.sleep(0.05)
    # From here on, only what we do sends packets.
    fresh.run("wg", "set", "wg1", "peer", own.public_key, "persistent-keepalive", "0")
    return fresh, other


def test_the_session_of_an_unconcerned_peer_is_as_it_was(session):
    host, other = session
    old = view(other, peer("node3", "10.42.0.3/32"), port=51821)
    new = view(other, peer("node4", "10.42.0.3/32", "fd99::/64"), addresses=["10.42.0.9/16"], port=51821)
    host.apply(old, Applied.of(old))
    before = host.device().peers[other.public_key]
    host.apply(new, Applied.of(old))
    assert host.device().peers[other.public_key] == before


def test_a_peer_that_roamed_stays_where_it_is(session):
    host, other = session
    host.run("wg", "set", "wg1", "listen-port", "51823", "peer", host.public_key("wg0"), "persistent-keepalive", "1")
    deadline = time.monotonic() + DEADLINE
    while host.device().peers[other.public_key].endpoint != "127.0.0.1:51823":
        assert time.monotonic() < deadline, "the peer did not roam"
        time.sleep(0.05)
    wanted = view(other, port=51821)
    assert host.plan(wanted, Applied.of(wanted)) == ()


def test_a_peer_whose_endpoint_changed_in_the_view_is_set_there(session):
    host, other = session
    old = view(other, port=51821)
    new = view(replace(other, endpoint="127.0.0.1:51824"), port=51821)
    host.apply(new, Applied.of(old))
    assert host.device().peers[other.public_key].endpoint == "127.0.0.1:51824"


def test_wg_quick_takes_the_rendered_file(host):
    path = host.etc / "wg0.conf"
    path.touch(0o600)
    path.write_text(render(VIEW, PrivateKey(host.run("wg", "genkey").strip()), ENDPOINTS))
    stripped = host.run("wg-quick", "strip", str(path))
    assert stripped.count("[Peer]") == len(VIEW.peers)
    assert "Address =" not in stripped


def test_an_interface_that_wg_quick_made_of_the_rendered_file_is_right(fresh):
    path = fresh.etc / "wg0.conf"
    path.touch(0o600)
    path.write_text(render(VIEW, PrivateKey(Path(fresh.key_file("wg0")).read_text().strip()), ENDPOINTS))
    fresh.run("wg-quick", "up", str(path))
    assert_equals(fresh.device(), VIEW)
    assert fresh.plan(VIEW, Applied.of(VIEW)) == ()
