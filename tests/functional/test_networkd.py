"""Interfaces that systemd-networkd makes at boot: its files, and what networkd itself makes of them."""

import grp
import os
import re
import shutil
import signal
import stat
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest

import faults

pytest.importorskip("salt")

from hosts import ETC, PEERS, key, peer, preshared, registered
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


def test_files_for_networkd_are_written_instead_of_a_service_enabled(machine):
    registered(machine)
    announced = machine.call("apply", test=True)["backbone"]["changes"]
    assert not NETDEV.exists()
    assert apply(machine) == announced
    assert {str(NETDEV), str(NETWORK), str(ETC / "wg0.key"), str(ETC / "wg0.conf")} <= announced.keys()
    assert machine.services.calls == []


def test_a_second_run_finds_nothing_to_do(machine):
    registered(machine)
    apply(machine)
    before = machine.picture()
    machine.forget_commands()
    assert apply(machine) == {}
    assert machine.writing_commands() == []
    assert machine.picture() == before


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


def test_a_file_with_preshared_keys_is_for_networkd_alone_and_open_again_without_them(machine):
    registered(machine, *map(preshared, PEERS))
    apply(machine)
    assert modes()[NETDEV.name] == (0o640, group())
    assert modes()[NETWORK.name] == (0o644, 0)
    assert NETDEV.read_text().count("PresharedKey=") == len(PEERS)
    assert apply(machine) == {}
    NETDEV.chmod(0o644)
    assert apply(machine).keys() == {str(NETDEV)}
    registered(machine)
    apply(machine)
    assert "PresharedKey" not in NETDEV.read_text()
    assert modes()[NETDEV.name][0] == 0o644


def test_networkd_can_read_the_key_that_a_rotation_left(machine):
    registered(machine)
    apply(machine)
    machine.call("rotate_prepare", "backbone")
    assert (ETC / "wg0.key.next").stat().st_mode & 0o777 == 0o600
    assert machine.call("rotate_switch", "backbone", wait=0)["switched"]
    assert modes()["wg0.key"] == (0o640, group())
    assert modes()["wg0.key.previous"] == (0o600, 0)


def test_after_a_rotation_the_file_has_the_preshared_keys_of_the_new_key(machine):
    """Otherwise a power cut before the next sync would leave the node with keys that do not belong together."""
    wanted = registered(machine, *map(preshared, PEERS))
    apply(machine)
    machine.call("rotate_prepare", "backbone")
    next_keys = {each.public_key: key(f"next {each.name}") for each in wanted.peers}
    machine.set_networks(replace(wanted, next_preshared_keys=next_keys))
    assert machine.call("rotate_switch", "backbone", wait=0)["switched"]
    lines = NETDEV.read_text().splitlines()
    assert {f"PresharedKey={each}" for each in next_keys.values()} == {
        line for line in lines if line.startswith("PresharedKey=")
    }
    assert modes()[NETDEV.name] == (0o640, group())


def test_the_files_follow_the_view(machine):
    registered(machine)
    apply(machine)
    registered(machine, PEERS[0])
    assert {str(NETDEV), str(NETWORK)} <= apply(machine).keys()
    assert key("node3") not in NETDEV.read_text()
    assert "fd99::/64" not in NETWORK.read_text()


@pytest.mark.parametrize("path", [NETDEV, NETWORK], ids=["netdev", "network"])
def test_files_of_somebody_else_are_refused_before_anything_is_touched(machine, path):
    registered(machine)
    path.write_text("[Match]\nName=wg0\n")
    message = machine.error("apply")
    assert f"{path} was not written by these modules" in message
    assert path.read_text() == "[Match]\nName=wg0\n"
    assert machine.device() is None


def test_a_removal_takes_the_files_away_and_closes_the_key(machine):
    registered(machine)
    apply(machine)
    machine.call("remove", "wg0")
    assert list(FOLDER.iterdir()) == []
    (aside,) = ETC.iterdir()
    assert modes() == {"wireguard": (0o700, 0), aside.name: (0o600, 0)}


def test_an_interface_that_stays_keeps_its_key_readable(machine):
    registered(machine)
    apply(machine)
    machine.call("apply_interface", "wg1", ["10.9.0.1/24"])
    machine.call("remove", "wg1")
    assert modes()["wireguard"] == (0o710, group())
    assert apply(machine) == {}


def test_a_private_key_of_ones_own_is_opened_for_networkd_and_closed_again(machine):
    own = machine.disk / "own.key"
    machine.call("keypair", "wg1")
    shutil.move(ETC / "wg1.key", own)
    machine.call("apply_interface", "wg1", ["10.9.0.1/24"], private_key_file=str(own))
    assert (own.stat().st_mode & 0o777, own.stat().st_gid) == (0o640, group())
    machine.call("remove", "wg1")
    assert (own.stat().st_mode & 0o777, own.stat().st_gid) == (0o600, 0)
    own.unlink()  # it is a secret outside of its place


# -- from one to the other


def test_from_wg_quick_to_networkd_and_back_nothing_but_boot_changes(machine):
    registered(machine)
    use(machine, "wg-quick")
    apply(machine)
    device, before = machine.device(), modes()
    machine.forget_commands()

    use(machine, "systemd-networkd")
    assert apply(machine)["wg-quick@wg0"] == {"old": "enabled", "new": "disabled"}
    assert machine.services.enabled == {"systemd-networkd"}
    assert machine.services.active == set()
    assert apply(machine) == {}

    use(machine, "wg-quick")
    assert apply(machine).keys() == {"wg-quick@wg0", str(NETDEV), str(NETWORK)}
    assert machine.services.enabled == {"systemd-networkd", "wg-quick@wg0"}
    assert machine.services.active == {"wg-quick@wg0"}
    assert modes() == before
    assert apply(machine) == {}

    assert machine.device() == device
    assert {argv[0] for argv in machine.writing_commands()} == {"systemctl"}


def test_wg_quick_leaves_files_of_somebody_else_to_them(machine):
    registered(machine)
    NETDEV.write_text("[NetDev]\nName=wg0\nKind=wireguard\n")
    use(machine, "wg-quick")
    apply(machine)
    machine.call("remove", "wg0")
    assert NETDEV.exists()


def test_where_networkd_is_not_enabled_wg_quick_stays_and_the_error_says_so(machine):
    wanted = registered(machine)
    use(machine, "wg-quick")
    apply(machine)
    machine.services.enabled.discard("systemd-networkd")
    use(machine, "systemd-networkd")
    assert "systemd-networkd could not be enabled: wg0 works" in machine.error("apply")
    assert machine.services.enabled == {"wg-quick@wg0"}
    assert set(machine.device().peers) == {peer.public_key for peer in wanted.peers}


def test_an_unknown_backend_is_an_error_that_lists_those_there_are(machine):
    use(machine, "networkd")
    registered(machine)
    assert "it can be wg-quick or systemd-networkd" in machine.error("apply")


def test_without_systemd_there_is_no_networkd(machine, monkeypatch):
    import salt.utils.systemd

    registered(machine)
    monkeypatch.setattr(salt.utils.systemd, "booted", lambda context=None: False)
    assert "does not run systemd" in machine.error("apply")


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
