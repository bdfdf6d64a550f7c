"""Who is let in: what an operator decided, what the mesh file says, and which of it counts."""

import pytest

from factories import network
from saltext.wireguard.registry.admission import ADMITTED, REVOKED, Standing, excluded, expiries, question

NOW = 1_000_000.0


def standing(state=ADMITTED, expires=None):
    return Standing(state, NOW - 10, "alice", "because", expires)


def settings(expires=None):
    extra = f"expires: '{expires}'" if expires else ""
    return network(f"a: {{{extra}}}").settings("a")


# --- exclusion


def test_a_node_about_which_nobody_decided_anything_is_a_member():
    assert excluded(settings(), None, NOW) is None
    assert list(expiries(settings(), None)) == []


def test_a_node_that_was_admitted_is_a_member():
    assert excluded(settings(), standing(), NOW) is None


def test_a_revoked_node_is_none_and_says_by_whom():
    assert excluded(settings(), standing(REVOKED), NOW) == "revoked by alice"


def test_a_revoked_node_is_revoked_rather_than_expired():
    assert excluded(settings(), standing(REVOKED, NOW - 1), NOW) == "revoked by alice"


@pytest.mark.parametrize(("expires", "why"), [(NOW - 1, "expired"), (NOW, "expired"), (NOW + 1, None)])
def test_an_admission_for_a_time_ends_at_that_time(expires, why):
    assert excluded(settings(), standing(expires=expires), NOW) == why
    assert list(expiries(settings(), standing(expires=expires))) == [expires]


@pytest.mark.parametrize(("day", "why"), [("1970-01-02", "expired"), ("2100-01-01", None)])
def test_the_mesh_file_ends_a_membership_whatever_an_operator_admitted(day, why):
    assert excluded(settings(day), standing(), NOW) == why
    assert excluded(settings(day), None, NOW) == why


def test_the_earlier_of_two_ends_counts():
    assert excluded(settings("2100-01-01"), standing(expires=NOW - 1), NOW) == "expired"
    assert len(list(expiries(settings("2100-01-01"), standing(expires=NOW + 1)))) == 2


# --- questions

MANUAL_ADMIT = network(extra="admit: manual")
MANUAL_REKEY = network(extra="rekey: manual")


@pytest.mark.parametrize("known", [[], ["old"], ["old", "next"]])
def test_without_a_policy_nobody_is_asked(known):
    assert question(network(), "new", known, None) is None


def test_a_new_node_needs_an_admission_where_the_mesh_file_says_so():
    assert question(MANUAL_ADMIT, "new", [], None) == "admit"


def test_a_new_node_that_was_admitted_beforehand_needs_none():
    assert question(MANUAL_ADMIT, "new", [], standing()) is None


def test_to_have_been_revoked_is_no_admission():
    assert question(MANUAL_ADMIT, "new", [], standing(REVOKED)) == "admit"


def test_a_node_that_is_in_already_needs_no_admission():
    assert question(MANUAL_ADMIT, "old", ["old"], None) is None
    assert question(MANUAL_ADMIT, "new", ["old"], None) is None


def test_another_key_needs_a_decision_where_the_mesh_file_says_so():
    assert question(MANUAL_REKEY, "new", ["old"], None) == "rekey"
    assert question(MANUAL_REKEY, "new", ["old"], standing()) == "rekey"


@pytest.mark.parametrize("key", ["old", "next"])
def test_neither_the_present_key_nor_the_announced_one_needs_a_decision(key):
    assert question(MANUAL_REKEY, key, ["old", "next"], None) is None


def test_the_first_key_of_a_node_is_no_change_of_keys():
    assert question(MANUAL_REKEY, "new", [], None) is None
