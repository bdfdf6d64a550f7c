"""What is told of changes on a node, and what is not worth an event."""

from dataclasses import replace

import pytest

from factories import public_key
from saltext.wireguard.device.watch import AGAIN_SECONDS, WHATS, Look, Watch
from saltext.wireguard.model.live import LivePeer

KEY = public_key("db1")
UP = LivePeer("192.0.2.5:51820", 20, 100, 100)
GONE = replace(UP, age=200)
LOOK = Look("wg0", "backbone", True, {KEY: UP}, frozenset({KEY}), {KEY: "db1"})


class Node:
    """A node that is looked at every ten seconds."""

    def __init__(self, looks=3, at_most=60):
        self.watch = Watch()
        self.settings = looks, at_most
        self.now = 0.0

    def look(self, *looks, after=10.0):
        self.now += after
        return self.watch.look(looks, *self.settings, self.now)

    def see(self, peer, times=1, **changes):
        """What is told in so many looks at a peer."""
        look = replace(LOOK, peers={KEY: peer}, **changes)
        return [event["what"] for _ in range(times) for event in self.look(look)]


def whats(events):
    return [event["what"] for event in events]


def test_a_peer_that_is_lost_is_told_once_it_has_been_so_for_three_looks():
    node = Node()
    assert node.see(UP, 3) == []
    assert node.see(GONE, 2) == []
    (event,) = node.look(replace(LOOK, peers={KEY: GONE}))
    assert event == {
        "tag": "peer_down",
        "what": "peer_down",
        "interface": "wg0",
        "network": "backbone",
        "peer": "db1",
        "public_key": KEY,
        "age": 200,
    }
    assert node.see(GONE, 100) == []


def test_a_peer_that_comes_back_is_told_once_it_has_lasted():
    node = Node()
    node.see(GONE, 3)
    assert node.see(UP, 2) == []
    assert node.see(UP) == ["peer_up"]
    assert node.see(UP, 100) == []


def test_a_peer_that_flickers_is_not_told():
    node = Node()
    assert [told for _ in range(20) for told in node.see(GONE, 2) + node.see(UP, 2)] == []


def test_an_idle_peer_is_no_fault():
    assert Node().see(GONE, 20, kept_alive=frozenset()) == []


def test_but_one_to_which_somebody_sends_in_vain_is():
    node = Node()
    sent = [replace(GONE, sent=100 + 148 * number) for number in range(1, 5)]
    assert [told for peer in sent for told in node.see(peer, kept_alive=frozenset())] == ["peer_down"]


def test_a_peer_that_went_down_and_is_left_alone_stays_down_until_it_has_a_session():
    node = Node()
    node.see(GONE, 3)
    assert node.see(GONE, 10, kept_alive=frozenset()) == []
    assert node.see(UP, 3, kept_alive=frozenset()) == ["peer_up"]


def test_a_peer_that_is_lost_from_the_beginning_is_told():
    assert Node().see(replace(UP, age=None), 3) == ["peer_down"]


def test_a_peer_that_was_removed_is_forgotten():
    node = Node()
    node.see(GONE, 3)
    node.look(replace(LOOK, peers={}))
    assert node.see(UP, 5) == []


def test_an_endpoint_that_moved_is_told_with_both_places():
    node = Node()
    node.see(UP)
    moved = replace(LOOK, peers={KEY: replace(UP, endpoint="198.51.100.7:4000")})
    assert node.look(moved) == node.look(moved) == []
    (event,) = node.look(moved)
    assert (event["what"], event["old"], event["new"]) == ("endpoint_moved", "192.0.2.5:51820", "198.51.100.7:4000")
    assert node.look(moved) == []


def test_the_first_endpoint_of_a_peer_is_no_move():
    node = Node()
    node.see(replace(UP, endpoint=None))
    assert node.see(UP, 5) == []


@pytest.mark.parametrize(
    ("wrong", "what"),
    [
        ({"up": False, "peers": {}}, "interface_gone"),
        ({"exposed": {"/etc/wireguard/wg0.key": "0644"}}, "key_mode"),
        ({"drift": 2}, "drift"),
    ],
)
def test_what_is_wrong_with_the_node_is_told_again_every_hour_as_long_as_it_lasts(wrong, what):
    """The engine may not have heard it, or may have had too many hints just then."""
    node = Node()
    look = replace(LOOK, **wrong)
    assert [told for _ in range(5) for told in whats(node.look(look))] == [what]
    assert whats(node.look(look, after=AGAIN_SECONDS)) == [what]
    assert node.look(look) == []


def test_an_interface_that_comes_back_is_told():
    node = Node()
    for _ in range(3):
        node.look(replace(LOOK, up=False, peers={}))
    assert [told for _ in range(4) for told in whats(node.look(LOOK))] == ["interface_back"]


def test_the_peers_of_an_interface_that_is_gone_are_not_told_each():
    node = Node()
    node.see(UP)
    assert [told for _ in range(9) for told in whats(node.look(replace(LOOK, up=False, peers={})))] == [
        "interface_gone"
    ]


def test_drift_has_to_be_found_twice_as_the_first_time_may_be_in_the_middle_of_a_change():
    node = Node()
    drifted, clean = replace(LOOK, drift=3), replace(LOOK, drift=0)
    assert node.look(drifted) == node.look(clean) == node.look(drifted) == []
    (event,) = node.look(drifted)
    assert (event["what"], event["changes"]) == ("drift", 3)


def test_looks_that_do_not_look_for_drift_say_nothing_about_it():
    node = Node()
    node.look(replace(LOOK, drift=3))
    assert node.look(LOOK) == []
    assert whats(node.look(replace(LOOK, drift=3))) == ["drift"]


def test_files_that_others_can_read_are_named_with_their_modes():
    node = Node(looks=1)
    (event,) = node.look(replace(LOOK, exposed={"/etc/wireguard/wg0.key": "0644"}))
    assert event["files"] == {"/etc/wireguard/wg0.key": "0644"}


def many(number, peer):
    return replace(LOOK, peers={public_key(each): peer for each in range(number)}, kept_alive=frozenset())


def test_a_node_that_loses_its_line_tells_of_some_peers_and_of_the_number_of_the_others():
    node = Node(looks=1, at_most=20)
    node.look(many(100, UP))
    lost = node.look(many(100, replace(GONE, sent=500)))
    assert whats(lost) == ["peer_down"] * 20
    assert node.look(many(100, GONE), after=100.0) == []
    assert node.look(many(100, GONE), after=100.0) == [{"tag": "left_out", "what": "left_out", "count": 80}]


def test_no_node_tells_more_than_so_many_things_an_hour():
    node = Node(looks=1, at_most=60)
    told = 0
    for number in range(1000):
        told += len(node.look(replace(LOOK, peers={KEY: replace(UP, endpoint=f"192.0.2.5:{number + 1}")}), after=7.2))
    assert told <= 60 + 2 * 60 + 1


def test_an_interface_that_is_not_ours_any_more_is_forgotten():
    node = Node(looks=1)
    assert whats(node.look(replace(LOOK, up=False, peers={}))) == ["interface_gone"]
    assert node.look() == []
    assert node.look(LOOK) == []


def test_all_that_can_be_told_is_listed():
    assert sorted(WHATS) == list(WHATS)
