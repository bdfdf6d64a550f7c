"""Networks move from one peer to another on machines with real WireGuard sessions, all at one moment."""

import json
import time
from dataclasses import replace

import pytest

pytest.importorskip("salt")

from saltext.wireguard.model.view import View
from sessions import machines_in_session
from wgmachines.nodes import NETWORK, why_not

pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))

RATE = 100  # packets a second
TOO_LARGE = 1450  # bytes that one packet of the tunnel has no room for
SUBNET = "10.42.0.0/24"


@pytest.fixture
def nodes():
    """Two spokes and two hubs; both spokes use the first hub."""
    with machines_in_session(4) as started:
        for node in started.all[:2]:
            node.do("set_view", spoke_view(started, node, "node3").to_dict())
        for node in started.all[2:]:
            node.do("set_view", replace(started.view(node), forwarding=True).to_dict())
        for node in started.all:
            assert node.call("sync", signed=True)["networks"][NETWORK]["result"]
        started.ping(started.all[0], started.all[1])
        yield started


def spoke_view(nodes, node, hub):
    """The node has both hubs as peers, and the whole subnet behind one of them."""
    peers = [peer for peer in nodes.view(node).peers if peer.name in ("node3", "node4")]
    moved = [
        replace(peer, allowed_ips=tuple(sorted({*peer.allowed_ips, SUBNET}))) if peer.name == hub else peer
        for peer in peers
    ]
    return replace(nodes.view(node), peers=tuple(moved))


def move(nodes, hub, at):
    jobs = [node.begin_call("move", {NETWORK: {SUBNET: nodes.keys[hub]}}, signed=True, at=at) for node in nodes.all[:2]]
    return [job.result(60) for job in jobs]


def test_spokes_move_to_another_hub_and_no_packet_between_them_is_lost(nodes):
    """
    Each of them used to move when it had its pillar: in between, packets between them were lost for 0.4 seconds. Later,
    those that had to be fragmented were lost for as long.
    """
    one, other = nodes.all[:2]
    streams = [one.begin("echoes", other.address, 16, RATE), other.begin("echoes", one.address, 16, RATE, TOO_LARGE)]
    for hub in ("node4", "node3", "node4"):
        for node, said in zip((one, other), move(nodes, hub, time.time() + 3), strict=True):
            assert said["networks"][NETWORK]["result"] is True
            (report,) = said["wireguard/report"]
            wanted = spoke_view(nodes, node, hub)
            assert json.loads(report["statement"])["digest"] == View.from_dict(wanted.to_dict(), NETWORK).digest
        time.sleep(0.5)
    for stream in streams:
        seen = stream.result(60)
        print(seen)
        assert seen["received"] == seen["sent"]
