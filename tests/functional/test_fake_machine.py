"""The machine that is made up for unit tests does what `wg` and `ip` do: one script of commands is run on both."""

import pytest

pytest.importorskip("salt")

from unit.node.fake_machine import FakeMachine

from hosts import key
from saltext.wireguard.errors import NodeError
from saltext.wireguard.node import devices
from saltext.wireguard.system import machine
from saltext.wireguard.system.commands import run

PRIVATE = "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk="
A, B = key("a"), key("b")

SCRIPTS = {
    "addresses and link": [
        "ip address add 10.42.0.1/16 dev wg0",
        "ip address add fd42::1/64 dev wg0",
        "ip link set dev wg0 up",
        "ip address add 10.43.0.1/24 dev wg0",
        "ip address add 10.42.0.1/16 dev wg0",  # fails: it is there
        "ip address add fd42::1/48 dev wg0",  # fails: IPv6 has an address once
        "ip address del 10.44.0.1/16 dev wg0",  # fails: it is not there
        "ip link set dev wg0 mtu 1380",
    ],
    "an address that goes takes its secondaries along": [
        "ip link set dev wg0 up",
        "ip address add 10.42.0.1/16 dev wg0",
        "ip address add 10.42.0.2/16 dev wg0",
        "ip address add 10.42.0.3/32 dev wg0",
        "ip address del 10.42.0.1/16 dev wg0",
    ],
    "the last IPv4 address takes the routes along": [
        "ip link set dev wg0 up",
        "ip address add 10.42.0.1/16 dev wg0",
        "ip -4 route add 192.168.4.0/24 dev wg0",
        "ip -6 route add fd99::/64 dev wg0",
        "ip address del 10.42.0.1/16 dev wg0",
    ],
    "routes": [
        "ip -4 route add 192.168.4.0/24 dev wg0",  # fails: it is down
        "ip address add 10.42.0.1/16 dev wg0",
        "ip link set dev wg0 up",
        "ip -4 route add 192.168.4.0/24 dev wg0",
        "ip -4 route add 192.168.4.0/24 dev wg0",  # fails: it is there
        "ip -4 route add 192.168.9.9/32 dev wg0",
        "ip -6 route add fd99::/64 dev wg0",
        "ip -6 route del fd99::/64 dev wg0 proto boot",
        "ip -4 route del 192.168.7.0/24 dev wg0 proto boot",  # fails: it is not there
    ],
    "peers": [
        f"wg set wg0 listen-port 4500 fwmark 7 peer {A} allowed-ips 10.42.0.2/32,fd42::2/128 endpoint 192.0.2.2:51820",
        f"wg set wg0 peer {B} persistent-keepalive 25 allowed-ips 10.42.0.3/32",
        f"wg set wg0 peer {B} allowed-ips 10.42.0.3/32,10.42.0.2/32",  # taken from the other
        f"wg set wg0 peer {A} preshared-key @SECRET@ endpoint [2001:db8::2]:51820",
        "wg set wg0 private-key @SECRET@",
        f"wg set wg0 peer {key('c')} allowed-ips 10.42.0.4/32 peer {key('c')} remove",
        f"wg set wg1 peer {A} remove",  # fails: there is no such device
    ],
    "gone": ["ip link delete dev wg0"],
}


def tried(script, secret):
    """Which commands failed, and the device that the rest has made."""
    if not devices.exists("wg0"):
        devices.create("wg0", ["ip", "link", "add", "dev", "wg0", "type", "wireguard"])
    failed = []
    for line in script:
        try:
            run(line.replace("@SECRET@", str(secret)).split())
        except NodeError:
            failed.append(line)
    device = devices.read("wg0")
    return failed, device, devices.handshakes("wg0") if device else None, devices.names()


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
def test_both_end_alike(host, monkeypatch, script):
    secret = host.disk / "secret"
    secret.write_text(PRIVATE)
    given = [line for line in script if "listen-port" in line] or ["wg set wg0 listen-port 40000"]
    real = tried([*given[:1], "ip link set dev wg0 mtu 1420", *script], secret)
    monkeypatch.setattr(machine, "here", FakeMachine())
    assert tried([*given[:1], "ip link set dev wg0 mtu 1420", *script], secret) == real
    secret.unlink()


def test_keys_are_those_of_wg(host, monkeypatch):
    public = run(["wg", "pubkey"], stdin=PRIVATE + "\n")
    monkeypatch.setattr(machine, "here", FakeMachine())
    assert run(["wg", "pubkey"], stdin=PRIVATE + "\n") == public
    assert len(run(["wg", "genkey"]).strip()) == 44
