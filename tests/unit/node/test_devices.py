"""WireGuard devices: how one is made, what is shown of it, and what the errors say."""

import pytest
from views import PEERS, key, preshared, registered, view

from saltext.wireguard.node import devices


def test_show_has_everything_but_the_secrets(host):
    wanted = registered(host, PEERS[0], preshared(PEERS[1]))
    host.call("apply")
    shown = host.call("show")
    assert host.call("show", "wg0") == shown
    assert set(shown) == {"wg0"}
    interface = shown["wg0"]
    assert interface["public_key"] == wanted.public_key
    assert (interface["port"], interface["mtu"], interface["up"]) == (51820, 1380, True)
    assert interface["addresses"] == sorted(wanted.addresses)
    assert interface["routes"] == sorted(wanted.routes)
    assert interface["peers"][key("node2")] == {
        "name": "node2",
        "endpoint": "127.0.0.1:4444",
        "allowed_ips": ["10.42.0.2/32", "192.168.40.0/24"],
        "latest_handshake": None,
        "received": 0,
        "sent": 0,
        "keepalive": 25,
        "preshared_key": None,
    }
    assert interface["peers"][key("node3")]["preshared_key"] == "(hidden)"
    assert str(wanted.peers[1].preshared_key) not in str(shown)


def test_show_lists_devices_that_are_not_ours_too(host):
    host.run("ip", "link", "add", "wg9", "type", "wireguard")
    assert host.call("show")["wg9"]["peers"] == {}


@pytest.fixture
def without_module(host):
    """The kernel has no WireGuard."""
    registered(host)
    host.machine.failing["ip link add*"] = "Error: Unknown device type."
    return host


def test_without_the_kernels_wireguard_wireguard_go_makes_the_device(without_module):
    assert without_module.call("apply")["backbone"]["result"] is True
    assert ["wireguard-go", "wg0"] in without_module.commands


def test_without_any_wireguard_the_error_says_what_to_install(without_module):
    without_module.machine.programs.discard("wireguard-go")
    message = without_module.error("apply")
    assert "this kernel has no WireGuard" in message
    assert "Unknown device type" in message
    assert "Install the kernel module, or wireguard-go" in message
    assert not without_module.config.exists()


def test_an_error_shows_the_end_of_what_a_program_wrote(without_module):
    """wireguard-go writes a large box before it says what is wrong; the message had the beginning of the box only."""
    without_module.machine.failing["wireguard-go*"] = "-" * 400 + "\nthe tunnel is out of order"
    assert "the tunnel is out of order" in without_module.error("apply")


def test_a_device_that_is_gone_is_deleted_without_an_error(host):
    host.set_networks(view(host.call("keypair", "wg0")))
    devices.delete("wg0")
    assert host.writing_commands() == []
