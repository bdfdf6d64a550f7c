"""Interfaces that systemd-networkd makes at boot: its files, and what networkd itself makes of them."""

import grp
import os
import re
import signal
import stat
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest

import faults

pytest.importorskip("salt")

from hosts import ETC, PEERS, peer, preshared, registered
from isolation import MS_BIND, MS_NOSUID, MS_RDONLY, MS_REMOUNT, mount
from services import Services

NETWORKD = next(
    (path for path in ("/lib/systemd/systemd-networkd", "/usr/lib/systemd/systemd-networkd") if os.path.exists(path)),
    None,
)
FOLDER = Path("/etc/systemd/network")
NETDEV, NETWORK = FOLDER / "50-wg0.netdev", FOLDER / "50-wg0.network"
BACKENDS = ("wg-quick", "systemd-networkd")
DEADLINE = 20


def group():
    return grp.getgrnam("systemd-network").gr_gid


@pytest.fixture
def machine(host, monkeypatch):
    """A host whose network is networkd's."""
    if not NETWORKD:
        pytest.skip("systemd-networkd is not installed")
    FOLDER.mkdir(parents=True, exist_ok=True)
    mount("tmpfs", str(FOLDER), "tmpfs", MS_NOSUID, "mode=0755")
    host.services = Services(host, monkeypatch)
    host.services.enabled.add("systemd-networkd")
    use(host, "systemd-networkd")
    return host


def use(host, backend):
    host.opts["wireguard"] = {"backend": backend}


def apply(host):
    result = host.call("apply")["backbone"]
    assert result["result"] is True, result
    return result["changes"]


def modes():
    paths = (ETC, *ETC.iterdir(), *FOLDER.iterdir())
    return {path.name: (stat.S_IMODE(path.stat().st_mode), path.stat().st_gid) for path in paths}


# -- the files


def test_only_networkd_besides_root_can_read_the_key_and_nothing_else_that_is_secret(machine):
    registered(machine)
    apply(machine)
    assert modes() == {
        "wireguard": (0o710, group()),
        "wg0.key": (0o640, group()),
        "wg0.conf": (0o600, 0),
        NETDEV.name: (0o644, 0),
        NETWORK.name: (0o644, 0),
    }
    private = (ETC / "wg0.key").read_text().strip()
    assert private not in NETDEV.read_text() + NETWORK.read_text()


def test_networkd_can_read_the_key_that_a_rotation_left(machine):
    registered(machine)
    apply(machine)
    machine.call("rotate_prepare", "backbone")
    assert (ETC / "wg0.key.next").stat().st_mode & 0o777 == 0o600
    assert machine.call("rotate_switch", "backbone", wait=0)["switched"]
    assert modes()["wg0.key"] == (0o640, group())
    assert modes()["wg0.key.previous"] == (0o600, 0)


# -- from one to the other


@pytest.mark.skipif(faults.why_not() is not None, reason=str(faults.why_not()))
@pytest.mark.parametrize("backends", [BACKENDS, BACKENDS[::-1]], ids=["to networkd", "to wg-quick"])
def test_a_change_that_is_killed_at_any_point_is_finished_by_the_next_run(machine, backends):
    before, after = backends
    registered(machine)

    def be(backend):
        use(machine, backend)
        apply(machine)

    be(after)
    expected = modes()
    be(before)
    points = faults.points(lambda: be(after), "/etc/")
    assert len(points) > len(faults.COMMANDS)
    for point in points:
        be(before)
        assert faults.killed(lambda: be(after), point).hit
        be(after)
        assert modes() == expected
        assert apply(machine) == {}


# -- names


def test_a_name_is_written_as_the_address_that_it_has_or_had_last(machine, monkeypatch):
    """networkd sets all peers as at boot when a name begins to resolve: it would bring removed ones back."""
    with open("/etc/hosts", encoding="utf-8") as hosts:
        text = hosts.read()
    own = machine.disk / "hosts"
    own.write_text(text + "127.0.0.9 node2.mesh.test\n")
    machine.run("mount", "--bind", str(own), "/etc/hosts")
    registered(machine, peer("node2", "10.42.0.2/32", endpoint="node2.mesh.test:4444"))
    apply(machine)
    assert "Endpoint=127.0.0.9:4444" in NETDEV.read_text()
    own.write_text(text)
    assert apply(machine) == {}


# -- networkd itself


