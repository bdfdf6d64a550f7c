"""Most of a network does not leave it by a slip: nobody is told before an operator has said that it is meant."""

import pytest

from answering import Fleet
from factories import mesh_text, public_key, registration
from saltext.wireguard.errors import LossError
from saltext.wireguard.master.settling import settle
from saltext.wireguard.master.status import just_booted, registered, statuses

OTHER = "  other:\n    interface: wg1\n    port: 1\n    subnets: [10.43.0.0/24]\n    nodes: {%s}\n"
MEANT = ("alice", "they move to another network")


@pytest.fixture
def fleet(tmp_path):
    """Five nodes in network net."""
    return Fleet(tmp_path, "abcde")


def write_mesh(fleet, nodes, other=""):
    fleet.mesh.write_text(mesh_text(nodes) + (OTHER % other if other else ""))


def rename_network(fleet):
    fleet.mesh.write_text(mesh_text().replace("net:", "new:"))


def delete_keys(fleet):
    for node in "abc":
        fleet.delete_salt_key(node)


def mistype(fleet):
    write_mesh(fleet, "'[x]*': {}, a: {}, b: {}")


SLIPS = {
    "a mistyped glob": (
        mistype,
        r"^network net would lose 3 of its 5 nodes at once: the mesh file \(.*mesh\.yml:4\) does not list c, d, e\. ",
    ),
    "a network that is gone": (
        rename_network,
        r"^network net would lose 5 of its 5 .*: the mesh file \(.*mesh\.yml\) has no such network, which had a, b, ",
    ),
    "deleted Salt keys": (
        delete_keys,
        r"^network net would lose 3 of its 5 .*: there is no accepted Salt key \(`salt-key -L`\) of a, b, c\. ",
    ),
}


TOLD = (
    Fleet.reconcile,
    lambda fleet: fleet.master.moment().fleet(),
    lambda fleet: statuses(fleet.master.moment()),
    lambda fleet: settle(fleet.master),
)


@pytest.mark.parametrize(("slip", "message"), SLIPS.values(), ids=SLIPS)
def test_a_slip_is_told_to_nobody_and_the_error_says_what_where_and_how_to_go_on(fleet, slip, message):
    before = fleet.master.registry.audit.history()
    slip(fleet)
    for ask in TOLD:
        with pytest.raises(LossError, match=message) as caught:
            ask(fleet)
    assert "No node was changed." in str(caught.value)
    assert 'salt-run wireguard.reconcile force=True reason="..."' in str(caught.value)
    assert fleet.asked == []
    assert fleet.master.registry.audit.history() == before


@pytest.mark.parametrize("node", "ae")
def test_neither_those_who_stay_nor_those_who_would_go_get_a_pillar(fleet, node):
    mistype(fleet)
    with pytest.raises(LossError, match="network net would lose 3 of its 5 nodes at once") as caught:
        fleet.master.moment().views(node)
    assert "c, d" not in str(caught.value)  # who else there is, is nothing for everybody


def test_nothing_is_left_of_it_when_the_file_is_corrected(fleet):
    mistype(fleet)
    with pytest.raises(LossError):
        fleet.reconcile()
    write_mesh(fleet, "'*': {}")
    assert fleet.reconcile()["asked"] == []
    assert len(fleet.master.moment().views("a")["net"].peers) == 4


def test_what_an_operator_forces_passes_and_the_history_says_who_and_why(fleet):
    mistype(fleet)
    said = fleet.reconcile(forced=MEANT)
    assert said["confirmed"] == ["a", "b", "c", "d", "e"]
    assert (fleet.has("a"), fleet.views["e"]) == (["b"], None)
    removed = [entry for entry in fleet.master.registry.audit.history() if entry.what == "removed"]
    assert [(entry.node, entry.who, entry.why) for entry in removed] == [
        (node, "alice", "not in the mesh file; they move to another network") for node in "cde"
    ]


def test_what_a_reconcile_asks_before_it_settles_is_answered_despite_a_loss(fleet):
    """A forced reconcile was refused like any other, as it looked first who had booted."""
    mistype(fleet)
    assert just_booted(fleet.master.moment()) == set()
    assert registered(fleet.master.moment()) == {"a", "b"}


