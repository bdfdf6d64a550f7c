"""Changes on machines with real WireGuard sessions: what works stays, and what does not is taken back."""

import json
from dataclasses import replace

import pytest

pytest.importorskip("salt")

from sessions import machines_in_session
from wgmachines.nodes import INTERFACE, NETWORK, why_not

pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))

SECONDS = 3
NOWHERE = "192.0.2.99:51820"
MASTER_PORT = 4506


@pytest.fixture
def nodes():
    """Three machines with sessions between all of them, which find out quickly whether a change works."""
    with machines_in_session(3, {"wireguard:confirm_seconds": SECONDS}) as started:
        yield started


def peers(node):
    return node.call("show", INTERFACE)[INTERFACE]["peers"]


def config(node):
    return node.run("cat", f"/etc/wireguard/{INTERFACE}.conf")


def view_with(nodes, node, **endpoints):
    """The view of a node where others have other endpoints."""
    view = nodes.view(node)
    changed = (replace(peer, endpoint=endpoints.get(peer.name, peer.endpoint)) for peer in view.peers)
    return replace(view, peers=tuple(changed))


def view_without(nodes, node, *names):
    view = nodes.view(node)
    return replace(view, peers=tuple(peer for peer in view.peers if peer.name not in names))


def sync(node, view, **options):
    node.do("set_view", view.to_dict())
    return node.call("sync", signed=True, **options)["networks"][NETWORK]


def reported(node):
    """The rollbacks in the reports that the node sent."""
    found = []
    while not node.events.empty():
        tag, data = node.events.get()
        assert tag == "wireguard/report"
        found.append(json.loads(data["signed"]["statement"])["rollback"])
    return found


def test_a_change_after_which_a_peer_does_not_come_back_is_taken_back_and_reported(nodes):
    node, second, _ = nodes.all
    before = config(node)
    wrong = view_with(nodes, node, node2=NOWHERE)
    answer = sync(node, wrong)
    assert answer["result"] is False
    assert "1 of 1 peers did not come back (node2)" in answer["comment"]
    assert peers(node)[nodes.keys["node2"]]["endpoint"] == second.endpoint
    assert config(node) == before
    nodes.ping(node, second)
    (rollback,) = reported(node)
    assert (rollback["tried"], rollback["why"]) == (wrong.digest, "1 of 1 peers did not come back (node2)")


def test_what_was_taken_back_is_not_tried_again_at_once_unless_forced(nodes):
    node, *_ = nodes.all
    wrong = view_with(nodes, node, node2=NOWHERE)
    sync(node, wrong)
    answer = sync(node, wrong)
    assert answer["result"] is False
    for words in ("was rolled back at", "did not come back (node2)", "not be tried again before", "force=True"):
        assert words in answer["comment"]
    assert peers(node)[nodes.keys["node2"]]["endpoint"] != NOWHERE
    assert "did not come back" in sync(node, wrong, force=True, reason="again")["comment"]


def test_another_change_is_tried_at_once_and_its_report_has_the_last_rollback_once(nodes):
    node, *_ = nodes.all
    sync(node, view_with(nodes, node, node2=NOWHERE))
    node.do("set_view", replace(nodes.view(node), mtu=1300).to_dict())
    statements = [node.call("sync", signed=True)["wireguard/report"] for _ in range(2)]
    rollbacks = [json.loads(each["statement"])["rollback"] for (each,) in statements]
    assert rollbacks[0]["why"] == "1 of 1 peers did not come back (node2)"
    assert rollbacks[1] is None


def test_one_of_two_peers_may_stay_away(nodes):
    node, _, third = nodes.all
    third.run("ip", "link", "set", "eth0", "down")
    moved = replace(nodes.view(node), port=51999)
    assert sync(node, moved)["result"] is True


def test_a_peer_that_had_stopped_answering_before_is_not_waited_for(nodes):
    """A machine that moves is off while the others learn where to."""
    node, second, _ = nodes.all
    second.run("ip", "link", "set", "eth0", "down")
    assert sync(node, view_with(nodes, node, node2=NOWHERE))["result"] is True
    assert peers(node)[nodes.keys["node2"]]["endpoint"] == NOWHERE


def test_a_change_that_cuts_the_node_off_from_its_master_is_taken_back(nodes):
    node, second, _ = nodes.all
    second.do("listen", MASTER_PORT)
    node.do("configure", {}, master_ip=second.address, master_port=MASTER_PORT)
    answer = sync(node, view_without(nodes, node, "node2"))
    assert answer["result"] is False
    assert f"the Salt master ({second.address}, port {MASTER_PORT}) can no longer be reached" in answer["comment"]
    assert nodes.keys["node2"] in peers(node)
    nodes.ping(node, second)


def test_a_master_that_could_not_be_reached_before_is_not_demanded(nodes):
    node, second, _ = nodes.all
    node.do("configure", {}, master_ip=second.address, master_port=MASTER_PORT)
    assert sync(node, view_without(nodes, node, "node2"))["result"] is True


def test_without_a_trial_nothing_is_taken_back(nodes):
    node, *_ = nodes.all
    node.do("configure", {"wireguard:confirm_seconds": 0})
    assert sync(node, view_with(nodes, node, node2=NOWHERE))["result"] is True
    assert peers(node)[nodes.keys["node2"]]["endpoint"] == NOWHERE


def test_no_watchdog_is_left_when_a_change_is_over(nodes):
    node, *_ = nodes.all
    sync(node, view_without(nodes, node, "node3"))
    sync(node, view_with(nodes, node, node2=NOWHERE))
    assert ".watchdog" not in node.run("ps", "-e", "-ww", "-o", "args")
