"""Nodes that come: waiting, admitted, rejected."""

import pytest

from answering import Fleet
from factories import accept, mesh_text, public_key
from operating import operator_of
from saltext.wireguard.control import tables
from saltext.wireguard.control.admission import admit, forget_serials, reject, rename
from saltext.wireguard.errors import ConfigError, RefusedError


@pytest.fixture
def fleet(tmp_path):
    """Nodes a and b are in; the registration of c waits."""
    made = Fleet(tmp_path)
    made.mesh.write_text(mesh_text("'*': {}", extra="admit: manual"))
    made.accept("c")
    made.register("c")
    return made


def waiting(fleet):
    return [(row["node"], row["question"]) for row in tables.pending(operator_of(fleet))["pending"]]


def test_a_node_that_is_admitted_is_a_peer_at_once(fleet):
    assert waiting(fleet) == [("c", "admit")]
    operator = operator_of(fleet)
    assert admit(operator, "c", None, None)["confirmed"] == ["a", "b", "c"]
    assert (waiting(fleet), fleet.has("a")) == ([], ["b", "c"])
    assert ("admitted", "c") in operator.announced


def test_a_node_can_be_admitted_for_a_time(fleet):
    admit(operator_of(fleet), "c", "net", "8h")
    (until,) = [each.expires for each in fleet.master.registry.snapshot().standings.values()]
    assert until is not None
    with pytest.raises(ConfigError, match="valid_for: "):
        admit(operator_of(fleet), "c", None, "soon")


def test_a_node_that_is_rejected_stays_out_and_that_is_announced(fleet):
    operator = operator_of(fleet)
    assert reject(operator, "c", None) == {"rejected": {"net": public_key("c")}}
    assert ("rejected", "c") in operator.announced
    with pytest.raises(ConfigError, match="nothing of c waits"):
        reject(operator, "c", None)
    assert fleet.has("a") == ["b"]


def test_a_node_without_serials_of_the_future_has_none_to_forget(fleet):
    with pytest.raises(ConfigError, match="no serial of a is in the future"):
        forget_serials(operator_of(fleet), "a", None, "")


@pytest.fixture
def renamed(fleet):
    """Node b is called web01 now, on the same disk: its Salt key and its WireGuard key are those of b."""
    fleet.mesh.write_text(mesh_text("'*': {}"))
    fleet.reconcile()
    accept(fleet.master, "web01", key="b")
    fleet.minions.add("web01")
    fleet.off.add("b")
    return fleet


def test_a_renamed_minion_goes_on_as_the_same_node(renamed):
    before = renamed.master.registry.snapshot().rows["net", "b"]
    said = rename(operator_of(renamed), "b", "web01", "new scheme")
    assert said["answer"] == "b is web01 now in net; its Salt key is accepted still: `salt-key -d b`"
    after = renamed.master.registry.snapshot().rows["net", "web01"]
    assert (after.public_key, after.addresses) == (before.public_key, before.addresses)
    renamed.delete_salt_key("b")
    renamed.reconcile()
    assert "web01" in renamed.has("a")


def test_only_an_accepted_member_that_somebody_knows_can_be_renamed(renamed):
    operator = operator_of(renamed)
    for old, new, error, message in (
        ("b", "b", ConfigError, "the same minion id"),
        ("nobody", "web01", ConfigError, "no nobody has ever registered"),
        ("b", "web02", RefusedError, "web02 is not an accepted minion"),
        ("b", "a", RefusedError, "nothing that b said in network net was signed with the accepted Salt key of a"),
    ):
        with pytest.raises(error, match=message):
            rename(operator, old, new, "")
    renamed.mesh.write_text(mesh_text("a: {}, b: {}, c: {}"))
    with pytest.raises(RefusedError, match="web01 is no member of network net: not in the mesh file"):
        rename(operator, "b", "web01", "")
