"""What a minion tells of WireGuard that somebody else set up: all but the secrets, and nothing is touched."""

import pytest
from views import key

from saltext.wireguard.model.inventory import Inventory
from saltext.wireguard.node import other_managers
from unit.node.host import files

PRIVATE = "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk="
PRESHARED = "FpCyhws9cxwWoV4xELtfJvjJN+zQVRPISllRWgeopVE="
TEXT = f"""[Interface]
PrivateKey = {PRIVATE}
Address = 10.42.0.1/24
ListenPort = 51820
PostUp = curl -H 'Authorization: {PRESHARED}' http://example.com

# node2
[Peer]
PublicKey = {key("node2")}
PresharedKey = {PRESHARED}
AllowedIPs = 10.42.0.2/32
Endpoint = node2.example.com:51820
"""


@pytest.fixture
def living(host, monkeypatch):
    """A wg0 that somebody set up by hand, up for a while."""
    monkeypatch.setattr(other_managers, "ROOT", str(host.disk))
    (host.etc / "wg0.conf").write_text(TEXT)
    host.run("ip", "link", "add", "wg0", "type", "wireguard")
    (host.disk / "key").write_text(PRIVATE)
    host.run("wg", "set", "wg0", "private-key", str(host.disk / "key"), "listen-port", "51820")
    host.run("wg", "set", "wg0", "peer", key("node2"), "allowed-ips", "10.42.0.2/32", "endpoint", "192.0.2.9:4000")
    host.run("ip", "address", "add", "10.42.0.1/24", "dev", "wg0")
    host.forget_commands()
    return host


def found(host, interface="wg0"):
    return Inventory.from_dict(host.call("inventory")["interfaces"][interface], interface)


def test_a_device_and_its_file_are_one_interface(living):
    one = found(living)
    assert (one.addresses, one.port, one.is_port_written) == (("10.42.0.1/24",), 51820, True)
    assert one.files == (str(living.etc / "wg0.conf"),)
    assert one.network is None
    (peer,) = one.peers
    assert (peer.name, peer.endpoint, peer.preshared) == ("node2", "node2.example.com:51820", False)
    assert one.public_key == living.device().public_key


def test_nothing_is_touched_and_no_secret_leaves_the_minion(living):
    before = living.picture()
    answer = living.call("inventory")
    assert living.writing_commands() == []
    assert living.picture() == before
    assert PRIVATE not in str(answer)
    assert PRESHARED not in str(answer)
    assert found(living).hooks == ("PostUp: curl",)


def test_a_file_without_a_device_has_the_public_key_of_its_private_key(living):
    public_key = living.device().public_key
    living.machine.devices.clear()
    one = found(living)
    assert one.public_key == public_key
    assert one.peers[0].preshared
    assert not one.peers[0].is_live


def test_a_device_without_a_file_is_gone_after_the_next_boot(living):
    (living.etc / "wg0.conf").unlink()
    assert found(living).problems == ("no file describes it: it is gone after the next boot",)


def test_the_files_of_networkd_are_found_by_what_is_in_them(living):
    (living.etc / "wg0.conf").unlink()
    folder = living.disk / "networkd"
    folder.mkdir()
    (folder / "20-vpn.netdev").write_text(
        f"[NetDev]\nName=wg0\nKind=wireguard\n[WireGuard]\nPrivateKey={PRIVATE}\n"
        f"[WireGuardPeer]\nPublicKey={key('node2')}\nAllowedIPs=10.42.0.2/32\n"
    )
    (folder / "30-vpn.network").write_text("[Match]\nName=wg0\n[Network]\nAddress=10.42.0.1/24\n")
    (folder / "eth0.network").write_text("[Match]\nName=eth0\n[Network]\nDHCP=yes\n")
    one = found(living)
    assert one.files == (str(folder / "20-vpn.netdev"), str(folder / "30-vpn.network"))
    assert one.at_boot == (f"systemd-networkd ({folder / '20-vpn.netdev'})",)
    assert one.problems == ()


@pytest.mark.parametrize(
    ("path", "text", "said"),
    [
        ("etc/systemd/system/multi-user.target.wants/wg-quick@wg0.service", "", "systemd ({path})"),
        ("etc/runlevels/default/wg-quick.wg0", "", "OpenRC ({path})"),
        ("etc/network/interfaces.d/vpn", "# auto wg0\nauto wg0\niface wg0 inet static\n", "ifupdown ({path}:2)"),
        ("etc/netplan/60.yaml", "network:\n  tunnels:\n    wg0:\n      mode: wireguard\n", "netplan ({path}:3)"),
        (
            "etc/NetworkManager/system-connections/vpn.nmconnection",
            "[connection]\ninterface-name=wg0\n",
            "NetworkManager ({path}:2)",
        ),
        ("etc/rc.local", "#!/bin/sh\nwg-quick up wg0\n", "rc.local ({path}:2)"),
        ("etc/cron.d/vpn", "@reboot root wg-quick up wg0\n", "cron ({path}:1)"),
    ],
)
def test_who_brings_it_up_at_boot_is_said_with_file_and_line(living, path, text, said):
    file = living.disk / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    assert found(living).at_boot == (said.format(path=file),)


def test_a_program_that_brings_another_interface_up_is_not_named(living):
    (living.disk / "etc/network").mkdir(exist_ok=True)
    (living.disk / "etc/network/interfaces").write_text("auto wg01\nauto eth0\n")
    assert found(living).at_boot == ()


def test_one_interface_that_cannot_be_read_does_not_hide_the_others(living):
    living.machine.failing["wg show wg0 dump"] = "Operation not permitted"
    (living.etc / "wg1.conf").write_text(TEXT)
    assert "Operation not permitted" in found(living).error
    assert found(living, "wg1").error is None


def test_a_minion_with_nothing_has_no_interfaces(host):
    assert host.call("inventory") == {"interfaces": {}}
    assert files(host.etc) == {}
