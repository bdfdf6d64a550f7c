"""Who belongs to a network, and why others do not."""

import pytest

from factories import accepted, network, public_key, row
from saltext.wireguard.fleet.membership import Member, Membership, may_have
from saltext.wireguard.meshfile.mesh import NodeSettings
from saltext.wireguard.registry.admission import ADMITTED, REVOKED, UNDECIDED, Standing
from saltext.wireguard.registry.rows import VOUCHED

PHONE = f"phone: {{public_key: {public_key('phone')}, addresses: [10.42.0.200]}}"
NOW = 100.0
SETTINGS = NodeSettings((), None, 51820)


def membership(nodes="a: {}, b: {}", keys="ab", standings=None, vouched=None, **kwargs):
    decisions = {("net", node): standing for node, standing in (standings or {}).items()}
    return Membership(network(nodes, **kwargs), accepted(*keys), decisions, NOW, vouched or {})


def standing(state, expires=None):
    return Standing(state, 1.0, "alice", "", expires)


@pytest.mark.parametrize("node", ["a", "b", "phone", "z", None, 1])
def test_membership_of_one_agrees_with_the_members_of_all(node):
    net = network("a: {}, 'p*': {}, z: {}", peers=PHONE)
    keys = accepted("a", "b", "phone")
    membership = Membership(net, keys, {}, 0.0, {})
    assert (node in membership) == (node in set(membership)) == (node == "a")
    assert len(membership) == 1


@pytest.mark.parametrize(
    ("node", "reason"),
    [
        ("a", None),
        ("c", "its Salt key is not accepted"),
        ("d", "not in the mesh file"),
        ("e", "revoked by alice"),
        ("f", "expired"),
    ],
)
def test_who_is_no_member_has_a_reason(node, reason):
    decided = {"e": standing(REVOKED), "f": standing(ADMITTED, NOW)}
    members = membership("a: {}, b: {}, c: {}, e: {}, f: {}", "adef", decided)
    assert members.why_not(node) == reason
    assert (node in members) == (reason is None)


@pytest.mark.parametrize(("expires", "is_member"), [(NOW - 1, False), (NOW, False), (NOW + 1, True), (None, True)])
def test_a_membership_ends_at_its_moment(expires, is_member):
    assert ("a" in membership(standings={"a": standing(UNDECIDED, expires)})) == is_member


def test_a_revoked_node_is_suspended_as_long_as_it_would_be_a_member_otherwise():
    decided = {name: standing(REVOKED) for name in "abc"}
    assert membership("a: {}, c: {}", "ab", decided).suspended == {"a"}


def test_who_is_vouched_for_needs_no_salt_key():
    members = membership(keys="a", vouched={"b": public_key("b")})
    assert set(members) == {"a", "b"}
    assert "c" not in members.vouching_for("c", public_key("c"))  # the mesh file does not list it


def test_a_key_that_the_mesh_file_does_not_give_a_node_vouches_for_nothing():
    nodes = f"a: {{public_key: {public_key('a')}, addresses: [10.42.0.7]}}"
    assert "a" in membership(nodes, "", vouched={"a": public_key("a")})
    assert "a" not in membership(nodes, "", vouched={"a": public_key("another")})


@pytest.mark.parametrize(
    ("known", "is_withdrawn"),
    [
        (row("a"), False),
        (row("a", salt_key="that of another installation"), True),
        (row("b"), True),  # its Salt key is gone
        (row("c"), True),  # revoked
        (row("d"), False),  # only the mesh file does not list it, which may be a slip
        (row("a", salt_key=VOUCHED), True),
        (row("e", salt_key=VOUCHED), False),
    ],
)
def test_whom_nobody_trusts_any_more_is_withdrawn(known, is_withdrawn):
    decided = {"c": standing(REVOKED)}
    members = membership("a: {}, b: {}, c: {}, e: {}", "acd", decided, {"e": public_key("e")})
    assert members.is_withdrawn(known) == is_withdrawn


@pytest.mark.parametrize(
    ("member", "has_registered", "is_to_register"),
    [
        (Member("a", SETTINGS), False, True),
        (Member("a", SETTINGS, row("a")), True, False),
        (Member("a", SETTINGS, row("a", salt_key=VOUCHED)), False, True),
        (Member("a", SETTINGS, row("a", salt_key=VOUCHED), has_key=False), False, False),
    ],
)
def test_a_member_is_to_register_if_its_minion_can_and_did_not(member, has_registered, is_to_register):
    assert (member.has_registered, member.is_to_register) == (has_registered, is_to_register)


def test_a_node_that_the_mesh_file_does_not_list_may_have_no_key():
    assert not may_have(None, public_key("a"))
