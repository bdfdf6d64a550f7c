"""Revoking, proving and readmitting: who is asked, what the operator is told, what is announced."""

import pytest

from answering import Fleet
from factories import mesh_text
from operating import operator_of
from saltext.wireguard.control import removal
from saltext.wireguard.control.reconcile import hold
from saltext.wireguard.errors import ConfigError

DROP = "wireguard.delta"


@pytest.fixture
def fleet(tmp_path):
    return Fleet(tmp_path, "abcd")


def revoke(fleet, node="d", reason="stolen"):
    operator = operator_of(fleet)
    return removal.revoke(operator, node, None, reason, 1), operator.announced


def test_a_revocation_is_proved_by_every_node_and_announced(fleet):
    said, announced = revoke(fleet)
    assert said["answer"].startswith("3 of 3 nodes have dropped d (")
    assert (said["confirmed"], said["of"], said["missing"]) == (3, 3, [])
    assert (said["node_itself"], said["networks"]) == ("has taken its interface down", ["net"])
    assert fleet.functions == [(DROP, ["a", "b", "c", "d"])]
    assert announced[0] == ("revoked", "d")
    assert fleet.has("a") == ["b", "c"]


def test_a_node_that_is_silent_is_named_and_that_is_a_failure(fleet):
    fleet.off = {"b"}
    said, _ = revoke(fleet)
    assert (said["confirmed"], said["of"], said["retcode"]) == (2, 3, 1)
    ((missing),) = said["missing"]
    assert (missing["node"], missing["why"]) == ("b", "out of date")
    assert "; not confirmed: b (last seen 20" in said["answer"]


def test_the_drop_bears_the_generation_so_that_nothing_older_brings_the_node_back(fleet):
    revoke(fleet)
    ((_, _, arguments),) = fleet.jobs
    assert arguments[1]["generation"] == fleet.master.registry.snapshot().generation
    assert arguments[1]["withdrawn"] == arguments[0]


def test_a_revocation_goes_through_a_hold(fleet):
    hold(operator_of(fleet), "careful")
    assert revoke(fleet)[0]["confirmed"] == 3


def test_a_revocation_in_an_invalid_mesh_file_is_kept_announced_and_an_error_that_says_so(fleet):
    operator = operator_of(fleet)
    fleet.mesh.write_text(mesh_text("'*': {}", subnets="10.99.0.0/24"))
    with pytest.raises(ConfigError, match="d is revoked, but NO NODE HAS DROPPED IT YET"):
        removal.revoke(operator, "d", None, "stolen", 1)
    assert operator.announced == [("revoked", "d")]
    assert fleet.jobs == []


def test_a_member_is_not_dropped(fleet):
    with pytest.raises(ConfigError, match=r"d is a member of net. To remove it, take it out of the mesh file"):
        removal.dropped(operator_of(fleet), "d", None, 1)


def test_a_node_that_an_edit_took_out_is_proved_gone_again_and_again(fleet):
    fleet.mesh.write_text(mesh_text("a: {}, b: {}, c: {}"))
    for _ in range(2):
        said = removal.dropped(operator_of(fleet), "d", None, 1)
        assert (said["confirmed"], said["of"]) == (3, 3)
    assert fleet.functions == [(DROP, ["a", "b", "c", "d"])]


def test_a_readmitted_node_is_a_peer_again(fleet):
    revoke(fleet)
    operator = operator_of(fleet)
    said = removal.readmit(operator, "d", None, "found")
    assert said["confirmed"] == ["a", "b", "c", "d"]
    assert fleet.has("a") == ["b", "c", "d"]
    assert ("readmitted", "d") in operator.announced


def test_who_is_not_revoked_cannot_be_readmitted(fleet):
    with pytest.raises(ConfigError, match=r"^d is not revoked$"):
        removal.readmit(operator_of(fleet), "d", None, "")
    with pytest.raises(ConfigError, match=r"^d is not revoked in network net$"):
        removal.readmit(operator_of(fleet), "d", "net", "")
