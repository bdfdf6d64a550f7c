"""One network: what a view tells beside peers and addresses."""

from dataclasses import replace
from ipaddress import ip_address

import pytest

from factories import accepted, mesh, public_key, row, snapshot
from saltext.wireguard.fleet import network as module
from saltext.wireguard.fleet.fleet import Fleet
from saltext.wireguard.model.preshared import secret
from saltext.wireguard.registry.admission import ADMITTED, REVOKED, Standing
from saltext.wireguard.registry.rows import VOUCHED

ROWS = [row(name, ip_address(f"10.42.0.{number}")) for number, name in enumerate("abc", 1)]
REVOKED_BY_ALICE = Standing(REVOKED, 1.0, "alice", "")


def view(rows=ROWS, nodes="'*': {}", keys="abc", **sources):
    return Fleet(mesh(nodes), known(rows, **sources), accepted(*keys), 10.0).views("a")["net"]


def known(rows=ROWS, **sources):
    """A registry that is settled."""
    noted = {"net": frozenset(each.node for each in rows)}
    return replace(snapshot(*rows), **{"noted": noted, **sources})


def test_a_view_bears_the_generation_that_it_was_made_from():
    assert view(generation=7).generation == 7


def test_a_view_of_a_node_that_has_not_registered_bears_it_too():
    assert view(rows=ROWS[1:], generation=7).generation == 7


def test_a_view_that_nobody_has_settled_is_newer_than_the_registry():
    """Two views of one generation, before and after an edit of the mesh file: the late old one was taken back."""
    fleet = Fleet(replace(mesh("'*': {}"), digest="edited"), known(generation=7), accepted(*"abc"), 10.0)
    assert fleet.views("a")["net"].generation == 8


@pytest.mark.parametrize(
    ("what", "sources"),
    [
        ("a key that is accepted no more", {"keys": "ab"}),
        ("a membership that ended", {"standings": {("net", "c"): Standing(ADMITTED, 1.0, "alice", "", expires=9.0)}}),
        ("a network that lost its nodes", {"noted": {"net": frozenset("abc"), "other": frozenset("a")}}),
        ("a node that registered", {"noted": {"net": frozenset("ab")}}),
    ],
)
def test_so_is_a_view_after_anything_else_that_the_registry_has_not_seen(what, sources):
    assert view(generation=7, **sources).generation == 8


def test_another_secret_of_preshared_keys_makes_newer_views():
    sources = mesh("'*': {}", extra="preshared_keys: true"), known(generation=7), accepted(*"abc"), 10.0
    before = Fleet(*sources, secret("x" * 32))
    settled = replace(sources[1], sources=before.sources)
    old, new = (Fleet(sources[0], settled, *sources[2:], secret(text * 32)) for text in "xy")
    assert (old.generation, new.generation) == (7, 8)


def test_without_a_registry_there_is_no_generation():
    """A node without a master has none, and one whose registry is lost must not be told of an old one."""
    assert view(generation=0, noted={}).generation == 0


def test_the_generation_is_no_part_of_the_digest():
    assert view(generation=7).digest == view(generation=8).digest


def test_nobody_is_withdrawn_where_all_are_members():
    assert view().withdrawn == ()


def test_the_keys_of_a_revoked_node_are_withdrawn():
    rows = [*ROWS[:2], replace(ROWS[2], next_key=public_key("c next"))]
    found = view(rows, standings={("net", "c"): REVOKED_BY_ALICE}).withdrawn
    assert found == tuple(sorted([public_key("c"), public_key("c next")]))


def test_the_key_of_a_node_whose_membership_has_expired_is_withdrawn():
    standing = Standing(ADMITTED, 1.0, "alice", "", expires=9.0)
    assert view(standings={("net", "c"): standing}).withdrawn == (public_key("c"),)


def test_the_key_of_a_node_whose_salt_key_is_accepted_no_more_is_withdrawn():
    assert view(keys="ab").withdrawn == (public_key("c"),)


def test_the_key_of_an_installation_that_another_one_has_followed_is_withdrawn():
    assert view([*ROWS[:2], replace(ROWS[2], salt_key="another")]).withdrawn == (public_key("c"),)


def test_an_edit_of_the_mesh_file_withdraws_nothing():
    """Who is taken out by a slip may be the gateway of others: their trial of the change has to be able to fail."""
    assert view(nodes="a: {}, b: {}").withdrawn == ()


def test_a_key_that_a_member_has_now_is_not_withdrawn():
    """A minion that gets another id keeps its key."""
    rows = [ROWS[0], replace(ROWS[1], public_key=public_key("c")), ROWS[2]]
    assert view(rows, standings={("net", "c"): REVOKED_BY_ALICE}).withdrawn == ()


def test_a_key_that_an_operator_vouches_for_is_not_withdrawn():
    rows = [*ROWS[:2], replace(ROWS[2], salt_key=VOUCHED)]
    assert view(rows, keys="ab").withdrawn == ()


def test_a_pillar_has_room_for_so_many_withdrawn_keys(monkeypatch):
    monkeypatch.setattr(module, "MAX_WITHDRAWN", 1)
    rows = [ROWS[0], replace(ROWS[1], registered=5.0), ROWS[2]]
    assert view(rows, keys="a").withdrawn == (public_key("b"),)


def test_the_digest_does_not_depend_on_who_is_withdrawn():
    with_row = view(ROWS, keys="ab")
    without_row = view(ROWS[:2], keys="ab")
    assert with_row.digest == without_row.digest
