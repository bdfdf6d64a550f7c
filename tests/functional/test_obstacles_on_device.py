"""Hosts that cannot have all of a view: the rest is applied, on real devices and with real wg-quick at boot."""

import pytest

pytest.importorskip("salt")

from hosts import PEERS, registered
from isolation import MS_BIND, MS_RDONLY, MS_REMOUNT, mount

LAN = "192.168.40.0/24"  # node2 leads there


def boot(host):
    host.delete_device()
    host.run("timeout", "30", "wg-quick", "up", "wg0")


def left_out(host, **kwargs):
    return host.call("apply", **kwargs)["backbone"]["comment"].partition("; left out: ")[2]


@pytest.mark.parametrize("metric", [(), ("metric", "100")], ids=["", "with a metric"])
def test_a_route_that_the_machine_has_itself_stays_now_and_at_boot(host, metric):
    """`ip route add` failed, and with it every later change; wg-quick took the device down."""
    host.run("ip", "route", "add", LAN, "dev", "lo", *metric)
    wanted = registered(host, *PEERS)
    before = host.run("ip", "route", "show", "table", "main")
    said = f"route {LAN} (this machine has one dev lo{' metric 100' if metric else ''})"
    assert left_out(host, test=True) == left_out(host) == said
    for _ in range(2):
        assert host.device().routes == wanted.routes - {LAN}
        assert host.run("ip", "route", "show", "exact", LAN) in before
        assert host.call("apply")["backbone"]["changes"] == {}
        boot(host)
    host.run("ip", "route", "del", LAN, "dev", "lo")
    assert left_out(host) == ""
    boot(host)
    assert host.device().routes == wanted.routes
    assert host.call("apply")["backbone"]["changes"] == {}


def test_a_default_route_and_shorter_ones_are_in_nobodys_way(host):
    host.run("ip", "route", "add", "default", "dev", "lo")
    host.run("ip", "route", "add", "192.168.0.0/16", "dev", "lo")
    registered(host, *PEERS)
    assert left_out(host) == ""


def test_a_node_that_cannot_turn_forwarding_on_has_all_else_now_and_at_boot(host):
    """In containers /proc/sys is read-only: the command failed, and at boot wg-quick took the device down for it."""
    mount("/proc/sys", "/proc/sys", None, MS_BIND)
    mount("none", "/proc/sys", None, MS_REMOUNT | MS_BIND | MS_RDONLY)
    wanted = registered(host, forwarding=True)
    said = left_out(host, test=True)
    assert "IPv4 forwarding (/proc/sys/net/ipv4/ip_forward cannot be written)" in said
    assert left_out(host) == said
    assert host.call("apply")["backbone"]["changes"] == {}
    boot(host)
    assert host.device().routes == wanted.routes
    assert host.call("apply")["backbone"]["changes"] == {}