def test_what_was_forced_passes_from_then_on_and_nothing_else(fleet):
    mistype(fleet)
    settle(fleet.master, MEANT)
    assert [peer.name for peer in fleet.master.moment().views("a")["net"].peers] == ["b"]
    assert fleet.master.moment().views("c") == {}
    assert fleet.reconcile()["silent"] == []
    write_mesh(fleet, "'*': {}")
    fleet.reconcile()
    mistype(fleet)
    with pytest.raises(LossError):
        fleet.reconcile()


def test_force_without_a_loss_leaves_the_history_alone(fleet):
    write_mesh(fleet, "a: {}, b: {}, c: {}, d: {}")
    fleet.reconcile(forced=MEANT)
    (removed,) = [entry for entry in fleet.master.registry.audit.history() if entry.what == "removed"]
    assert (removed.who, removed.why) == ("master", "not in the mesh file")


@pytest.mark.parametrize("nodes", ["a: {}, b: {}, c: {}", "'[!a]': {}"])
def test_up_to_half_may_leave(fleet, nodes):
    write_mesh(fleet, nodes)
    assert fleet.reconcile()["silent"] == []


def test_one_after_the_other_all_may_leave(fleet):
    for left in ("abcd", "abc", "ab", "a"):
        write_mesh(fleet, ", ".join(f"{node}: {{}}" for node in left))
        fleet.reconcile()
    write_mesh(fleet, "")
    assert fleet.reconcile()["silent"] == []


def test_a_network_of_three_is_not_guarded(tmp_path):
    fleet = Fleet(tmp_path, "abc")
    write_mesh(fleet, "")
    assert fleet.reconcile()["confirmed"] == ["a", "b", "c"]


def test_revocation_is_a_decision(fleet):
    for node in "abcd":
        fleet.master.registry.admissions.revoke("net", node, "alice", "stolen")
    assert fleet.reconcile()["silent"] == []
    assert fleet.has("e") == []


def test_expiry_is_a_decision(fleet):
    write_mesh(fleet, "'*': {expires: 2001-01-01}, e: {expires: 2100-01-01}")
    assert fleet.reconcile()["silent"] == []
    assert fleet.has("e") == []


def test_whom_an_operator_removed_does_not_count_as_one_that_was_there(fleet):
    """Of five, one is revoked and two are taken out of the file: half of the other four."""
    fleet.master.registry.admissions.revoke("net", "a", "alice", "stolen")
    write_mesh(fleet, "a: {}, b: {}, c: {}")
    assert fleet.reconcile()["silent"] == []


def test_nodes_that_were_installed_anew_are_members_still(fleet):
    for node in "abc":
        fleet.delete_salt_key(node)
        fleet.accept(node)
    assert len(fleet.master.moment().fleet().networks["net"].members) == 5


def test_minions_that_never_registered_are_no_loss(tmp_path):
    fleet = Fleet(tmp_path, "abc")
    for node in "xyz":
        fleet.accept(node)
    settle(fleet.master)
    write_mesh(fleet, "a: {}, b: {}")
    assert fleet.reconcile()["silent"] == []


def test_nodes_of_other_networks_get_their_pillar(fleet):
    """One that is in the network as well gets none: without that network in it, it would take its tunnels down."""
    write_mesh(fleet, "'*': {}", other="a: {}, z: {}")
    fleet.accept("z")
    fleet.say("wireguard/register", registration("z", network="other", public_key=public_key("z")))
    write_mesh(fleet, "a: {}", other="a: {}, z: {}")
    assert list(fleet.master.moment().views("z")) == ["other"]
    with pytest.raises(LossError):
        fleet.master.moment().views("a")


def test_a_member_that_was_never_noted_gets_no_pillar_either(fleet):
    fleet.accept("new")
    mistype(fleet)
    write_mesh(fleet, "a: {}, new: {}")
    with pytest.raises(LossError):
        fleet.master.moment().views("new")
    fleet.accept("stranger")
    assert fleet.master.moment().views("stranger") is None
