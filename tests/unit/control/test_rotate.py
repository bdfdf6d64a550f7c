"""Whose keys are rotated, whole, against stand-ins: by hand, by age, and the preshared keys of all."""

import time

import pytest

from answering import Fleet
from factories import mesh_text, public_key
from operating import operator_of
from saltext.wireguard.control.reconcile import hold
from saltext.wireguard.control.rotate import rotate, rotate_due, rotate_secret
from saltext.wireguard.errors import ConfigError


@pytest.fixture
def fleet(tmp_path):
    return Fleet(tmp_path, "abc")


def by_hand(fleet, node="a", force=False):
    operator = operator_of(fleet)
    return rotate(operator, node, None, 1, force), operator.announced


def test_a_rotation_goes_by_its_protocol_and_ends_with_the_new_key_everywhere(fleet):
    said, announced = by_hand(fleet)
    (row,) = said["rotations"]
    assert (row["rotated"], row["comment"]) == (True, f"new key {public_key('a next')}")
    assert [function.removeprefix("wireguard.") for function, _ in fleet.functions] == [
        "rotate_prepare",
        "delta",
        "rotate_follow",
        "rotate_switch",
        "delta",
        "sync",
    ]
    assert {peer.public_key for peer in fleet.views["b"].peers} == {public_key("a next"), public_key("c")}
    assert [what for what, _ in announced] == ["rotating", "rotated"]


def test_a_node_that_does_not_switch_goes_on_with_its_old_key_and_nobody_knows_the_new_one(fleet):
    """Its peers let both keys in until somebody reconciled."""
    fleet._rotate_switch = lambda node, network: {"switched": False, "comment": "its peers do not answer"}
    said, announced = by_hand(fleet)
    (row,) = said["rotations"]
    assert (row["rotated"], said["retcode"]) == (False, 1)
    assert row["comment"] == "its peers do not answer; it keeps its old key"
    assert fleet.row("a").next_key is None
    assert {peer.public_key for peer in fleet.views["b"].peers} == {public_key("a"), public_key("c")}
    assert fleet.views["b"].peers[0].next_key is None
    assert ("rotation_failed", "a") in announced


def forged(fleet, function, answer):
    """Somebody answers this job before the node that was asked does."""
    real = fleet.publish

    def publish(nodes, published, arguments):
        if published == function:
            fleet.fire_return(len(fleet.jobs) + 1, next(iter(nodes)), {"success": True, "return": answer})
            fleet.pause()
        return real(nodes, published, arguments)

    fleet.publish = publish


def test_a_forged_answer_that_it_did_not_switch_does_not_make_the_peers_forget_its_new_key(fleet):
    """The node had switched: its peers knew only the old key, and with `rekey: manual` it was cut off for good."""
    fleet.mesh.write_text(mesh_text("'*': {}", extra="rekey: manual"))
    fleet.reconcile()
    forged(fleet, "wireguard.rotate_switch", {"switched": False, "comment": "it does not want to"})
    (row,) = by_hand(fleet)[0]["rotations"]
    assert row["rotated"], row
    assert fleet.row("a").public_key == public_key("a next")
    assert {peer.public_key for peer in fleet.views["b"].peers} == {public_key("a next"), public_key("c")}


def test_while_the_node_does_not_prove_that_it_did_not_switch_its_peers_keep_both_keys(fleet):
    def switch(node, network):
        fleet.off.add(node)
        return {"switched": True}

    fleet._rotate_switch = switch
    forged(fleet, "wireguard.rotate_switch", {"switched": False, "comment": "it does not want to"})
    (row,) = by_hand(fleet)[0]["rotations"]
    assert row["comment"].startswith("it does not want to; its peers accept both its keys")
    assert fleet.views["b"].peers[0].next_key == public_key("a next")


def test_a_node_that_is_off_is_not_rotated(fleet):
    fleet.off = {"a"}
    (row,) = by_hand(fleet)[0]["rotations"]
    assert row["comment"] == "it does not answer; it keeps its old key"


def test_all_are_rotated_one_after_the_other(fleet):
    said, _ = by_hand(fleet, "*")
    assert [(row["node"], row["rotated"]) for row in said["rotations"]] == [("a", True), ("b", True), ("c", True)]


def test_a_glob_that_matches_nobody_is_an_error(fleet):
    with pytest.raises(ConfigError, match=r"no registered node matches 'x\*'"):
        by_hand(fleet, "x*")
    with pytest.raises(ConfigError, match="there is no network other in the mesh file"):
        rotate(operator_of(fleet), "a", "other", 1, False)


def test_nodes_with_external_peers_are_rotated_by_force_only(fleet):
    peers = f"phone: {{public_key: {public_key('phone')}, addresses: [10.42.0.200]}}"
    fleet.mesh.write_text(mesh_text("'*': {}", peers=peers))
    fleet.reconcile()
    with pytest.raises(ConfigError, match=r"\(phone\)"):
        by_hand(fleet)
    assert by_hand(fleet, force=True)[0]["rotations"][0]["rotated"]


def test_on_hold_nothing_is_rotated(fleet):
    hold(operator_of(fleet), "")
    with pytest.raises(ConfigError, match="changes are on hold"):
        by_hand(fleet)
    assert rotate_due(operator_of(fleet), 1) == {"rotations": []}


def test_the_keys_that_are_due_are_rotated_as_many_as_may_be_at_once(fleet):
    fleet.mesh.write_text(mesh_text("'*': {}", extra="rotate_every: 1h"))
    fleet.reconcile()
    with fleet.master.registry._store.write() as connection:
        connection.execute("UPDATE node SET keyed = ?", [time.time() - 7200])
        connection.execute("UPDATE generation SET value = value + 1")
    rows = rotate_due(operator_of(fleet), 2)["rotations"]
    assert [row["rotated"] for row in rows] == [True, True]
    assert {entry.who for entry in fleet.master.registry.audit.history() if entry.what == "rotating"} == {"master"}


def test_the_secret_is_renewed_when_all_answer_and_reaches_them_at_once(fleet):
    fleet.mesh.write_text(mesh_text("'*': {}", extra="preshared_keys: true"))
    fleet.reconcile()
    before = fleet.master.moment().secret
    said = rotate_secret(operator_of(fleet), "an administrator left", 1, False)
    assert fleet.master.moment().secret != before
    assert said["confirmed"] == ["a", "b", "c"]


def test_while_a_node_is_silent_the_secret_is_renewed_by_force_only(fleet):
    fleet.mesh.write_text(mesh_text("'*': {}", extra="preshared_keys: true"))
    fleet.reconcile()
    before = fleet.master.moment().secret
    fleet.off = {"b"}
    with pytest.raises(ConfigError, match=r"^b did not answer within 1 s"):
        rotate_secret(operator_of(fleet), "", 1, False)
    assert fleet.master.moment().secret == before
    assert rotate_secret(operator_of(fleet), "", 0.2, True)["silent"] == ["b"]
    assert fleet.master.moment().secret != before
