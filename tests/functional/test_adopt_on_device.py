"""A network that somebody made by hand: what the minion finds of it on a real device, and how it is taken over."""

from hosts import ETC, key
from saltext.wireguard.model.inventory import Inventory

PRESHARED = "FpCyhws9cxwWoV4xELtfJvjJN+zQVRPISllRWgeopVE="


def by_hand(host, *peers):
    """A wg0 that wg-quick brought up from a file of somebody's. Returns its public key."""
    private = host.run("wg", "genkey").strip()
    host.secrets.add(private)
    host.shared_secrets.add(PRESHARED)
    lines = ["[Interface]", f"PrivateKey = {private}", "Address = 10.42.0.1/24, fd42::1/64", "ListenPort = 51820"]
    (ETC / "wg0.conf").write_text("\n".join([*lines, *peers]) + "\n")
    host.run("wg-quick", "up", "wg0")
    return host.run("wg", "pubkey", text=private).strip()


NODE2 = f"""
# node2
[Peer]
PublicKey = {key("node2")}
PresharedKey = {PRESHARED}
AllowedIPs = 10.42.0.2/32, 192.168.40.0/24
Endpoint = 127.0.0.1:4444
PersistentKeepalive = 25"""


def test_the_inventory_of_what_wg_quick_brought_up(host):
    own_key = by_hand(host, NODE2)
    before = host.picture()
    host.forget_commands()
    found = Inventory.from_dict(host.call("inventory")["interfaces"]["wg0"])
    assert host.writing_commands() == []
    assert host.picture() == before
    assert (found.public_key, found.port, found.up, found.problems) == (own_key, 51820, True, ())
    assert found.addresses == ("10.42.0.1/24", "fd42::1/64")
    (peer,) = found.peers
    assert (peer.public_key, peer.name, peer.preshared, peer.is_live) == (key("node2"), "node2", True, True)
    assert (peer.endpoint, peer.keepalive) == ("127.0.0.1:4444", 25)
    assert peer.allowed_ips == ("10.42.0.2/32", "192.168.40.0/24")
