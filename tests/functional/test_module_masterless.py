"""A minion without a master, and one whose registration an operator vouched for until now."""

import json
from dataclasses import replace

import pytest

pytest.importorskip("salt")

from hosts import ETC, NODE, registered
from saltext.wireguard.model.view import REGISTER

MESH = "networks: {{backbone: {{subnets: [10.42.0.0/24], nodes: {{{0}}}}}}}"
ALONE = MESH.format("node1: {}")


@pytest.fixture
def node(host):
    """It compiles its own pillar, from its own mesh file."""
    host.configure(master_uri=None, ext_pillar=[{"wireguard": {"mesh": str(host.disk / "mesh.yml")}}])
    return host


def with_key(host):
    key = host.call("keypair", "wg0")
    host.write_mesh(MESH.format(f"node1: {{public_key: {key}, addresses: [10.42.0.7]}}"))
    host.refresh_pillar()


def test_its_first_run_makes_a_key_and_ends_with_what_a_person_must_do(node):
    node.write_mesh(ALONE)
    node.refresh_pillar()
    answer = node.state("present", "backbone")
    assert (answer["result"], answer["changes"]) == (False, {})
    key = node.call("public_key", "wg0")
    assert f"`{NODE}: {{public_key: {key}, addresses: [...]}}`" in answer["comment"]
    assert [path.name for path in ETC.iterdir()] == ["wg0.key"]
    assert node.call("sync")["networks"]["backbone"] == {"result": False, "comment": answer["comment"]}


def test_with_its_key_in_the_mesh_file_it_is_applied_and_nobody_is_told(node):
    with_key(node)
    assert node.state("present", "backbone")["result"] is True
    assert node.device().addresses == {"10.42.0.7/24"}
    assert node.state("present", "backbone")["changes"] == {}
    assert node.events == []


def test_a_sync_applies_and_takes_down_as_with_a_master(node):
    with_key(node)
    assert node.call("sync", signed=True)["networks"]["backbone"]["result"] is True
    assert node.device()
    node.write_mesh(MESH.format("other: {}"))
    answer = node.call("sync", signed=True)
    assert (answer["networks"]["wg0"]["result"], answer["wireguard/report"]) == (True, [])
    assert node.device() is None


def test_another_key_than_that_of_the_mesh_file_is_named_and_changes_nothing(node):
    with_key(node)
    node.state("present", "backbone")
    (ETC / "wg0.key").unlink()
    before = node.device()
    answer = node.state("present", "backbone")
    assert answer["result"] is False
    assert f"its public key is {before.public_key} there, but this machine has" in answer["comment"]
    assert node.device() == before


def test_an_invalid_mesh_file_stops_it_with_the_place(node):
    node.write_mesh("networks: {backbone: {subnet: []}}")
    node.refresh_pillar()
    assert "mesh.yml:1: unknown key 'subnet'" in node.error("apply")


def test_an_operator_is_told_the_public_key_and_the_addresses_of_a_host(node):
    said = node.call("enrollment", ["wg0"])
    assert said["public_keys"] == {"wg0": node.call("public_key", "wg0")}
    assert isinstance(said["endpoints"], list)
    assert node.call("enrollment", ["wg0"]) == said


# -- its minion has a master now


@pytest.mark.parametrize("way", ["apply", "sync"])
def test_a_minion_whose_own_registration_is_missing_sends_it_and_keeps_its_tunnels(host, way):
    wanted = registered(host)
    host.call("apply")
    before = host.device()
    host.events.clear()
    host.set_networks(replace(wanted, waiting=REGISTER))
    host.forget_commands()
    host.call(way)
    tag, data = host.events[0]
    assert (tag, json.loads(data["signed"]["statement"])["public_key"]) == ("wireguard/register", wanted.public_key)
    assert host.writing_commands() == []
    assert host.device() == before
