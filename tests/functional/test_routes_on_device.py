"""Routes that contain each other, and the mesh, on machines with real WireGuard sessions."""

from dataclasses import replace

import pytest

pytest.importorskip("salt")

from sessions import machines
from wgmachines.nodes import INTERFACE, NETWORK, why_not

pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))

BEHIND = {"node2": "10.1.0.0/16", "node3": "10.0.0.0/8"}


def routed(view):
    """The view with these networks behind its peers."""
    peers = [
        replace(peer, allowed_ips=tuple(sorted({*peer.allowed_ips, *filter(None, [BEHIND.get(peer.name)])})))
        for peer in view.peers
    ]
    return replace(view, peers=tuple(peers))


def test_the_longest_prefix_wins_in_the_kernel_and_in_the_tunnel_and_the_mesh_stays_as_it_is():
    """A route within another, and one that contains the mesh, were errors in the mesh file."""
    with machines(3) as nodes:
        node1, node2, node3 = nodes.all
        nodes.set_up()
        before = nodes.view
        nodes.view = lambda node: routed(before(node)) if node is node1 else before(node)
        nodes.sync(node1)
        node2.run("ip", "address", "add", "10.1.0.1/32", "dev", "lo")
        node3.run("ip", "address", "add", "10.2.0.1/32", "dev", "lo")
        for address in ("10.1.0.1", "10.2.0.1", node2.address, node3.address):
            assert " 1 received" in node1.run("ping", "-c", "1", "-W", "5", str(address))
        node1.run("wg-quick", "down", INTERFACE)
        node1.run("wg-quick", "up", INTERFACE)
        assert node1.call("sync")["networks"][NETWORK]["changed"] == []
