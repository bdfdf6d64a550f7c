"""The names of the machines in a network."""

import pytest

from factories import change
from saltext.wireguard.model import hosts
from saltext.wireguard.model.hosts import HostName, Hosts, block_changes, nameless, parse

ALL = Hosts((HostName("db1", ("10.42.0.2", "fd42::2")), HostName("web1", ("10.42.0.1",))), "mesh.example")


def test_a_machine_is_called_with_the_domain_and_without():
    assert ALL.lines() == [
        "10.42.0.2 db1.mesh.example db1",
        "fd42::2 db1.mesh.example db1",
        "10.42.0.1 web1.mesh.example web1",
    ]


@pytest.mark.parametrize(
    ("name", "domain", "called"),
    [
        ("web1", None, ("web1",)),
        ("web1.example.com", None, ("web1.example.com",)),
        ("web1", "mesh.example", ("web1.mesh.example", "web1")),
        ("web1.example.com", "mesh.example", ("web1.example.com.mesh.example",)),
        ("web1.mesh.example", "mesh.example", ("web1.mesh.example",)),
    ],
)
def test_with_a_domain_a_name_that_may_be_one_outside_of_the_mesh_is_not_used_alone(name, domain, called):
    assert hosts.full_names(name, domain) == called


def test_a_taken_name_is_left_out_and_a_line_with_none_is_no_line():
    assert ALL.lines({"db1", "web1", "web1.mesh.example"}) == ["10.42.0.2 db1.mesh.example", "fd42::2 db1.mesh.example"]


def test_changes_of_many_names_are_cut_short():
    (change,) = block_changes([], [f"10.42.0.{number} n{number}" for number in range(9)])
    assert change.new.endswith(" and 4 more")


def test_what_a_pillar_has_is_what_is_read_from_it():
    sent = ALL.to_dict()
    assert parse(sent["names"], sent["domain"]) == ALL


@pytest.mark.parametrize("name", ["a b", "10.0.0.1", "localhost", "a\nb"])
def test_what_no_hosts_file_can_have_is_an_error(name):
    with pytest.raises(ValueError, match="is no host name"):
        parse({name: ["10.42.0.1"]}, None)


def test_without_a_machine_its_lines_are_gone_and_the_digest_is_another():
    fewer = ALL.without(["db1"])
    assert fewer.lines() == ["10.42.0.1 web1.mesh.example web1"]
    assert fewer.digest != ALL.digest


def test_of_two_machines_that_would_have_one_name_that_of_the_mesh_file_has_it():
    names = {"web.mesh.example": True, "web": False}
    assert nameless(names, "mesh.example") == {"web": "web.mesh.example is called web.mesh.example too"}


def test_of_two_machines_that_only_globs_let_in_neither_has_the_name():
    assert set(nameless({"Web": False, "web": False}, None)) == {"Web", "web"}


def test_equal_blocks_differ_in_nothing():
    assert block_changes(["10.42.0.1 a"], ["10.42.0.1 a"]) == ()
    assert block_changes(["10.42.0.1 a"], []) == (change("host names", "10.42.0.1 a", None),)
