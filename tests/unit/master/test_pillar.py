"""What a minion finds in its pillar, and whom an error on the master concerns."""

from pathlib import Path

import pytest

from factories import accept, mesh_text, registration
from saltext.wireguard.errors import LossError, PillarError
from saltext.wireguard.master.pillar import views_for
from speaking import says


@pytest.fixture
def opts(master, tmp_path):
    """Of a Salt master that keeps its things where ``master`` does."""
    return {
        "ext_pillar": [{"wireguard": {"mesh": master.mesh_path}}],
        "pki_dir": str(tmp_path),
        "cachedir": str(tmp_path / "cache"),
    }


@pytest.fixture
def master(master, tmp_path):
    state = tmp_path / "cache" / "wireguard"
    return type(master)(master.mesh_path, master.keys_dir, str(state))


def has(opts, node):
    answer = views_for(opts, opts["ext_pillar"][0]["wireguard"]["mesh"], node)
    return None if answer is None else sorted(answer[0])


def break_mesh(master):
    Path(master.mesh_path).write_text("networks: 1")


def test_a_member_has_its_views_and_the_generation_that_they_were_made_from(master, opts):
    says(master, registration("a"))
    views, generation = views_for(opts, master.mesh_path, "a")
    assert views["net"].public_key == registration("a").public_key
    assert generation == master.moment().unguarded.generation


@pytest.mark.parametrize("node", ["z", "stranger"])
def test_who_never_was_a_member_has_none(master, opts, node):
    says(master, registration("a"))
    assert has(opts, node) is None


def test_who_was_a_member_and_is_none_any_more_has_no_networks(master, opts):
    says(master, registration("a"))
    Path(master.mesh_path).write_text(mesh_text("b: {}"))
    assert has(opts, "a") == []


def test_whose_salt_key_is_not_accepted_has_none(master, opts):
    assert has(opts, "c") is None


@pytest.mark.parametrize("node", ["a", "b"])
def test_an_invalid_mesh_file_is_an_error_for_those_that_the_last_valid_one_has(master, opts, node):
    assert has(opts, node) == ["net"]
    break_mesh(master)
    with pytest.raises(PillarError, match="the mesh file on the master is invalid, so this minion keeps what it has"):
        has(opts, node)


def test_an_invalid_mesh_file_does_not_concern_others(master, opts):
    assert has(opts, "a") == ["net"]
    break_mesh(master)
    assert has(opts, "z") is None


def test_an_error_says_nothing_of_what_is_wrong(master, opts):
    """What is wrong may be a secret in the wrong place."""
    assert has(opts, "a") == ["net"]
    Path(master.mesh_path).write_text(mesh_text("a: {secret: hunter2}"))
    with pytest.raises(PillarError) as caught:
        has(opts, "a")
    assert "hunter2" not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_registry_that_is_not_usable_is_an_error_for_members_only(master, opts):
    says(master, registration("a"))
    Path(master.registry.place).write_bytes(b"no database" * 999)
    with pytest.raises(PillarError, match="the master fails, so this minion keeps what it has"):
        has(opts, "a")
    assert has(opts, "z") is None


def test_the_loss_of_most_of_a_network_is_an_error_without_names(master, opts):
    nodes = [f"n{number}" for number in range(5)]
    accept(master, "n1")
    master.registry.audit.note_members("net", nodes, lambda node: "")
    with pytest.raises(LossError, match="network net would lose 5 of its 5 nodes at once") as caught:
        has(opts, "n1")
    assert "n3" not in str(caught.value)


def test_whoever_is_a_member_by_a_nodegroup_is_told_of_an_error_too(master, opts):
    """The mesh file was read without the nodegroups, which made it invalid, and the node was taken for a stranger."""
    Path(master.mesh_path).write_text(mesh_text("'N@web': {}"))
    opts |= {"nodegroups": {"web": "L@a"}, "cachedir": opts["cachedir"] + "/other"}
    opts["ext_pillar"][0]["wireguard"]["preshared_secret"] = "too short"
    with pytest.raises(PillarError, match="the master fails"):
        has(opts, "a")
    assert has(opts, "b") is None
