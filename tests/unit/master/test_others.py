"""Masters of one registry that compute other views change nothing until they are in line."""

from dataclasses import replace

import pytest

from answering import Fleet
from databases import needs_postgresql, postgresql_uri
from factories import mesh_text
from operating import operator_of
from saltext.wireguard.control.engine import Engine
from saltext.wireguard.control.reconcile import reconcile
from saltext.wireguard.control.removal import revoke
from saltext.wireguard.errors import ConfigError
from saltext.wireguard.master.others import differences, note_inputs
from saltext.wireguard.master.warnings import warnings
from saltext.wireguard.registry.leases import Inputs

pytestmark = needs_postgresql


@pytest.fixture
def fleet(tmp_path):
    """Of the master m1, with its registry in PostgreSQL."""
    made = Fleet(tmp_path, "")
    made.master = replace(made.master, registry_place=postgresql_uri(tmp_path), name="m1")
    for node in "ab":
        made.accept(node)
        made.register(node)
    made.reconcile()
    made.forget()
    return made


@pytest.fixture
def other(fleet, tmp_path):
    """The master m2, with a mesh file of its own."""
    path = tmp_path / "other.yml"
    path.write_text(fleet.mesh.read_text())
    found = replace(fleet.master, mesh_path=str(path), state_dir=str(tmp_path / "m2"), name="m2")
    note_inputs(found.moment())
    return found


def edit(other):
    with open(other.mesh_path, "w") as mesh:
        mesh.write(mesh_text("'*': {}", extra="mtu: 1300"))
    note_inputs(other.moment())


def test_masters_with_the_same_reconcile(fleet, other):
    fleet.change_everybody()
    with open(other.mesh_path, "w") as mesh:
        mesh.write(fleet.mesh.read_text())
    note_inputs(other.moment())
    assert reconcile(operator_of(fleet))["confirmed"] == ["a", "b"]


def test_masters_that_differ_do_not_reconcile_and_say_so(fleet, other):
    edit(other)
    with pytest.raises(ConfigError, match=r"the master m2 has another mesh file, .* than this one, m1"):
        reconcile(operator_of(fleet))
    assert fleet.jobs == []
    assert any("the master m2 has another mesh file" in each for each in warnings(fleet.master.moment()))
    assert any("the master m1 has another mesh file" in each for each in differences(other.moment()))


def test_other_modules_are_a_difference_as_well(fleet, other):
    found = fleet.master.moment().unguarded.sources
    other.registry.leases.note("m2", Inputs(found, "other"))
    assert ["other modules" in each for each in differences(fleet.master.moment())] == [True]


def test_a_node_is_shut_out_even_if_masters_differ(fleet, other):
    edit(other)
    revoke(operator_of(fleet), "b", None, "stolen", 5)
    assert fleet.has("a") == []


def test_masters_that_come_into_line_reconcile_without_being_asked(fleet, other):
    engine = Engine(operator_of(fleet), quiet=0.0, at_most=0.0, interval=3600.0)
    watch = engine._watches[-1]
    watch._every = watch._next = 0.0
    watch.changed()
    edit(other)
    watch._next = 0.0
    assert watch.changed()
    watch._next = 0.0
    assert not watch.changed()


def test_an_engine_notices_what_another_master_heard(fleet, other):
    engine = Engine(operator_of(fleet), quiet=0.0, at_most=0.0, interval=3600.0)
    watch = engine._watches[-1]
    watch._every = watch._next = 0.0
    watch.changed()
    other.registry.admissions.revoke("net", "b", "alice", "")
    watch._next = 0.0
    assert watch.changed()


def test_a_registry_that_is_a_file_has_no_other_masters(tmp_path):
    assert differences(Fleet(tmp_path, "a").master.moment()) == []
