"""An inventory travels, differs from a device in words, and what comes back from a machine is not taken as it is."""

import hypothesis
import pytest
from hypothesis import strategies

from factories import public_key
from saltext.wireguard.model.device import Device, DevicePeer
from saltext.wireguard.model.inventory import FoundPeer, Inventory

WRITTEN = Inventory(
    "wg0",
    public_key("own"),
    ("10.42.0.1/24",),
    51820,
    True,
    peers=(FoundPeer(public_key("a"), ("10.42.0.2/32",), "a.example.com:51820", 25, "a"), FoundPeer(public_key("b"))),
    files=("/etc/wireguard/wg0.conf",),
    at_boot=("systemd (wg-quick@wg0)",),
    hooks=("PostUp: iptables",),
)


def device(*peers, **settings):
    values = {"public_key": public_key("own"), "addresses": frozenset({"10.42.0.1/24"}), **settings}
    found = {key: DevicePeer(key, endpoint, frozenset(), seen, 0, 0, 0, None) for key, endpoint, seen in peers}
    return Device("wg0", True, port=40000, mtu=1420, routes=frozenset(), peers=found, **values)


def test_it_travels_whole():
    assert Inventory.from_dict(WRITTEN.to_dict()) == WRITTEN
    failed = Inventory("wg0", error="wg is not installed")
    assert Inventory.from_dict(failed.to_dict(), "wg0") == failed


def test_a_peer_that_roamed_keeps_the_endpoint_that_somebody_wrote():
    found = WRITTEN.with_device(device((public_key("a"), "192.0.2.9:4000", 990), (public_key("b"), None, 0)), 1000)
    first, second = found.peers
    assert (first.endpoint, first.age, first.is_live, first.name) == ("a.example.com:51820", 10, True, "a")
    assert second.age is None
    assert found.problems == ()


def test_what_would_be_another_way_after_a_boot_is_said():
    other = device((public_key("c"), "[fe80::1%eth0]:1", 0), public_key=public_key("x"), addresses=frozenset())
    assert WRITTEN.with_device(other, 1000).problems == (
        "the device has another key than /etc/wireguard/wg0.conf",
        "the device has other addresses than /etc/wireguard/wg0.conf",
        "1 of the device's peers are not in /etc/wireguard/wg0.conf",
        "2 of the peers in /etc/wireguard/wg0.conf are not on the device",
    )
    alone = Inventory("wg0").with_device(device(), 1000)
    assert alone.problems == ("no file describes it: it is gone after the next boot",)


def test_an_endpoint_that_no_mesh_file_can_have_is_left_out():
    found = Inventory("wg0").with_device(device((public_key("c"), "[fe80::1]:1", 0)), 1000)
    assert found.peers[0].endpoint is None


@pytest.mark.parametrize(
    "changes",
    [
        {"interface": "wg0; reboot"},
        {"public_key": "no key"},
        {"addresses": ["10.42.0.1/24\n# x"]},
        {"port": 2**70},
        {"peers": [{"public_key": public_key("a")}] * 2},
        {"peers": [{"public_key": public_key("a"), "allowed_ips": ["10.0.0.1/8"]}]},
        {"peers": [{"public_key": public_key("a"), "name": "a\nb"}]},
        {"files": "all"},
        {"hooks": ["x" * 300]},
    ],
)
def test_what_nobody_could_have_said_is_an_error_of_this_interface(changes):
    assert "malformed" in Inventory.from_dict({**WRITTEN.to_dict(), **changes}, "wg0").error


JSON = strategies.recursive(
    strategies.none() | strategies.booleans() | strategies.integers() | strategies.text(),
    lambda inner: strategies.lists(inner) | strategies.dictionaries(strategies.text(), inner),
)


@hypothesis.given(JSON | strategies.fixed_dictionaries(dict.fromkeys(WRITTEN.to_dict(), JSON)))
def test_no_answer_of_a_machine_is_an_exception(data):
    assert Inventory.from_dict(data, "wg0").interface is not None
