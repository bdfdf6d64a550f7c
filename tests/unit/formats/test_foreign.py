"""Files of others: what they say is found, in whatever way people write it, and no secret gets any further."""

import pytest

from factories import public_key
from saltext.wireguard.formats import foreign
from saltext.wireguard.model.inventory import FoundPeer

PRIVATE = "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk="
PRESHARED = "FpCyhws9cxwWoV4xELtfJvjJN+zQVRPISllRWgeopVE="

TEXT = f"""
[interface]
address = 10.42.0.1/24, fd42::1/64   # both
Address = 10.43.0.1
PrivateKey = {PRIVATE}
ListenPort = 51820
MTU=1400
DNS = 10.42.0.53
PostUp = iptables -t nat -A POSTROUTING -o eth0 -j MASQUERADE; sysctl -w net.ipv4.ip_forward=1
PostDown = /usr/local/bin/notify --token {PRIVATE}
SaveConfig = true

# alice's phone
[Peer]
publickey = {public_key("phone")}
presharedkey = {PRESHARED}
AllowedIPs = 10.42.0.7/32
allowedips = 10.9.9.1/8

[Peer]
# friendly_name = web2
PublicKey = {public_key("web2")}
AllowedIPs = 10.42.0.2
Endpoint = web2.example.com:51820
PersistentKeepalive = 25
"""


def inventory(text, **settings):
    return foreign.parse_wg_quick(text).inventory("wg0", ["/etc/wireguard/wg0.conf"], public_key("own"), **settings)


def test_a_file_of_wg_quick_is_read_as_wg_quick_reads_it():
    found = inventory(TEXT)
    assert found.addresses == ("10.42.0.1/24", "fd42::1/64", "10.43.0.1/32")
    assert (found.port, found.is_port_written, found.mtu) == (51820, True, 1400)
    assert found.peers == (
        FoundPeer(public_key("phone"), ("10.0.0.0/8", "10.42.0.7/32"), name="alice's phone", preshared=True),
        FoundPeer(public_key("web2"), ("10.42.0.2/32",), "web2.example.com:51820", 25, "web2"),
    )
    assert found.problems == ()


def test_settings_that_no_view_has_are_named_and_hooks_by_what_they_are():
    found = inventory(TEXT)
    assert found.hooks == ("PostUp: iptables, sysctl (masquerading, forwarding)", "PostDown: notify")
    assert found.settings == ("DNS: 10.42.0.53", "SaveConfig: true")


def test_no_secret_is_in_what_leaves_the_machine_nor_in_any_repr():
    config = foreign.parse_wg_quick(TEXT)
    assert config.private_key == PRIVATE
    assert dict(config.preshared_keys) == {public_key("phone"): PRESHARED}
    for text in (repr(config), repr(inventory(TEXT).to_dict())):
        assert PRIVATE not in text
        assert PRESHARED not in text


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (f"PublicKey = {PRIVATE[:-3]}", "no usable public key"),
        ("AllowedIPs = 10.42.0.300/32", "AllowedIPs: '10.42.0.300/32'"),
        (f"Endpoint = {PRIVATE}", "Endpoint: '(hidden)' is no endpoint"),
        (f"PersistentKeepalive = {PRIVATE}", "PersistentKeepalive: invalid literal"),
        ("PresharedKeyFile = /etc/psk", "a preshared key in a file of its own is not kept"),
    ],
)
def test_what_cannot_be_read_is_a_problem_of_that_line_which_quotes_no_secret(line, problem):
    found = inventory(f"[Peer]\n{line}\n\n[Peer]\nPublicKey = {public_key('web2')}\n")
    assert any(problem in each for each in found.problems), found.problems
    assert PRIVATE[:-3] not in repr(found.problems)
    assert public_key("web2") in {peer.public_key for peer in found.peers}


@pytest.mark.parametrize(
    ("comment", "name"),
    [
        ("# alice-phone", "alice-phone"),
        ("### Client bob", "bob"),
        ("# Name = carol", "carol"),
        ("# friendly_name=dave", "dave"),
        ("# BEGIN_PEER eve", "eve"),
        ("# PresharedKey = abc", None),
        ("# " + PRIVATE, "(hidden)"),
        ("#", None),
    ],
)
def test_a_peer_has_the_name_in_the_comment_above_it(comment, name):
    found = inventory(f"[Interface]\n\n{comment}\n[Peer]\nPublicKey = {public_key('a')}\n")
    assert [peer.name for peer in found.peers] == [name]


NETDEV = f"""
[NetDev]
Name=wg0
Kind=wireguard
MTUBytes=1380

[WireGuard]
PrivateKeyFile=/etc/systemd/network/wg0.key
ListenPort=51820
FirewallMark=0x51

; the other one
[WireGuardPeer]
PublicKey={public_key("web2")}
AllowedIPs=10.42.0.2/32,192.168.9.0/24
Endpoint=192.0.2.2:51820
"""
NETWORK = "[Match]\nName=wg0\n\n[Network]\nAddress=10.42.0.1/24\n\n[Address]\nAddress=fd42::1/64\n"


def test_the_files_of_networkd_are_read_together():
    assert foreign.is_netdev(NETDEV)
    assert not foreign.is_netdev(NETWORK)
    assert foreign.name_in(NETDEV) == foreign.name_in(NETWORK) == "wg0"
    config = foreign.parse_networkd(NETDEV, NETWORK)
    assert (config.key_file, config.private_key) == ("/etc/systemd/network/wg0.key", None)
    assert (config.port, config.mtu, config.addresses) == (51820, 1380, ("10.42.0.1/24", "fd42::1/64"))
    assert config.others == (("FwMark", "0x51"),)
    assert config.peers == (FoundPeer(public_key("web2"), ("10.42.0.2/32", "192.168.9.0/24"), "192.0.2.2:51820"),)


def test_a_file_that_makes_no_sense_is_no_error():
    found = inventory("\x00[Peer\n=\n[Peer]\n\n[]\nPublicKey")
    assert found.peers == ()
