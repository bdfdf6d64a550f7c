"""What operators decide about nodes: master and registry."""

import pytest

from factories import accept, master_of, membership, network, registration
from saltext.wireguard.errors import ConfigError
from saltext.wireguard.master.decisions import networks_of
from speaking import says


def build(tmp_path, nodes, extra=""):
    """A master of two accepted minions."""
    made = master_of(tmp_path, nodes, extra)
    for name in "ab":
        accept(made, name)
    return made


def whats(master, node):
    return [(entry.what, entry.who, entry.why) for entry in master.registry.audit.history(node)]


def test_a_mistyped_name_is_no_node_although_a_glob_would_let_it_in(tmp_path):
    master = build(tmp_path, "'*': {}")
    with pytest.raises(ConfigError, match="there is no weeb7"):
        networks_of(master.moment(), "weeb7")


@pytest.mark.parametrize(("nodes", "node"), [("'*': {}", "a"), ("z: {}", "z"), ("'*': {}, z: {}", "z")])
def test_an_accepted_minion_and_a_node_of_the_mesh_file_are_known_before_they_register(tmp_path, nodes, node):
    assert networks_of(build(tmp_path, nodes).moment(), node) == ["net"]


def test_a_node_is_known_after_its_salt_key_was_deleted(tmp_path):
    master = build(tmp_path, "'*': {}")
    assert says(master, registration("a"))
    (tmp_path / "minions" / "a").unlink()
    assert networks_of(master.moment(), "a") == ["net"]


def test_a_node_that_was_revoked_before_it_ever_registered_is_known(tmp_path):
    master = build(tmp_path, "'*': {}")
    master.registry.admissions.revoke("net", "a", "alice", "")
    (tmp_path / "minions" / "a").unlink()
    assert networks_of(master.moment(), "a") == ["net"]


def test_who_revokes_a_second_time_changes_neither_the_reason_nor_the_history(tmp_path):
    registry = build(tmp_path, "'*': {}").registry
    registry.admissions.revoke("net", "a", "alice", "stolen")
    before = registry.snapshot(), registry.audit.history()
    registry.admissions.revoke("net", "a", "bob", "")
    registry.admissions.revoke("net", "a", "bob", "stolen")
    assert (registry.snapshot(), registry.audit.history()) == before


def test_another_reason_replaces_the_first_and_is_in_the_history(tmp_path):
    master = build(tmp_path, "'*': {}")
    master.registry.admissions.revoke("net", "a", "alice", "stolen")
    master.registry.admissions.revoke("net", "a", "bob", "and sold")
    assert whats(master, "a") == [("revoked", "alice", "stolen"), ("revoked", "bob", "and sold")]


def test_a_key_that_waits_for_admission_is_no_row_yet(tmp_path):
    registry = build(tmp_path, "'*': {}", "admit: manual").registry
    registry.register(registration("a"), "salt key of a", membership(network(extra="admit: manual"), "a"))
    assert dict(registry.snapshot().rows) == {}
    assert registry.snapshot().waiting["net", "a"].question == "admit"
