"""Whom to ask because of what beacons say, which anybody can forge."""

import pytest

from saltext.wireguard.rollout.hints import MOST_NODES, SECONDS, Hints


def tag(what="drift", node="web1"):
    return f"salt/beacon/{node}/wireguard/{what}"


@pytest.mark.parametrize("what", ["drift", "interface_gone"])
def test_what_a_sync_mends_is_a_reason_to_ask_the_node(what):
    assert Hints().heeds(tag(what), "web1", 0.0)


@pytest.mark.parametrize(
    "other", [tag("peer_down"), tag("endpoint_moved"), tag("driftwood"), "salt/beacon/web1/inotify/drift", "drift"]
)
def test_what_it_does_not_mend_is_none(other):
    assert not Hints().heeds(other, "web1", 0.0)


def test_a_node_is_asked_once_in_a_while_however_often_somebody_says_so():
    hints = Hints()
    asked = [hints.heeds(tag(), "web1", now) for now in (0.0, 1.0, SECONDS - 1, SECONDS, SECONDS + 1)]
    assert asked == [True, False, False, True, False]


def test_forged_hints_in_the_names_of_all_nodes_ask_a_few_of_them():
    hints = Hints()
    asked = [hints.heeds(tag(), f"node{number}", 1.0) for number in range(1000)]
    assert sum(asked) == MOST_NODES
    assert hints.heeds(tag(), "web1", SECONDS + 1)
