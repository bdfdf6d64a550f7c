"""Nodes that come: waiting, admitted, rejected."""

import pytest

from answering import Fleet
from factories import mesh_text, public_key
from operating import operator_of
from saltext.wireguard.control import tables
from saltext.wireguard.control.admission import admit, forget_serials, reject
from saltext.wireguard.errors import ConfigError


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