class Networkd:
    """networkd at work on this machine, as the user that it is in reality, telling all that it does."""

    def __init__(self, log):
        self._log = log

    def __enter__(self):
        sockets = os.open("/run/wireguard", os.O_PATH)
        mount("tmpfs", "/run", "tmpfs", MS_NOSUID, "mode=0755")
        os.mkdir("/run/wireguard")
        mount(f"/proc/self/fd/{sockets}", "/run/wireguard", None, MS_BIND)
        # A read-only /sys tells networkd that there is no udev to wait for.
        mount("none", "/sys", None, MS_REMOUNT | MS_BIND | MS_RDONLY)
        for part in ("links", "leases", "lldp"):
            os.makedirs(f"/run/systemd/netif/{part}")
        subprocess.run(["chown", "-R", "systemd-network", "/run/systemd/netif"], check=True)
        capabilities = "+net_admin,+net_raw,+net_bind_service"
        user = ["--reuid=systemd-network", "--regid=systemd-network", "--clear-groups"]
        user += [f"--inh-caps={capabilities}", f"--ambient-caps={capabilities}"]
        with open(self._log, "wb") as log:
            self._process = subprocess.Popen(
                ["setpriv", *user, NETWORKD],
                stderr=log,
                env={**os.environ, "SYSTEMD_LOG_LEVEL": "debug", "SYSTEMD_LOG_TARGET": "console"},
            )
        return self

    def __exit__(self, *_):
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(DEADLINE)

    def said(self):
        return self._log.read_text(errors="replace")

    def wait_for(self, text):
        deadline = time.monotonic() + DEADLINE
        while text not in self.said():
            assert time.monotonic() < deadline, self.said()
            assert self._process.poll() is None, self.said()
            time.sleep(0.05)


# What it says of a line, of a section, and of the device as a whole, that it does not take as they are.
COMPLAINT = re.compile(r"(?m)^/etc/systemd/network/50-wg0.*|^wg0: .*(?:Failed|Missing|Ignoring|WireGuardPeer).*")


def test_networkd_takes_every_line_and_reads_the_key(machine):
    registered(machine, *map(preshared, PEERS))
    apply(machine)
    machine.delete_device()
    with Networkd(machine.disk / "log") as networkd:
        networkd.wait_for("Enumeration completed")
        assert 'wg0: loaded "wireguard"' in networkd.said()
        assert COMPLAINT.findall(networkd.said()) == []


@pytest.mark.parametrize(
    ("path", "line"),
    [(NETDEV, "ListenPorts=51820"), (NETDEV, "Endpoint=10.0.0.1:99999"), (NETWORK, "[Route]\nDestination=10.0.0.1/99")],
)
def test_a_line_that_networkd_does_not_take_would_be_noticed(machine, path, line):
    registered(machine)
    apply(machine)
    machine.delete_device()
    path.write_text(path.read_text() + line + "\n")
    with Networkd(machine.disk / "log") as networkd:
        networkd.wait_for("Enumeration completed")
        assert COMPLAINT.findall(networkd.said())


def test_a_key_that_networkd_cannot_read_would_be_noticed(machine):
    registered(machine)
    apply(machine)
    machine.delete_device()
    ETC.chmod(0o700)
    with Networkd(machine.disk / "log") as networkd:
        networkd.wait_for("Enumeration completed")
        assert "wg0: Failed to read private key" in networkd.said()
        assert COMPLAINT.findall(networkd.said())


def test_addresses_and_routes_that_networkd_makes_are_those_of_the_view(machine):
    """Of the device itself, networkd takes the kernel's kind only: it is made beforehand here, and has no peers."""
    wanted = registered(machine)
    apply(machine)
    device = machine.device()
    machine.run("ip", "address", "flush", "dev", "wg0")
    machine.run("ip", "link", "set", "wg0", "down")
    NETDEV.unlink()
    with Networkd(machine.disk / "log") as networkd:
        networkd.wait_for("wg0: State changed: configuring -> configured")
        assert machine.device() == device
    assert device.addresses == set(wanted.addresses)
    assert device.routes == device.boot_routes == {"192.168.40.0/24", "fd99::/64"}


def test_a_default_route_through_an_exit_that_networkd_makes_is_that_of_the_view(machine):
    exit_node = replace(PEERS[0], allowed_ips=tuple(sorted((*PEERS[0].allowed_ips, "0.0.0.0/0", "::/0"))))
    registered(machine, exit_node, *PEERS[1:], via=exit_node.name, other_ports=(51830,))
    machine.opts.update(master_ip="203.0.113.5", master_port=4506)
    apply(machine)
    made = machine.library("node.devices").policy(machine.device().mark)
    assert len(made.items) == 9
    for item in made.items:
        machine.run(*item.deleted())
    machine.run("ip", "address", "flush", "dev", "wg0")
    machine.run("ip", "link", "set", "wg0", "down")
    NETDEV.unlink()
    with Networkd(machine.disk / "log") as networkd:
        networkd.wait_for("wg0: State changed: configuring -> configured")
        assert COMPLAINT.findall(networkd.said()) == []
        assert machine.library("node.devices").policy(machine.device().mark) == made
