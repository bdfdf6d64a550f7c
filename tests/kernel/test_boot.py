"""Debian with systemd on the kernel's WireGuard, from the first `state.apply` through boots and power cuts."""

import json
import re
import shutil
import time

import pytest

MINION = """
id: node1
file_client: local
master_type: disable
module_dirs: [/share/checkout]
file_roots: {base: [/share/checkout, /share/checkout/salt]}
ext_pillar: [{wireguard: {mesh: /srv/mesh.yml}}]
enable_fqdns_grains: false
wireguard: {install_packages: false}
"""

# What a change and a boot may not touch. `wg` shows the allowed IPs of a peer in no certain order.
PICTURE = "wg showconf wg0; ip -json address show dev wg0; ip -json route show dev wg0"
KEY = f"{'A' * 20}{{:03}}{'A' * 20}="


def mesh(own_key, peers):
    """One node, and others that it knows the addresses of: nobody answers there."""
    nodes = [f"node1: {{public_key: {own_key}, addresses: [10.42.0.1], endpoint: 192.0.2.10}}"]
    nodes += [
        f"peer{number}: {{public_key: {KEY.format(number)}, addresses: [10.42.{number // 200 + 1}.{number % 200 + 1}],"
        f" endpoint: 192.0.2.{number % 200 + 20}}}"
        for number in peers
    ]
    return f"networks: {{backbone: {{subnets: [10.42.0.0/16], nodes: {{{', '.join(nodes)}}}}}}}\n"


def apply(machine, peers):
    machine.run(f"cat >/srv/mesh.yml <<'END'\n{mesh(machine.own_key, peers)}END")
    return changed(machine)


def changed(machine):
    """What `state.apply` changed."""
    text = machine.run("salt-call --out=json state.apply wireguard")
    states = json.loads(text[text.index("{\n") :])["local"]
    return {key: value for state in states.values() for key, value in state["changes"].items()}


def picture(machine):
    config, *rest = machine.run(PICTURE).split("\n[{", 1)
    in_order = re.sub(r"(?<=AllowedIPs = ).*", lambda networks: str(sorted(networks[0].split(", "))), config)
    return sorted(in_order.split("\n")), rest


def peers_of(machine):
    return {int(key[20:23]) for key in machine.run("wg show wg0 peers").split()}


def is_active(machine):
    return machine.run("systemctl is-active wg-quick@wg0 || true").strip()


PEERS = range(1, 4)


@pytest.fixture(scope="module")
def applied(boot, tmp_path_factory):
    """What a machine has written that applied once, and that was shut down then; its public key."""
    with boot(tmp_path_factory.mktemp("first")) as machine:
        machine.run(f"mkdir -p /etc/salt /srv; cat >/etc/salt/minion <<'END'{MINION}END")
        machine.own_key = machine.run("salt-call --out=newline_values_only wireguard.keypair wg0").split()[-1]
        assert apply(machine, PEERS)["device"]["new"] == "wg0"
        assert "wireguard" in machine.run("ip -d link show wg0")
        assert is_active(machine) == "active"
        machine.run("systemctl enable salt-minion")
        machine.off()
        yield machine.written, machine.own_key


@pytest.fixture
def machine(boot, applied, tmp_path):
    written, own_key = applied
    with boot(tmp_path, written) as machine:
        machine.own_key = own_key
        machine.run("systemctl is-system-running --wait || true")
        yield machine
    shutil.rmtree(tmp_path)


def test_after_a_boot_everything_is_there_and_nothing_is_left_to_do(machine):
    assert is_active(machine) == "active"
    assert peers_of(machine) == set(PEERS)
    assert changed(machine) == {}


def test_a_unit_that_was_left_inactive_becomes_active_and_works_from_then_on(machine):
    """The first apply left it enabled and inactive, and `systemctl start` failed then: the device existed."""
    machine.run("systemctl stop wg-quick@wg0")
    machine.run("wg-quick up wg0")
    before = picture(machine)
    assert machine.run("systemctl start wg-quick@wg0 2>&1 || echo fails").endswith("fails\n")
    assert changed(machine) == {"wg-quick@wg0": {"old": "failed", "new": "active"}}
    assert picture(machine) == before
    machine.run("systemctl start wg-quick@wg0")
    assert picture(machine) == before
    assert machine.run("systemctl cat wg-quick@wg0").count("ExecStart=") == 1
    machine.run("systemctl stop wg-quick@wg0")
    assert machine.run("ip -o link show type wireguard") == ""
    machine.run("systemctl start wg-quick@wg0")
    assert peers_of(machine) == set(PEERS)


