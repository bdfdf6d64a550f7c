"""What a change refuses, finds in its way, and leaves as it was."""

import pytest
from views import PEERS, key, peer, preshared, registered


def put_by_hand(host, *words):
    secret = host.run("wg", "genkey").strip()
    file = host.disk / "by-hand"
    file.write_text(secret)
    host.run("wg", "set", "wg0", *(str(file) if word == "@SECRET@" else word for word in words))
    file.unlink()
    return secret


def test_a_wireguard_device_of_somebody_else_is_refused_and_untouched(host):
    registered(host)
    host.run("ip", "link", "add", "wg0", "type", "wireguard")
    put_by_hand(host, "listen-port", "4242", "private-key", "@SECRET@")
    before = host.picture()
    assert "a device wg0 exists that these modules did not create" in host.error("apply")
    assert host.picture() == before


def test_a_device_made_by_hand_is_taken_over_with_its_sessions_once_its_key_is_where_ours_are(host):
    """The key of the old file is written into ours, and the old file moved away."""
    registered(host, PEERS[0])
    host.run("ip", "link", "add", "wg0", "type", "wireguard")
    host.run("wg", "set", "wg0", "private-key", str(host.etc / "wg0.key"), "listen-port", "51820")
    allowed = ",".join(PEERS[0].allowed_ips)
    host.run("wg", "set", "wg0", "peer", PEERS[0].public_key, "allowed-ips", allowed)
    host.run("wg", "set", "wg0", "peer", key("old"), "allowed-ips", "10.42.0.77/32")
    host.run("ip", "address", "add", "10.42.0.1/16", "dev", "wg0")
    host.run("ip", "link", "set", "wg0", "up")
    host.machine.devices["wg0"].peers[PEERS[0].public_key].handshake = 1000
    changes = host.call("apply", force=True, reason="migrated")["backbone"]["changes"]
    assert changes["peer " + key("old")]["new"] is None
    assert not {"device", "private key", "listen port", "address 10.42.0.1/16"} & set(changes)
    assert host.machine.devices["wg0"].peers[PEERS[0].public_key].handshake == 1000
    assert host.call("apply")["backbone"]["changes"] == {}


def test_a_preshared_key_set_by_hand_is_removed_and_not_shown(host):
    registered(host)
    host.call("apply")
    secret = put_by_hand(host, "peer", key("node2"), "preshared-key", "@SECRET@")
    result = host.call("apply")["backbone"]
    assert result["changes"]["peer node2"] == {"old": {"preshared_key": "set"}, "new": {"preshared_key": "removed"}}
    assert not host.device().peers[key("node2")].preshared_key
    assert secret not in str(result)


def test_a_device_with_preshared_keys_whose_file_was_damaged_can_be_returned_to(host):
    wanted = registered(host, *map(preshared, PEERS))
    host.call("apply")
    host.config.write_text(host.config.read_text() + "Nonsense = 1\n")
    registered(host, *wanted.peers, mtu=1370)
    host.call("apply")
    assert host.config.read_text().count("PresharedKey = ") == len(wanted.peers)


@pytest.fixture
def stubborn(host):
    """A host with a device that does not take a new peer, though the command succeeds."""
    registered(host)
    host.call("apply")
    registered(host, *PEERS, peer("node5", "10.42.0.5/32"))
    host.machine.ignored.append(f"wg set wg0 peer {key('node5')}*")
    return host


def test_a_device_that_does_not_become_what_it_should_is_an_error_that_says_so(stubborn):
    before = stubborn.config.read_bytes()
    message = stubborn.error("apply")
    assert "wg0 is still not what it should be" in message
    assert "peer node5" in message
    assert stubborn.config.read_bytes() == before
