"""The registry as a whole, as an operator handles it."""

from dataclasses import replace
from pathlib import Path

import pytest
import salt.utils.minions
import yaml

from answering import Fleet
from databases import needs_postgresql, postgresql_uri
from factories import mesh_text
from operating import operator_of
from saltext.wireguard.control import upkeep
from saltext.wireguard.errors import ConfigError, RegistryError
from saltext.wireguard.model.preshared import secret

REPO = Path(__file__).parents[3]


@pytest.fixture
def fleet(tmp_path):
    return Fleet(tmp_path, "ab")


@pytest.fixture
def fleet_with_secret(fleet):
    fleet.mesh.write_text(mesh_text("'*': {}", extra="preshared_keys: true"))
    fleet.reconcile()
    return fleet


def secret_file(fleet):
    return Path(fleet.master.state_dir, "preshared.secret")


def test_the_registry_is_described(fleet):
    found = upkeep.registry(operator_of(fleet), None)
    assert found["place"] == fleet.master.registry.place
    assert (found["nodes"], found["moved_to"]) == (2, None)
    assert found["generation"] == fleet.master.registry.snapshot().generation
    assert found["generation_at"].startswith("20")


def test_a_master_that_no_node_has_registered_with_has_none(fleet, tmp_path):
    fleet.master = replace(fleet.master, registry_place=str(tmp_path / "none" / "registry.db"))
    assert "no node has registered" in upkeep.registry(operator_of(fleet), None)["answer"]


@needs_postgresql
def test_a_registry_is_moved_and_the_master_goes_on_there_with_the_same_views(fleet, tmp_path):
    uri = postgresql_uri(tmp_path)
    views = fleet.views.copy()
    found = upkeep.registry(operator_of(fleet), uri)
    assert found["moved_to"] == uri
    assert f"Until every master has `registry: {uri}`" in found["answer"]
    with pytest.raises(RegistryError, match="was moved"):
        fleet.register("a")
    fleet.master = replace(fleet.master, registry_place=uri)
    fleet.forget()
    fleet.reconcile()
    assert fleet.asked == []
    assert fleet.views == views


def test_a_place_that_is_none_moves_nothing(fleet):
    with pytest.raises(ConfigError, match="must be postgresql://"):
        upkeep.registry(operator_of(fleet), "elsewhere")
    fleet.register("a")


def test_a_backup_says_that_the_secret_is_not_in_it(fleet_with_secret, tmp_path):
    found = upkeep.backup(operator_of(fleet_with_secret), str(tmp_path / "backup"), secret=False)
    assert found["has_secret"] is False
    assert found["left_out"] == ["the secret of preshared keys: secret=True takes it along"]


def test_a_secret_that_the_configuration_has_is_in_no_backup(fleet, tmp_path):
    fleet.master = replace(fleet.master, configured_secret=secret("x" * 40))
    with pytest.raises(ConfigError, match="comes from `preshared_secret`"):
        upkeep.backup(operator_of(fleet), str(tmp_path / "backup"), secret=True)
    assert not (tmp_path / "backup").exists()


def test_a_lost_secret_comes_back_with_a_restore(fleet_with_secret, tmp_path):
    operator, path = operator_of(fleet_with_secret), str(tmp_path / "backup")
    text = secret_file(fleet_with_secret).read_text()
    assert upkeep.backup(operator, path, secret=True)["has_secret"] is True
    secret_file(fleet_with_secret).unlink()
    upkeep.restore(operator, path, force=True)
    assert secret_file(fleet_with_secret).read_text() == text
    fleet_with_secret.forget()
    fleet_with_secret.reconcile()
    assert fleet_with_secret.asked == []


def test_a_secret_that_was_renewed_since_is_kept(fleet_with_secret, tmp_path):
    operator, path = operator_of(fleet_with_secret), str(tmp_path / "backup")
    upkeep.backup(operator, path, secret=True)
    secret_file(fleet_with_secret).write_text("another secret that is long enough for it\n")
    found = upkeep.restore(operator, path, force=True)
    assert "the backup has another secret of preshared keys; the present one was kept" in found["next"]
    assert secret_file(fleet_with_secret).read_text() == "another secret that is long enough for it\n"


def test_a_restore_first_says_what_differs(fleet, tmp_path):
    operator, path = operator_of(fleet), str(tmp_path / "backup")
    upkeep.backup(operator, path, secret=False)
    fleet.accept("c")
    fleet.register("c")
    found = upkeep.restore(operator, path, force=False)
    assert found["differ"] == [{"network": "net", "node": "c"}]
    assert "nothing was changed" in found["answer"]
    assert ("net", "c") in fleet.master.registry.snapshot().rows
    found = upkeep.restore(operator, path, force=True)
    assert any("salt -L c 'state.apply wireguard'" in each or "salt -L c" in each for each in found["next"])
    assert ("net", "c") not in fleet.master.registry.snapshot().rows


def test_the_roles_of_the_examples_leave_the_registry_as_a_whole_to_root():
    roles = yaml.safe_load((REPO / "examples/master.d/wireguard-roles.conf").read_text())["external_auth"]["pam"]
    (runners,) = (each["@runner"] for each in roles["wireguard-operators%"] if "@runner" in each)
    checker = object.__new__(salt.utils.minions.CkMinions)  # without the keys of a master
    for function in ("backup", "registry", "restore"):
        assert not checker.runner_check([{"@runner": runners}], f"wireguard.{function}", {})
    for function in ("reconcile", "rotate", "nodes"):
        assert checker.runner_check([{"@runner": runners}], f"wireguard.{function}", {})
