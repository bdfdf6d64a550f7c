"""What an external peer's machine makes of an exported configuration: wg-quick, on a device."""

import os
from ipaddress import ip_address

import pytest

pytest.importorskip("salt")

from hosts import ETC, key
from saltext.wireguard.fleet.participant import Participant
from saltext.wireguard.fleet.topology import Topology
from saltext.wireguard.formats import external_peer
from saltext.wireguard.meshfile.mesh import NodeSettings
from saltext.wireguard.model.keys import PrivateKey
from saltext.wireguard.model.view import View


def up(host, **settings):
    """The interface of a phone that has a node as its peer."""
    node = Participant("node2", key("node2"), (ip_address("10.42.0.2"),), NodeSettings((), None, 51820), ("192.0.2.2",))
    phone = Participant("phone", key("phone"), (), NodeSettings((), False, 51820))
    routed = settings.get("dynamic_routing", False)
    peers = Topology([node, phone], (), None, 25, dynamic_routing=routed).peers("phone")
    view = View("wg0", ("10.42.0.9/24",), peers, network="backbone", **settings)
    private = PrivateKey(host.run("wg", "genkey").strip())
    (ETC / "wg0.conf").write_text(external_peer.text(view, "phone", private, "wg-quick"))
    host.run("wg-quick", "up", "wg0")


def test_the_machine_uses_the_name_servers_and_search_domains_of_the_network(host, monkeypatch):
    """No resolvconf is here, so a script stands for it that keeps what wg-quick gives it."""
    script = host.disk / "resolvconf"
    script.write_text(f'#!/bin/sh\ncat > {host.disk}/given\necho "$@" > {host.disk}/words\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{host.disk}:{os.environ['PATH']}")
    up(host, dns=("10.42.0.1", "fd42::1", "mesh.example.com", "example.com"))
    assert (host.disk / "given").read_text().splitlines() == [
        "nameserver 10.42.0.1",
        "nameserver fd42::1",
        "search mesh.example.com example.com",
    ]
    assert "wg0" in (host.disk / "words").read_text()


def test_a_machine_with_a_routing_daemon_gets_no_default_route_into_the_tunnel(host):
    up(host, dynamic_routing=True)
    assert {"0.0.0.0/0", "::/0"} <= host.device().peers[key("node2")].allowed_ips
    assert host.device().routes == frozenset()
    assert host.device().link_local >= {"fe80::a2a:9/64"}
    assert host.run("ip", "route", "show", "default", "table", "all") == ""
