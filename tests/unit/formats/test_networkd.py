"""What systemd-networkd itself makes of these files is in tests/functional/test_networkd.py."""

from dataclasses import replace

import pytest

from saltext.wireguard.errors import ViewError
from saltext.wireguard.formats import networkd
from saltext.wireguard.model.view import Peer, View

KEYS = {name: letter * 43 + "=" for name, letter in (("node2", "A"), ("node3", "E"), ("node4", "I"))}
VIEW = View(
    "wg0",
    ("10.42.0.1/16", "fd42::1/64"),
    (
        Peer("node4", KEYS["node4"], ()),
        Peer("node3", KEYS["node3"], ("10.42.0.3/32", "fd99::/64"), "db.example.com:51820"),
        Peer("node2", KEYS["node2"], ("10.42.0.2/32", "192.168.40.0/24"), "10.66.0.12:51820", 25),
    ),
    network="backbone",
    port=51820,
    mtu=1380,
)

NETDEV = f"""\
# Managed by Salt (saltext-wireguard), network backbone. Changes made here are lost.
[NetDev]
Name=wg0
Kind=wireguard
MTUBytes=1380

[WireGuard]
PrivateKeyFile=/etc/wireguard/wg0.key
ListenPort=51820

# node2
[WireGuardPeer]
PublicKey={KEYS["node2"]}
AllowedIPs=10.42.0.2/32,192.168.40.0/24
Endpoint=10.66.0.12:51820
PersistentKeepalive=25

# node3
[WireGuardPeer]
PublicKey={KEYS["node3"]}
AllowedIPs=10.42.0.3/32,fd99::/64

# node4
[WireGuardPeer]
PublicKey={KEYS["node4"]}
"""

NETWORK = """\
# Managed by Salt (saltext-wireguard), network backbone. Changes made here are lost.
[Match]
Name=wg0

[Link]
RequiredForOnline=no

[Network]
LinkLocalAddressing=no
IPv6AcceptRA=no
Address=10.42.0.1/16
Address=fd42::1/64

[Route]
Destination=192.168.40.0/24
Protocol=boot
Scope=link

[Route]
Destination=fd99::/64
Protocol=boot
"""

KEY_FILE = "/etc/wireguard/wg0.key"
ENDPOINTS = {"10.66.0.12:51820": "10.66.0.12:51820"}


def test_a_preshared_key_is_in_the_file_of_the_device():
    keyed = replace(VIEW.peers[0], preshared=True, preshared_key=KEYS["node2"])
    text = networkd.netdev(replace(VIEW, peers=(keyed, *VIEW.peers[1:])), "wg0.key", {})
    assert f"PublicKey={KEYS['node4']}\nPresharedKey={KEYS['node2']}\n" in text
    assert text.count("PresharedKey") == 1


def test_the_device_and_its_peers():
    assert networkd.netdev(VIEW, KEY_FILE, ENDPOINTS) == NETDEV


def test_addresses_and_the_routes_that_no_address_brings_along():
    assert networkd.network(VIEW) == NETWORK


def test_what_the_view_leaves_to_the_system_is_left_to_networkd():
    text = networkd.netdev(View("wg1", ()), KEY_FILE, {})
    assert "MTUBytes" not in text
    assert "ListenPort" not in text


def test_an_endpoint_is_what_the_caller_resolved_and_never_the_name():
    text = networkd.netdev(VIEW, KEY_FILE, {"db.example.com:51820": "10.66.0.13:51820"})
    assert "example.com" not in text
    assert "Endpoint=10.66.0.13:51820\n" in text


def test_the_path_of_the_key_is_read_back():
    assert networkd.key_file_of(NETDEV) == KEY_FILE


def test_of_a_file_of_somebody_else_nothing_is_believed():
    foreign = NETDEV.partition("\n")[2]
    assert networkd.key_file_of(foreign) is None


@pytest.mark.parametrize("key_file", ["/etc/a\nPostUp=x", "/etc/\x1b[2J"])
def test_a_value_that_would_break_its_line_is_refused(key_file):
    with pytest.raises(ViewError, match="control character"):
        networkd.netdev(VIEW, key_file, ENDPOINTS)


def test_a_node_that_passes_packets_on_forwards_from_boot_on():
    assert "IPForward=yes" in networkd.network(replace(VIEW, forwarding=True)).splitlines()


def test_with_dynamic_routing_there_are_no_routes_and_a_link_local_address():
    lines = networkd.network(replace(VIEW, dynamic_routing=True)).splitlines()
    assert "Address=fe80::a2a:1/64" in lines
    assert "[Route]" not in lines
