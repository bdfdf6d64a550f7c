"""The configuration of an external peer, handed out once."""

import os

import pytest

from answering import Fleet
from factories import mesh_text, public_key
from operating import operator_of
from saltext.wireguard.control import delivery
from saltext.wireguard.control.export import export
from saltext.wireguard.errors import ConfigError

BY_HAND = f"router: {{public_key: {public_key('router')}, addresses: [10.42.0.200]}}"
BY_OPERATOR = {"fun": "wireguard.export"}


@pytest.fixture
def fleet(tmp_path):
    made = Fleet(tmp_path)
    made.mesh.write_text(mesh_text("'*': {}", peers=f"phone: {{}}, {BY_HAND}"))
    return made


def hand_out(fleet, file, name="phone", opts=BY_OPERATOR, **options):
    return export(operator_of(fleet, opts=opts), name, file=str(file), **options)


def stored(fleet):
    return fleet.master.registry.snapshot().exports["net", "phone"].public_key


def test_a_key_pair_is_made_and_only_its_public_key_is_stored(fleet, tmp_path):
    answer = hand_out(fleet, tmp_path / "phone.conf")
    private = (tmp_path / "phone.conf").read_text().partition("PrivateKey = ")[2].split("\n")[0]
    assert len(private) == 44
    assert answer["public_key"] == stored(fleet)
    assert private not in str(answer)
    assert "nowhere else" in answer["answer"]


def test_the_nodes_get_the_peer_at_once(fleet, tmp_path):
    answer = hand_out(fleet, tmp_path / "phone.conf")
    assert answer["reconcile"]["confirmed"] == ["a", "b"]
    assert "phone" in fleet.has("a")


def test_without_a_master_that_runs_the_nodes_get_it_later(fleet, tmp_path):
    operator = operator_of(fleet, opts=BY_OPERATOR, running=False)
    answer = export(operator, "phone", file=str(tmp_path / "phone.conf"))
    assert answer["reconcile"] == "no salt-master runs here; the nodes get the change later"


def test_a_peer_that_made_its_own_key_gets_a_placeholder(fleet, tmp_path):
    answer = hand_out(fleet, tmp_path / "phone.conf", public_key=public_key("phone"))
    assert stored(fleet) == answer["public_key"] == public_key("phone")
    assert "without the private key" in answer["answer"]


def test_a_peer_is_not_exported_a_second_time_by_mistake(fleet, tmp_path):
    hand_out(fleet, tmp_path / "phone.conf")
    before = stored(fleet)
    with pytest.raises(ConfigError, match=r"phone was exported on .*, and its private key was not kept"):
        hand_out(fleet, tmp_path / "again.conf")
    assert stored(fleet) == before
    assert hand_out(fleet, tmp_path / "same.conf", public_key=before)["public_key"] == before
    assert hand_out(fleet, tmp_path / "other.conf", rekey=True)["public_key"] != before


def test_the_key_of_a_peer_is_changed_where_it_stands(fleet, tmp_path):
    assert hand_out(fleet, tmp_path / "router.conf", "router")["public_key"] == public_key("router")
    with pytest.raises(ConfigError, match="the mesh file has the public key of router: change it there"):
        hand_out(fleet, tmp_path / "again.conf", "router", rekey=True)


@pytest.mark.parametrize(
    "opts", [{}, {"fun": "state.orchestrate"}, {**BY_OPERATOR, "async": True}], ids=["api", "orchestration", "async"]
)
def test_a_private_key_is_shown_to_an_operator_by_hand_only(fleet, tmp_path, opts):
    with pytest.raises(ConfigError, match="which must not get to the event bus or the job cache"):
        hand_out(fleet, tmp_path / "phone.conf", opts=opts)
    assert fleet.master.registry.snapshot().exports == {}
    assert not (tmp_path / "phone.conf").exists()


def test_what_is_to_be_data_has_no_configuration_in_its_middle(fleet):
    with pytest.raises(ConfigError, match="with --out, give `file=`"):
        export(operator_of(fleet, opts={**BY_OPERATOR, "output": "json"}), "phone")


def test_a_picture_of_a_configuration_without_its_key_is_of_no_use(fleet, tmp_path):
    pytest.importorskip("segno")
    with pytest.raises(ConfigError, match="format=png is of use only with the private key"):
        hand_out(fleet, tmp_path / "phone.png", form="png", public_key=public_key("phone"))


def test_a_file_that_cannot_be_put_in_its_place_says_that_the_key_is_new(fleet, tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(delivery.os, "rename", fail)
    with pytest.raises(ConfigError, match="phone has a new key, and its configuration could not be handed out"):
        hand_out(fleet, tmp_path / "phone.conf")
    assert stored(fleet) is not None
    assert "phone.conf" not in os.listdir(tmp_path)
