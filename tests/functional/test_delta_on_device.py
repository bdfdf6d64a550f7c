"""Deltas on machines with real WireGuard sessions: whom they do not concern, they do not disturb."""

import itertools
import json

import pytest

pytest.importorskip("salt")

from saltext.wireguard.model.view import View
from sessions import machines_in_session
from wgmachines.nodes import NETWORK, why_not

pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))

ROUNDS = 10
RATE = 1000  # packets a second


@pytest.fixture
def nodes():
    with machines_in_session(3) as started:
        yield started


def described(nodes, node, name):
    """A peer as the pillar of a node has it."""
    return {NETWORK: {peer.name: peer.to_dict() for peer in nodes.view(node).peers if peer.name == name}}


def tell(nodes, generation, present):
    """Ask the first two for the third, in or out. Each answers with the digest of the view that it must have then."""
    one, other, third = nodes.all
    jobs = []
    for node in (one, other):
        peers = described(nodes, node, third.name) if present else {}
        drop = {} if present else {NETWORK: [nodes.keys[third.name]]}
        jobs.append((node, node.begin_call("delta", drop, peers=peers, signed=True, generation=generation)))
    for node, job in jobs:
        said = job.result(60)
        assert said["networks"][NETWORK]["result"] is True, said
        (report,) = said["wireguard/report"]
        whole = View.from_dict(nodes.view(node).to_dict(), NETWORK)
        view = whole if present else whole.without_peers([nodes.keys[third.name]])
        assert json.loads(report["statement"])["digest"] == view.digest


def test_a_node_joins_and_leaves_by_jobs_and_no_packet_of_the_others_is_lost(nodes):
    one, other, third = nodes.all
    stream = one.begin("echoes", other.address, 4 + ROUNDS, RATE)
    generations = itertools.count(10)
    for _ in range(ROUNDS // 2):
        tell(nodes, next(generations), present=False)
        tell(nodes, next(generations), present=True)
    seen = stream.result(60)
    assert seen["received"] == seen["sent"]
    nodes.ping(one, third)


def test_a_job_that_comes_late_brings_nobody_back(nodes):
    one, _, third = nodes.all
    tell(nodes, 20, present=False)
    peers = described(nodes, one, third.name)
    said = one.call("delta", {}, peers=peers, signed=True, generation=19)
    assert (said["networks"][NETWORK]["result"], said["wireguard/report"]) == (False, [])
    assert nodes.keys[third.name] not in one.run("wg", "show", "all", "peers")
