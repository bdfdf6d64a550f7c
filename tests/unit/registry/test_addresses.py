"""Addresses in the life of a fleet: subnets that change, pools that are used up, nodes that leave and come back."""

import pytest

from answering import Fleet
from factories import mesh_text, registration
from saltext.wireguard.errors import LossError
from saltext.wireguard.master.intake import take_in
from saltext.wireguard.master.settling import settle
from saltext.wireguard.master.status import statuses
from saltext.wireguard.master.warnings import address_warnings, usage, warnings
from saltext.wireguard.model.statements import REGISTER_TAG

OTHER = "  other:\n    interface: wg1\n    port: 1\n    subnets: [%s]\n    nodes: {'*': {}}\n"
MEANT = ("alice", "renumbered")


@pytest.fixture
def fleet(tmp_path):
    """Three nodes in network net."""
    return Fleet(tmp_path, "abc")


def write_mesh(fleet, *args, other=None, **kwargs):
    fleet.mesh.write_text(mesh_text(*args, **kwargs) + (OTHER % other if other else ""))


def addresses(fleet, network="net"):
    members = fleet.master.moment().fleet().networks[network].members
    return {node: " ".join(map(str, member.addresses)) for node, member in members.items()}


TOLD = (
    Fleet.reconcile,
    lambda fleet: fleet.master.moment().fleet(),
    lambda fleet: statuses(fleet.master.moment()),
    lambda fleet: settle(fleet.master),
)
SMALLER = r"^2 nodes of network net have addresses .* b .10.42.0.2., c .10.42.0.3.. Write subnets"


def test_subnets_without_what_is_used_are_told_to_nobody(fleet):
    write_mesh(fleet, subnets="10.42.0.0/31, 10.42.0.4/30")
    for ask in TOLD:
        with pytest.raises(LossError, match=SMALLER):
            ask(fleet)
    for node in "abc":
        with pytest.raises(LossError, match="2 nodes of network net have addresses outside its subnets") as caught:
            fleet.master.moment().views(node)
        assert "10.42.0.2" not in str(caught.value)
    assert fleet.asked == []


def test_nothing_is_left_of_it_when_the_file_is_corrected_also_for_who_registered_meanwhile(fleet):
    before = addresses(fleet)
    write_mesh(fleet, subnets="10.9.0.0/24")
    fleet.register("b")
    write_mesh(fleet)
    assert addresses(fleet) == before
    assert fleet.reconcile()["asked"] == []


def test_when_that_is_meant_the_nodes_get_other_addresses(fleet):
    write_mesh(fleet, subnets="10.9.0.0/24")
    assert fleet.reconcile(forced=MEANT)["asked"] == ["a", "b", "c"]
    assert addresses(fleet) == {"a": "10.9.0.1", "b": "10.9.0.2", "c": "10.9.0.3"}


def test_who_is_outside_may_be_given_an_address_by_the_file_instead(fleet):
    write_mesh(fleet, "'*': {}, c: {addresses: [10.42.0.1]}, a: {addresses: [10.42.0.5]}", subnets="10.42.0.0/29")
    fleet.reconcile()
    assert addresses(fleet) == {"a": "10.42.0.5", "b": "10.42.0.2", "c": "10.42.0.1"}


def test_a_subnet_that_grows_changes_the_prefix_length_and_nothing_else(fleet):
    write_mesh(fleet, subnets="10.42.0.0/16")
    before = {node: view.peers for node, view in fleet.views.items()}
    assert fleet.reconcile()["confirmed"] == ["a", "b", "c"]
    assert {node: view.peers for node, view in fleet.views.items()} == before
    assert fleet.views["a"].addresses == ("10.42.0.1/16",)


def test_a_pool_that_is_used_up_stops_only_its_own_network(fleet):
    """The addresses of all networks stayed unsettled, and every reconcile ended with the error."""
    write_mesh(fleet, subnets="10.42.0.0/24, 'fd42::/127'", other="10.43.0.0/24")
    for node in "abc":
        fleet.register(node, network="other")
    (warning,) = address_warnings(fleet.master.moment())
    assert warning.startswith("network net has no free IPv6 address for c: add a subnet to the mesh file")
    fleet.reconcile()
    write_mesh(fleet, subnets="10.42.0.0/24, 'fd42::/127'", other="10.43.0.0/24, 'fd43::/64'")
    fleet.reconcile()
    assert addresses(fleet) == {"a": "10.42.0.1", "b": "10.42.0.2", "c": "10.42.0.3"}
    assert addresses(fleet, "other")["c"] == "10.43.0.3 fd43::3"
    assert warning in warnings(fleet.master.moment())


def test_who_leaves_and_comes_back_has_its_address_at_once(fleet):
    write_mesh(fleet, "a: {}, b: {}")
    fleet.reconcile()
    (held,) = [each for each, _ in usage(fleet.master.moment())["net"].quarantined()]
    assert (str(held.address), held.node) == ("10.42.0.3", "c")
    write_mesh(fleet)
    assert addresses(fleet)["c"] == "10.42.0.3"  # also before anybody has settled that
    fleet.reconcile()
    assert addresses(fleet)["c"] == "10.42.0.3"
    assert usage(fleet.master.moment())["net"].quarantined() == []


def test_a_revoked_node_keeps_its_address_until_its_salt_key_is_deleted(fleet):
    fleet.master.registry.admissions.revoke("net", "c", "alice", "")
    fleet.reconcile()
    assert usage(fleet.master.moment())["net"].quarantined() == []
    fleet.delete_salt_key("c")
    fleet.reconcile()
    assert [each.node for each, _ in usage(fleet.master.moment())["net"].quarantined()] == ["c"]


def test_who_cannot_register_as_the_pool_is_used_up_is_refused_with_the_reason(fleet):
    write_mesh(fleet, subnets="10.42.0.0/29", extra="exclude: [10.42.0.4-10.42.0.6]")
    fleet.accept("d")
    signed = fleet.sign(registration("d", 7))
    assert take_in(fleet.master, REGISTER_TAG, {"id": "d", "data": {"signed": signed}}) is None
    assert "no free IPv4 address for d" in fleet.master.registry.audit.refusals()[0].reason
