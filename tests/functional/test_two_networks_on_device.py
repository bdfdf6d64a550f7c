"""A machine with one key in two networks: a node's own two devices, and a router that both have as a peer."""

import shutil

import pytest

pytest.importorskip("salt")

from hosts import ETC, key

MESH = f"""\
networks:
  backbone:
    subnets: [10.42.0.0/24]
    nodes: {{node1: {{}}}}
    peers: {{router: {{public_key: {key("router")}, addresses: [10.42.0.9], endpoint: "192.0.2.7:4444"}}}}
  storage:
    interface: wg1
    port: 51821
    subnets: [10.43.0.0/24]
    nodes: {{node1: {{}}}}
    peers: {{router: {{public_key: {key("router")}, addresses: [10.43.0.9], endpoint: "192.0.2.7:4444"}}}}
"""


def test_a_key_may_be_in_two_networks_on_both_ends(host):
    """The router was an error in the mesh file; the node's own key was none."""
    host.run("sh", "-c", f"umask 077; wg genkey > {ETC}/wg0.key")
    shutil.copy(ETC / "wg0.key", ETC / "wg1.key")
    host.be_master(MESH)
    host.call("apply")
    assert [network["changes"] for network in host.call("apply").values()] == [{}, {}]
    one, two = host.device("wg0"), host.device("wg1")
    assert one.public_key == two.public_key == host.call("public_key", "wg1")
    assert one.peers[key("router")].allowed_ips == {"10.42.0.9/32"}
    assert two.peers[key("router")].allowed_ips == {"10.43.0.9/32"}
