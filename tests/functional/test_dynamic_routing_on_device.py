"""A link of two on which a routing daemon makes the routes: everything is allowed, and nothing is routed by us."""

import json

import pytest

pytest.importorskip("salt")

from hosts import key

PEER = f"router: {{public_key: {key('router')}, addresses: [10.99.0.0], endpoint: '192.0.2.7:4444'}}"
NODE = "node1: {addresses: [10.99.0.1]}"
STATIC = f"networks: {{link: {{subnets: [10.99.0.0/31], nodes: {{{NODE}}}, peers: {{{PEER}}}}}}}\n"
DYNAMIC = STATIC.replace("subnets:", "dynamic_routing: true, subnets:")
LINK_LOCAL = "fe80::a63:1/64"


@pytest.fixture
def link(host):
    host.be_master(DYNAMIC)
    assert host.call("apply")["link"]["result"] is True
    return host


def changes(host):
    host.refresh_pillar()
    return host.call("apply")["link"]["changes"]


def routes(host):
    """The networks that any table routes to the interface, without those of its own addresses."""
    shown = [host.run("ip", "-json", family, "route", "show", "dev", "wg0", "table", "all") for family in ("-4", "-6")]
    return {route["dst"] for text in shown for route in json.loads(text or "[]") if route.get("type") is None}


def test_everything_is_allowed_and_nothing_is_routed_but_the_link_itself(link):
    """A peer could have no default route among its allowed IPs unless it was an exit."""
    device = link.device()
    assert device.peers[key("router")].allowed_ips == {"10.99.0.0/32", "0.0.0.0/0", "::/0"}
    assert device.addresses == {"10.99.0.1/31"}
    assert LINK_LOCAL in device.link_local
    assert device.mark == 0
    assert routes(link) == {"10.99.0.0/31", "fe80::/64"}


def test_a_second_run_and_a_boot_find_nothing_to_change_and_leave_the_routes_of_the_daemon(link):
    link.run("ip", "route", "add", "198.51.100.0/24", "dev", "wg0", "proto", "bird")
    assert changes(link) == {}
    assert "198.51.100.0/24" in routes(link)
    link.run("wg-quick", "down", "wg0")
    link.run("wg-quick", "up", "wg0")
    assert changes(link) == {}
    assert routes(link) == {"10.99.0.0/31", "fe80::/64"}


def test_a_link_local_address_that_somebody_removes_comes_back(link):
    link.run("ip", "address", "del", LINK_LOCAL, "dev", "wg0")
    assert changes(link) == {f"address {LINK_LOCAL}": {"old": None, "new": LINK_LOCAL}}


def test_without_the_setting_the_link_is_one_like_any_other(link):
    link.write_mesh(STATIC)
    assert f"address {LINK_LOCAL}" in changes(link)
    device = link.device()
    assert LINK_LOCAL not in device.link_local
    assert device.peers[key("router")].allowed_ips == {"10.99.0.0/32"}