def test_an_upgrade_of_the_tools_brings_the_same_interface_back(machine):
    machine.run("/var/lib/dpkg/info/wireguard-tools.postinst configure 1.0")
    assert is_active(machine) == "active"
    assert peers_of(machine) == set(PEERS)
    assert changed(machine) == {}


def test_a_removed_interface_leaves_no_unit_behind_and_does_not_come_up(machine):
    machine.run("salt-call --retcode-passthrough wireguard.remove wg0")
    assert is_active(machine) == "inactive"
    assert machine.run("systemctl --failed --no-legend") == ""
    machine.reboot()
    assert machine.run("ip -o link show type wireguard") == ""


@pytest.mark.parametrize("part", [0.3, 0.5, 0.6, 0.7, 0.8, 0.9])
def test_a_power_cut_in_the_middle_of_a_change_leaves_the_old_or_the_new_configuration(machine, part):
    """The cut comes after a part of the time that such a change takes."""
    began = time.monotonic()
    apply(machine, range(100, 300))
    lasted = time.monotonic() - began
    machine.run(f"cat >/srv/mesh.yml <<'END'\n{mesh(machine.own_key, range(200, 400))}END\nsync")
    machine.start("salt-call state.apply wireguard")
    time.sleep(part * lasted)
    machine.cut()
    machine.on()
    machine.run("systemctl is-system-running --wait || true")
    assert is_active(machine) == "active"
    assert peers_of(machine) in (set(range(100, 300)), set(range(200, 400)))
    changed(machine)
    assert peers_of(machine) == set(range(200, 400))
    assert changed(machine) == {}


def use_networkd(machine):
    machine.run("sed -i 's/install_packages: false/&, backend: systemd-networkd/' /etc/salt/minion")
    assert changed(machine)["wg-quick@wg0"] == {"old": "enabled", "new": "disabled"}
    assert is_active(machine) == "inactive"


def test_what_the_unit_has_started_goes_on_when_networkd_follows_it(machine):
    """At boot, wireguard-go is started by the unit, and belongs to it: a stop ended it, and its device was gone."""
    folder = "/run/systemd/system/wg-quick@wg0.service.d"
    setting = "[Service]\nExecStartPost=/bin/sh -c 'sleep 7777 &'"
    machine.run(f"mkdir -p {folder}; cat >{folder}/daemon.conf <<'END'\n{setting}\nEND")
    machine.run("systemctl daemon-reload; systemctl restart wg-quick@wg0")
    daemon = machine.run("pgrep -f 'sleep 7777$'")
    before = picture(machine)
    use_networkd(machine)
    assert machine.run("pgrep -f 'sleep 7777$'") == daemon
    assert picture(machine) == before


def test_a_start_that_hangs_ends_without_the_device_when_networkd_follows_it(machine):
    """wg-quick, when it is told to end, takes down what it has made so far."""
    machine.run("echo 'PostUp = sleep 7777' >/tmp/hook; sed -i '/^.Interface.$/r /tmp/hook' /etc/wireguard/wg0.conf")
    machine.run("systemctl restart --no-block wg-quick@wg0; until pgrep -f 'sleep 7777$'; do sleep 0.1; done")
    assert is_active(machine) == "activating"
    before = picture(machine)
    use_networkd(machine)
    assert machine.run("pgrep -f 'sleep 7777$' || true") == ""
    assert picture(machine) == before


def test_networkd_makes_the_device_at_boot_and_keeps_it_through_reload_and_restart(machine):
    use_networkd(machine)
    assert peers_of(machine) == set(PEERS)
    machine.reboot()
    assert is_active(machine) == "inactive"
    assert peers_of(machine) == set(PEERS)
    assert machine.run("networkctl list wg0 --no-legend").split()[-1] == "configured"
    assert changed(machine) == {}
    before = picture(machine)
    for command in ("networkctl reload", "systemctl restart systemd-networkd"):
        machine.run(command)
        time.sleep(2)  # for what networkd does then
        assert picture(machine) == before
    assert changed(machine) == {}
