"""Moving nodes off a hub, a gateway or an exit: who is asked for what, what is refused, and what is said."""

import pytest

from answering import Fleet
from factories import mesh_text, public_key
from operating import operator_of
from saltext.wireguard.control import drain as verbs
from saltext.wireguard.control import tables
from saltext.wireguard.control.check import validate
from saltext.wireguard.control.reconcile import hold
from saltext.wireguard.control.status import status
from saltext.wireguard.errors import ConfigError

SUBNET = "10.42.0.0/24"
BEHIND = "192.168.44.0/24"
HUBS = "'*': {endpoint: false}, h: {hub: true, endpoint: 192.0.2.1}, i: {hub: true, endpoint: 192.0.2.2, priority: 9}"
GATEWAYS = "'*': {}, g: {routes: [192.168.44.0/24]}, i: {routes: [192.168.44.0/24], priority: 9}"
MOVE, SYNC = "wireguard.move", "wireguard.sync"


def fleet_of(path, nodes, names, **options):
    made = Fleet(path, names)
    made.mesh.write_text(mesh_text(nodes, **options))
    made.reconcile()
    made.forget()
    return made


@pytest.fixture
def fleet(tmp_path):
    """Two spokes and two hubs; h is the first."""
    return fleet_of(tmp_path, HUBS, "abhi", extra="links: [[h, '*'], [i, '*']]")


@pytest.fixture
def gateways(tmp_path):
    return fleet_of(tmp_path, GATEWAYS, "agi")


def drain(fleet, node="h", force=False, reason="new disks"):
    operator = operator_of(fleet)
    return verbs.drain(operator, node, None, reason, 0.5, force), operator.announced


def undrain(fleet, node="h"):
    operator = operator_of(fleet)
    return verbs.undrain(operator, node, None, "", 0.5), operator.announced


def carrier(fleet, node, network=SUBNET):
    return [peer.name for peer in fleet.views[node].peers if network in peer.allowed_ips]


def test_the_spokes_of_a_drained_hub_move_to_the_next_by_one_job_at_one_moment(fleet):
    said, announced = drain(fleet)
    assert said["answer"] == "2 nodes moved to i"
    assert said["moved"] == [{"network": "net", "behind": [SUBNET], "to": "i", "nodes": ["a", "b"]}]
    assert (said["stays"], said["missing"], "retcode" in said) == ([], [], False)
    assert carrier(fleet, "a") == carrier(fleet, "b") == ["i"]
    ((_, nodes, (networks, options)),) = [job for job in fleet.jobs if job[0] == MOVE]
    assert (nodes, networks) == (["a", "b"], {"net": {SUBNET: public_key("i")}})
    assert options["at"] > 0
    assert options["generation"] == fleet.master.moment().unguarded.generation
    assert SYNC not in [function for function, _ in fleet.functions]
    assert announced == [("drained", "h")]


def test_a_drained_hub_stays_a_member_and_a_peer(fleet):
    drain(fleet)
    assert fleet.has("a") == ["h", "i"]
    assert "h" in fleet.master.moment().fleet().networks["net"].members


def test_undrain_moves_everything_back_at_one_moment(fleet):
    before = dict(fleet.views)
    drain(fleet)
    said, announced = undrain(fleet)
    assert said["answer"] == "2 nodes moved to h"
    assert {node: view.digest for node, view in fleet.views.items()} == {
        node: view.digest for node, view in before.items()
    }
    assert announced == [("undrained", "h")]


def test_a_network_behind_a_drained_node_is_reached_through_the_other_that_has_it(gateways):
    said, _ = drain(gateways, "g")
    assert said["moved"] == [{"network": "net", "behind": [BEHIND], "to": "i", "nodes": ["a"]}]
    assert carrier(gateways, "a", BEHIND) == ["i"]


def test_what_nobody_else_has_stays_and_that_is_a_failure(tmp_path):
    fleet = fleet_of(tmp_path, "'*': {}, g: {routes: [192.168.44.0/24]}", "ag")
    said, _ = drain(fleet, "g")
    assert said["answer"] == f"nothing moved; {BEHIND} stays, as no other has it"
    assert (said["stays"][0]["nodes"], said["retcode"]) == (["a"], 1)
    assert carrier(fleet, "a", BEHIND) == ["g"]


def test_a_node_that_carries_nothing_is_not_drained(fleet):
    with pytest.raises(ConfigError, match=r"^nothing goes through a: it is not the first hub of any node"):
        drain(fleet, "a")


def test_a_hub_is_not_drained_to_one_that_says_nothing(fleet):
    """The next hub may be off: its record says that it is in sync all the same."""
    fleet.off = {"i"}
    with pytest.raises(ConfigError, match=r"^h was not drained, because .*: i says nothing \(no answer\)"):
        drain(fleet)
    assert carrier(fleet, "a") == ["h"]
    assert fleet.master.registry.snapshot().drains == {}


def test_a_hub_is_not_drained_to_one_that_is_not_in_sync(fleet):
    fleet.master.registry.mark_unconfirmed(["i"])
    with pytest.raises(ConfigError, match=r"i is not in sync \(out of date\)"):
        drain(fleet)


def test_with_force_a_hub_is_drained_all_the_same(fleet):
    fleet.off = {"i"}
    assert drain(fleet, force=True)[0]["answer"] == "2 nodes moved to i"


def test_a_node_that_does_not_know_how_to_move_is_synced(fleet):
    fleet.old = {"b"}
    said, _ = drain(fleet)
    assert said["missing"] == []
    assert carrier(fleet, "b") == ["i"]
    assert (SYNC, ["b"]) in fleet.functions


def test_a_silent_spoke_is_named_and_that_is_a_failure(fleet):
    fleet.off = {"b"}
    said, _ = drain(fleet)
    assert (said["missing"], said["retcode"]) == (["b"], 1)
    assert said["answer"] == "2 nodes moved to i; not in sync: b"


def test_during_a_hold_only_this_moves(fleet):
    """A reconcile would deliver everything else that was changed since."""
    hold(operator_of(fleet), "careful")
    fleet.mesh.write_text(mesh_text(HUBS, extra="links: [[h, '*'], [i, '*']]"))
    assert drain(fleet)[0]["missing"] == []
    assert {function for function, _ in fleet.functions} == {MOVE, "wireguard.status"}


def test_who_is_not_drained_cannot_be_undrained(fleet):
    with pytest.raises(ConfigError, match=r"^h is not drained$"):
        undrain(fleet)


def test_nodes_status_and_validate_name_a_drained_node(fleet):
    drain(fleet)
    operator = operator_of(fleet)
    (warning,) = tables.nodes(operator, None)["warnings"]
    assert warning.startswith("h is drained in network net since 20")
    assert warning.endswith("by alice (new disks): `salt-run wireguard.undrain h`")
    assert warning in status(operator, None, None, 0.5)["answer"]
    assert {"where": "registry", "message": warning} in validate(operator, None)["warnings"]
