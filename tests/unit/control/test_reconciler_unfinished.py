"""A reconcile settles rotations that broke off, and can ask nodes of which it believes that they are in sync."""

import pytest

from answering import Fleet
from factories import public_key


@pytest.fixture
def fleet(tmp_path):
    return Fleet(tmp_path)


def test_of_a_node_that_did_not_switch_the_announcement_is_forgotten_by_all(fleet):
    fleet.announce("a")
    said = fleet.reconcile()
    assert fleet.row("a").next_key is None
    assert fleet.row("a").public_key == public_key("a")
    assert said["confirmed"] == ["a", "b"]
    assert fleet.reconcile()["asked"] == []


def test_a_node_that_switched_is_registered_with_its_new_key(fleet):
    fleet.announce("a")
    fleet.keys["a"] = "next"
    said = fleet.reconcile()
    assert (fleet.row("a").public_key, fleet.row("a").next_key) == (public_key("next"), None)
    assert said["confirmed"] == ["a", "b"]
    assert fleet.reconcile()["asked"] == []


def test_of_a_node_that_does_not_answer_both_keys_stay_known(fleet):
    fleet.announce("a")
    fleet.off.add("a")
    assert fleet.reconcile()["silent"] == ["a"]
    assert fleet.row("a").next_key == public_key("next")


def test_a_node_that_rotates_right_now_is_left_alone(fleet):
    fleet.announce("a")
    fleet.reconcile(rotating=("net", "a"))
    assert set(fleet.asked) == {"b"}
    assert fleet.row("a").next_key == public_key("next")


def test_nodes_in_sync_are_asked_where_that_is_wanted(fleet):
    assert fleet.reconcile()["asked"] == []
    assert fleet.reconcile(suspects={"a"})["confirmed"] == ["a"]
    assert fleet.reconcile(suspects="*")["confirmed"] == ["a", "b"]
    assert fleet.asked == ["a", "a", "b"]


def test_a_node_whose_answer_was_lost_is_asked_again_although_it_is_wanted_as_it_was_before(fleet):
    fleet.master.registry.admissions.revoke("net", "b", "alice", "")
    fleet.off.add("a")  # it does what it is asked for, and nobody hears of that
    assert fleet.reconcile()["silent"] == ["a"]
    fleet.off.clear()
    fleet.asked.clear()
    fleet.master.registry.admissions.readmit("net", "b", "alice", "")
    assert "a" in fleet.reconcile()["confirmed"]


def test_one_of_them_that_does_not_answer_is_silent_although_nothing_is_known_against_it(fleet):
    fleet.off.add("a")
    said = fleet.reconcile(suspects="*")
    assert (said["confirmed"], said["silent"]) == (["b"], ["a"])
