"""The files for systemd-networkd: when they are written, who may read them, and what is left alone."""

import grp
import os
import shutil
import stat
from dataclasses import replace

import pytest
import salt.utils.systemd
from views import PEERS, key, preshared, registered

from saltext.wireguard.node.boot import networkd
from unit.node.boot.services import Services

GROUP = grp.getgrgid(os.getgid())


@pytest.fixture
def machine(host, monkeypatch):
    """A host whose network is networkd's, which runs as a group of ours."""
    (host.disk / "networkd").mkdir()
    monkeypatch.setattr(networkd, "GROUP", GROUP.gr_name)
    host.services = Services(host, monkeypatch)
    host.services.enabled.add("systemd-networkd")
    host.netdev, host.network = (host.disk / "networkd" / f"50-wg0.{kind}" for kind in ("netdev", "network"))
    use(host, "systemd-networkd")
    return host


def use(host, backend):
    host.configure(wireguard={"backend": backend})


def apply(host):
    result = host.call("apply")["backbone"]
    assert result["result"] is True, result
    return result["changes"]


def modes(host):
    paths = (host.etc, *host.etc.iterdir(), *(host.disk / "networkd").iterdir())
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in paths}


def test_files_are_written_instead_of_a_service_enabled(machine):
    registered(machine)
    announced = machine.call("apply", test=True)["backbone"]["changes"]
    assert not machine.netdev.exists()
    assert apply(machine) == announced
    etc = machine.etc
    assert {*map(str, (machine.netdev, machine.network, etc / "wg0.key", etc / "wg0.conf"))} <= announced.keys()
    assert machine.services.calls == []


def test_a_second_run_finds_nothing_to_do(machine):
    registered(machine)
    apply(machine)
    before = machine.picture()
    machine.forget_commands()
    assert apply(machine) == {}
    assert machine.writing_commands() == []
    assert machine.picture() == before


def test_a_file_with_preshared_keys_is_for_networkd_alone_and_open_again_without_them(machine):
    registered(machine, *map(preshared, PEERS))
    apply(machine)
    assert (modes(machine)["50-wg0.netdev"], modes(machine)["50-wg0.network"]) == (0o640, 0o644)
    assert machine.netdev.read_text().count("PresharedKey=") == len(PEERS)
    assert apply(machine) == {}
    machine.netdev.chmod(0o644)
    assert apply(machine).keys() == {str(machine.netdev)}
    registered(machine)
    apply(machine)
    assert "PresharedKey" not in machine.netdev.read_text()
    assert modes(machine)["50-wg0.netdev"] == 0o644


def test_the_files_follow_the_view(machine):
    registered(machine)
    apply(machine)
    registered(machine, PEERS[0])
    assert {str(machine.netdev), str(machine.network)} <= apply(machine).keys()
    assert key("node3") not in machine.netdev.read_text()
    assert "fd99::/64" not in machine.network.read_text()


@pytest.mark.parametrize("name", ["50-wg0.netdev", "50-wg0.network"])
def test_files_of_somebody_else_are_refused_before_anything_is_touched(machine, name):
    registered(machine)
    path = machine.disk / "networkd" / name
    path.write_text("[Match]\nName=wg0\n")
    assert f"{path} was not written by these modules" in machine.error("apply")
    assert path.read_text() == "[Match]\nName=wg0\n"
    assert machine.device() is None


def test_a_removal_takes_the_files_away_and_closes_the_key(machine):
    registered(machine)
    apply(machine)
    assert modes(machine)["wg0.key"] == 0o640
    machine.call("remove", "wg0")
    (aside,) = machine.etc.iterdir()
    assert modes(machine) == {"wireguard": 0o700, aside.name: 0o600}


def test_an_interface_that_stays_keeps_its_key_readable(machine):
    registered(machine)
    apply(machine)
    machine.etc.chmod(0o700)
    apply(machine)
    machine.call("apply_interface", "wg1", ["10.9.0.1/24"])
    machine.call("remove", "wg1")
    assert modes(machine)["wireguard"] == 0o710
    assert apply(machine) == {}


