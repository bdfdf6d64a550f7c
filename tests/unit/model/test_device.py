"""What an interface is now."""

from dataclasses import replace

import pytest

from saltext.wireguard.model.device import SESSION_SECONDS, Device, DevicePeer, fingerprint

NOW = 1_800_000_000
PEER = DevicePeer("A", None, frozenset(), NOW, 0, 0, 0, None)


@pytest.mark.parametrize(
    ("handshake", "has_session"),
    [(0, False), (NOW, True), (NOW - SESSION_SECONDS + 1, True), (NOW - SESSION_SECONDS, False), (NOW + 5, True)],
)
def test_a_session_lasts_for_less_than_three_minutes_after_its_handshake(handshake, has_session):
    assert replace(PEER, latest_handshake=handshake).has_session(NOW) == has_session


def test_a_peer_that_never_had_a_handshake_has_no_session_on_a_machine_whose_clock_begins_at_zero():
    assert not replace(PEER, latest_handshake=0).has_session(5)


def test_the_sessions_of_a_device_are_those_of_its_peers():
    peers = {"A": PEER, "B": replace(PEER, public_key="B", latest_handshake=0)}
    device = Device("wg0", True, "own", 51820, 1420, frozenset(), frozenset(), peers)
    assert device.sessions(NOW) == {"A": NOW}


def test_a_fingerprint_tells_preshared_keys_apart_and_has_nothing_of_them():
    one, other = "x" * 43 + "=", "y" * 43 + "="
    assert fingerprint(one) == fingerprint(one) != fingerprint(other)
    assert len(fingerprint(one)) == 16
    assert "x" not in fingerprint(one)


def test_packets_go_to_the_peer_with_the_longest_network_that_has_the_address():
    networks = {"A": {"10.42.0.0/16", "fd42::/64"}, "B": {"10.42.0.2/32"}}
    peers = {key: replace(PEER, public_key=key, allowed_ips=frozenset(each)) for key, each in networks.items()}
    device = Device("wg0", True, "own", 51820, 1420, frozenset(), frozenset(), peers)
    carriers = [device.carrier(address) for address in ("10.42.0.2", "10.42.0.3", "fd42::2", "192.0.2.1")]
    assert carriers == ["B", "A", "A", None]
