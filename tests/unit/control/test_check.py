"""validate and plan, with a master and without one."""

import pytest

from answering import Fleet
from factories import mesh_text
from operating import operator_of
from saltext.wireguard.control.check import plan, validate
from saltext.wireguard.control.operator import Operator
from saltext.wireguard.errors import ConfigError


@pytest.fixture
def fleet(tmp_path):
    return Fleet(tmp_path)


def test_a_valid_file_is_judged_with_registry_and_keys(fleet):
    said = validate(operator_of(fleet), None)
    assert (said["valid"], said["errors"], "retcode" in said) == (True, [], False)
    assert said["checked"] == ["mesh file", "registry", "accepted keys"]
    assert [row["network"] for row in said["networks"]] == ["net"]


def test_a_file_that_cannot_be_parsed_is_an_error_with_its_place_and_an_exit_code(fleet):
    fleet.mesh.write_text("networks: {net: {subnet: []}}")
    said = validate(operator_of(fleet), None)
    assert (said["valid"], said["retcode"]) == (False, 1)
    assert said["errors"][0]["where"].endswith("mesh.yml:1")


def test_without_a_master_a_file_is_judged_by_itself_and_there_must_be_one(fleet):
    nobody = Operator({"cachedir": "/nowhere"}, print)
    assert validate(nobody, str(fleet.mesh))["checked"] == ["mesh file"]
    said = plan(nobody, str(fleet.mesh), 1)
    assert "checked by itself" in said["answer"]
    for verb in (lambda: validate(nobody, None), lambda: plan(nobody, None, 1)):
        with pytest.raises(ConfigError, match="ext_pillar:"):
            verb()


def test_a_plan_of_a_file_that_is_not_live_says_what_it_would_change_and_changes_nothing(fleet, tmp_path):
    other = tmp_path / "other.yml"
    other.write_text(mesh_text("'*': {}", extra="mtu: 1300"))
    generation = fleet.master.registry.snapshot().generation
    operator = operator_of(fleet, running=False)
    said = plan(operator, str(other), 1)
    assert said["retcode"] == 2
    assert said["answer"].startswith("2 nodes would change")
    assert said["answer"].endswith("no node was asked, as no salt-master runs here")
    assert (fleet.jobs, operator.announced) == ([], [])
    assert fleet.master.registry.snapshot().generation == generation


def test_a_plan_that_loses_most_nodes_is_an_error_of_the_file(tmp_path):
    fleet = Fleet(tmp_path, "abcde")
    fleet.mesh.write_text(mesh_text("'x*': {}"))
    said = plan(operator_of(fleet), None, 1)
    assert (said["answer"], said["retcode"]) == ("the mesh file cannot be applied", 1)
    assert "would lose 5 of its 5 nodes" in said["errors"][0]["message"]