def test_a_private_key_of_ones_own_is_opened_for_networkd_and_closed_again(machine):
    own = machine.disk / "own.key"
    machine.call("keypair", "wg1")
    shutil.move(machine.etc / "wg1.key", own)
    machine.call("apply_interface", "wg1", ["10.9.0.1/24"], private_key_file=str(own))
    assert (own.stat().st_mode & 0o777, own.stat().st_gid) == (0o640, GROUP.gr_gid)
    machine.call("remove", "wg1")
    assert own.stat().st_mode & 0o777 == 0o600


def test_from_wg_quick_to_networkd_and_back_nothing_but_boot_changes(machine):
    registered(machine)
    use(machine, "wg-quick")
    apply(machine)
    device = machine.device()
    machine.forget_commands()

    use(machine, "systemd-networkd")
    assert apply(machine)["wg-quick@wg0"] == {"old": "enabled", "new": "disabled"}
    assert machine.services.enabled == {"systemd-networkd"}
    assert machine.services.active == set()
    assert apply(machine) == {}

    use(machine, "wg-quick")
    assert apply(machine).keys() == {"wg-quick@wg0", str(machine.netdev), str(machine.network)}
    assert machine.services.enabled == {"systemd-networkd", "wg-quick@wg0"}
    assert machine.services.active == {"wg-quick@wg0"}
    assert (modes(machine)["wireguard"], modes(machine)["wg0.key"]) == (0o700, 0o600)
    assert apply(machine) == {}

    assert machine.device() == device
    assert {argv[0] for argv in machine.writing_commands()} == {"systemctl"}


def test_wg_quick_leaves_files_of_somebody_else_to_them(machine):
    registered(machine)
    machine.netdev.write_text("[NetDev]\nName=wg0\nKind=wireguard\n")
    use(machine, "wg-quick")
    apply(machine)
    machine.call("remove", "wg0")
    assert machine.netdev.exists()


def test_where_networkd_is_not_enabled_wg_quick_stays_and_the_error_says_so(machine):
    wanted = registered(machine)
    use(machine, "wg-quick")
    apply(machine)
    machine.services.enabled.discard("systemd-networkd")
    use(machine, "systemd-networkd")
    assert "systemd-networkd could not be enabled: wg0 works" in machine.error("apply")
    assert machine.services.enabled == {"wg-quick@wg0"}
    assert set(machine.device().peers) == {peer.public_key for peer in wanted.peers}


def test_without_networkds_group_the_error_names_it(machine, monkeypatch):
    registered(machine)
    monkeypatch.setattr(networkd, "GROUP", "there-is-no-such-group")
    assert "there is no group there-is-no-such-group" in machine.error("apply")


def test_an_unknown_backend_is_an_error_that_lists_those_there_are(machine):
    use(machine, "networkd")
    registered(machine)
    assert "it can be wg-quick or systemd-networkd" in machine.error("apply")


def test_without_systemd_there_is_no_networkd(machine, monkeypatch):
    registered(machine)
    monkeypatch.setattr(salt.utils.systemd, "booted", lambda context=None: False)
    assert "does not run systemd" in machine.error("apply")


def test_after_a_rotation_the_file_has_the_preshared_keys_of_the_new_key(machine):
    """Otherwise a power cut before the next sync would leave the node with keys that do not belong together."""
    wanted = registered(machine, *map(preshared, PEERS))
    apply(machine)
    machine.call("rotate_prepare", "backbone")
    next_keys = {each.public_key: key(f"next {each.name}") for each in wanted.peers}
    machine.set_networks(replace(wanted, next_preshared_keys=next_keys))
    assert machine.call("rotate_switch", "backbone", wait=0)["switched"]
    lines = machine.netdev.read_text().splitlines()
    assert {line for line in lines if line.startswith("PresharedKey=")} == {
        f"PresharedKey={each}" for each in next_keys.values()
    }
    assert modes(machine)["50-wg0.netdev"] == 0o640
