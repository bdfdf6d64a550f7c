"""What a node sees of its peers, on its way to the master."""

import json

import pytest

from factories import public_key
from saltext.wireguard.model.device import Device, DevicePeer
from saltext.wireguard.model.live import LiveInterface, LivePeer

NOW = 1_800_000_000
KEY = public_key("a")
LIVE = LiveInterface("wg0", True, 1420, {KEY: LivePeer("192.0.2.1:51820", 7, 100, 200)})


def device(handshake):
    peer = DevicePeer(KEY, "192.0.2.1:51820", frozenset(), handshake, 100, 200, 0, None)
    return Device("wg0", True, "own", 51820, 1420, frozenset(), frozenset(), {KEY: peer})


def test_a_live_interface_is_what_the_device_has_with_ages_in_place_of_times():
    assert LiveInterface.of(device(NOW - 7), NOW) == LIVE


def test_a_handshake_that_never_was_has_no_age():
    assert LiveInterface.of(device(0), NOW).peers[KEY].age is None


def test_a_handshake_from_before_the_clock_was_set_back_is_not_older_than_none():
    assert LiveInterface.of(device(NOW + 50), NOW).peers[KEY].age == 0


@pytest.mark.parametrize("interface", [LIVE, LiveInterface("wg0", False, 0), LiveInterface(error="wg0 is not set up")])
def test_it_comes_back_as_it_was_sent(interface):
    assert LiveInterface.from_dict(json.loads(json.dumps(interface.to_dict()))) == interface


def test_an_endpoint_with_a_zone_is_one_too():
    """A link-local address stands with its interface in what `wg` prints."""
    interface = LiveInterface("wg0", True, 1420, {KEY: LivePeer("[fe80::1%eth0]:51820", None, 0, 0)})
    assert LiveInterface.from_dict(interface.to_dict()) == interface


def nested(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "change",
    [
        {"peers": {KEY: ["192.0.2.1:1", 7, 100]}},
        {"peers": {KEY: ["192.0.2.1:1", 7, 100, 200, 300]}},
        {"peers": {KEY: ["192.0.2.1:1", 7.5, 100, 200]}},
        {"peers": {KEY: ["192.0.2.1:1", True, 100, 200]}},
        {"peers": {KEY: ["192.0.2.1:1", 7, -1, 200]}},
        {"peers": {KEY: ["192.0.2.1:1", 7, 2**63, 200]}},
        {"peers": {KEY: ["\x1b[2J", 7, 100, 200]}},
        {"peers": {KEY: "text"}},
        {"peers": {"no key": [None, None, 0, 0]}},
        {"peers": {1: [None, None, 0, 0]}},
        {"peers": {KEY: nested(5000)}},
        {"peers": None},
        {"interface": "../wg0"},
        {"mtu": "1420"},
        {"up": 1},
    ],
)
def test_what_no_node_sends_is_an_error_and_no_more(change):
    assert LiveInterface.from_dict({**LIVE.to_dict(), **change}).error == "its answer is malformed"


@pytest.mark.parametrize("data", [None, [], "text", {}, {1: 2}])
def test_so_is_what_is_no_answer_at_all(data):
    assert LiveInterface.from_dict(data).error


@pytest.mark.parametrize(
    ("comment", "error"),
    [("\x1b[2J", "[2J"), (None, "it gave no reason"), (7, "its answer is malformed"), ("x" * 400, "x" * 297 + "...")],
)
def test_the_reason_of_a_node_is_one_line_whatever_it_is(comment, error):
    """A long reason, such as that of a command, was lost: the whole answer counted as malformed."""
    assert LiveInterface.from_dict({"result": False, "comment": comment}).error == error
