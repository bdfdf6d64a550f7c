"""Hosts that cannot have all of a view: the rest is applied, on real devices and with real wg-quick at boot."""

import os
import socket
from pathlib import Path

import pytest

pytest.importorskip("salt")

from hosts import PEERS, registered, wait_until
from isolation import MS_BIND, MS_RDONLY, MS_REMOUNT, mount
from test_module_apply import make_device

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


SWITCHES = {"default": ["default"], "all": ["all"], "both": ["all", "default"]}


def turn_ipv6(host, off, *devices):
    for device in devices:
        host.run("sh", "-c", f"echo {int(off)} > /proc/sys/net/ipv6/conf/{device}/disable_ipv6")


@pytest.mark.parametrize("switches", SWITCHES.values(), ids=SWITCHES)
def test_a_host_whose_ipv6_is_off_joins_by_ipv4_boots_and_has_ipv6_once_it_is_on(host, switches):
    """`ip address add` failed: the node could not join a dual-stack network at all."""
    turn_ipv6(host, True, *switches)
    wanted = registered(host, *PEERS)
    assert left_out(host, test=True) == left_out(host) == "IPv6 (it is off on this machine)"
    for _ in range(2):
        assert host.device().addresses == {"10.42.0.1/16"}
        assert host.device().routes == {LAN}
        assert {each.public_key: each.allowed_ips for each in host.device().peers.values()} == {
            each.public_key: {*each.allowed_ips} for each in PEERS
        }
        assert host.call("apply")["backbone"]["changes"] == {}
        boot(host)
    turn_ipv6(host, False, *switches, "wg0")
    assert left_out(host) == ""
    assert host.device().addresses == {*wanted.addresses}
    assert host.device().routes == wanted.routes


def test_a_host_boots_although_its_ipv6_was_turned_off_since(host):
    """wg-quick took the device down when an IPv6 address could not be set."""
    wanted = registered(host, *PEERS)
    host.call("apply")
    boot(host)
    assert host.device().addresses == {*wanted.addresses}
    assert host.device().routes == wanted.routes
    assert host.call("apply")["backbone"]["changes"] == {}
    turn_ipv6(host, True, "all", "default")
    boot(host)
    assert host.device().addresses == {"10.42.0.1/16"}
    assert host.call("apply")["backbone"]["changes"] == {}


def test_an_interface_whose_own_ipv6_is_turned_off_keeps_the_rest(host):
    registered(host, *PEERS)
    host.call("apply")
    turn_ipv6(host, True, "wg0")
    assert left_out(host) == "IPv6 (it is off on this machine)"
    assert set(host.device().peers) == {each.public_key for each in PEERS}


def test_a_port_that_another_program_has_is_named_with_the_program(host):
    registered(host)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("0.0.0.0", 51820))
        message = host.error("apply")
        own = Path("/proc/self/comm").read_text().strip()
        assert f"UDP port 51820 is in use by {own} (process {os.getpid()})" in message
        assert host.device() is None
    assert host.call("apply")["backbone"]["result"] is True


def test_a_port_that_another_interface_has_is_named_with_the_interface(host):
    make_device(host, "wg7")
    host.run("wg", "set", "wg7", "listen-port", "51820")
    host.run("ip", "link", "set", "dev", "wg7", "up")
    # wireguard-go takes the port a moment after it is told that the device is up
    wait_until(lambda: host.run("ss", "-H", "-u", "-a", "-n", "sport = :51820"))
    registered(host)
    assert "UDP port 51820 is in use by the WireGuard interface wg7" in host.error("apply")


def found(host):
    part = host.call("check")["networks"]["backbone"]
    return [f"{each['subject']} ({each['found']})" for each in part["findings"]], part["result"]


def test_an_address_and_a_network_that_the_machine_has_elsewhere_are_named(host):
    """Packets to them went to whichever interface came first."""
    host.run("ip", "address", "add", "10.42.0.1/24", "dev", "lo", "scope", "global")
    registered(host, *PEERS)
    said = "address 10.42.0.1 alone (lo has it too), all of network 10.42.0.0/16 (lo has 10.42.0.0/24)"
    assert left_out(host, test=True) == left_out(host) == said
    host.run("ip", "address", "del", "10.42.0.1/24", "dev", "lo")
    assert left_out(host) == ""


def test_rules_of_another_vpn_are_named_once_their_table_has_a_default_route(host):
    registered(host, *PEERS)
    host.run("ip", "rule", "add", "pref", "100", "lookup", "200")
    assert found(host) == ([], True)
    host.run("ip", "route", "add", "default", "dev", "lo", "table", "200")
    assert found(host) == (["its IPv4 routes (`ip -4 rule` 100, lookup 200, comes first)"], True)


RULES = """
table inet filter {
    set open { type inet_service; elements = { 22, %s } }
    chain input { type filter hook input priority 0; policy drop; ct state established accept; udp dport @open accept; }
}
"""


def test_a_firewall_that_has_the_port_closed_is_named(host):
    registered(host, *PEERS)
    host.run("nft", "-f", "-", text=RULES % 53)
    (said,), can_be = found(host)
    assert "the firewall drops what no rule accepts in inet filter input, and no rule names the port" in said
    assert can_be
    host.run("nft", "flush", "ruleset")
    host.run("nft", "-f", "-", text=RULES % 51820)
    assert found(host) == ([], True)


def test_the_first_apply_refuses_a_port_that_another_program_has_before_it_registers(host):
    """The node was a peer of all the others by then, for a device that could not come up."""
    host.be_master("networks: {backbone: {subnets: [10.42.0.0/16], nodes: {'*': {}}}}")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("0.0.0.0", 51820))
        own = f"UDP port 51820 (in use by {Path('/proc/self/comm').read_text().strip()} (process {os.getpid()}))"
        assert found(host) == ([own], False)
        message = host.error("apply")
        assert message.startswith(
            f"wg0 cannot be set up, and nothing was changed: {own}. End that, or give wg0 another"
        )
        assert host.events == []
    assert found(host) == ([], True)
    assert host.call("apply")["backbone"]["result"] is True
