"""Registering, reporting, and doing what the newest pillar says."""

import json
import subprocess

import pytest

pytest.importorskip("salt")

from hosts import NODE, accepted_keys, registered
from saltext.wireguard.master import decisions
from saltext.wireguard.master.status import statuses
from saltext.wireguard.model.statements import REGISTER_TAG, REPORT_TAG, Registration
from saltext.wireguard.registry.evidence import verify

MESH = "networks: {backbone: {subnets: [10.42.0.0/16], nodes: {'*': {}}}}"


def reasons(host):
    """Why the node is out of date, by network."""
    return {status.network: status.reason for status in statuses(host.master.moment())}


# -- statements


def test_the_registration_is_signed_by_the_minions_salt_key(host):
    wanted = registered(host)
    statement, _ = verify(host.call("record", "backbone"), Registration, accepted_keys(host))
    assert (statement.node, statement.network) == (NODE, "backbone")
    assert (statement.public_key, statement.port) == (wanted.public_key, 51820)


@pytest.mark.parametrize("master", ["192.0.2.1", "[2001:db8::1]"])
def test_the_address_towards_the_master_is_offered_first(host, master):
    """Salt writes an IPv6 master in brackets, which `ip route get` does not understand."""
    registered(host)
    ip("link", "add", "lan0", "type", "veth", "peer", "name", "lan1")
    ip("link", "set", "lan1", "up")
    for address in ("192.0.2.2/24", "2001:db8::2/64"):
        ip("address", "add", address, "dev", "lan0", *(["nodad"] if ":" in address else []))
    ip("link", "set", "lan0", "up")
    host.configure(master_ip=master)
    first, *_ = json.loads(host.call("record", "backbone")["statement"])["endpoints"]
    assert first == ("2001:db8::2" if ":" in master else "192.0.2.2")


def ip(*words):
    subprocess.run(["ip", *words], check=True)


def test_only_addresses_that_others_can_call_are_offered(host):
    host.run("ip", "link", "add", "name", "lan0", "type", "veth", "peer", "name", "docker0")
    for address, name in (("192.0.2.7/24", "lan0"), ("2001:db8::7/64", "lan0"), ("172.17.0.1/16", "docker0")):
        host.run("ip", "address", "add", address, "dev", name, *(["nodad"] if ":" in address else []))
        host.run("ip", "link", "set", "dev", name, "up")
    registered(host)
    host.call("apply")  # its own addresses are no endpoints
    statement = json.loads(host.call("record", "backbone")["statement"])
    assert statement["endpoints"] == ["192.0.2.7", "2001:db8::7"]


def test_the_mesh_file_says_what_is_offered_and_a_node_registers_it_when_that_changes(host):
    host.run("ip", "link", "add", "name", "lan0", "type", "veth", "peer", "name", "docker0")
    for address, name in (("192.0.2.7/24", "lan0"), ("10.9.0.7/24", "lan0"), ("172.17.0.1/16", "docker0")):
        host.run("ip", "address", "add", address, "dev", name)
        host.run("ip", "link", "set", "dev", name, "up")
    host.be_master(MESH.replace("'*': {}", "'*': {withhold: [10.9.0.0/16]}"))
    host.call("apply")
    for nodes, offered in (("{withhold: [lan*]}", ()), ("{offer: ['docker?']}", ("172.17.0.1",))):
        host.write_mesh(MESH.replace("'*': {}", f"'*': {nodes}"))
        host.call("sync")
        assert host.master.registry.snapshot().rows["backbone", NODE].endpoints == offered
    assert reasons(host) == {"backbone": None}


# -- the first contact


def test_a_new_node_registers_and_is_set_up_in_one_run(host):
    host.be_master(MESH)
    result = host.call("apply")["backbone"]
    assert result["result"] is True, result
    assert [tag for tag, _ in host.events] == [REGISTER_TAG, REPORT_TAG]
    assert host.device().public_key == host.call("public_key", "wg0")
    assert host.device().addresses
    assert reasons(host) == {"backbone": None}


# -- sync


def test_a_pillar_that_cannot_be_compiled_is_an_error_that_touches_nothing(host):
    registered(host)
    host.call("apply")
    before = host.picture()
    (host.pillar_dir / "data.sls").write_text("a: [")
    assert "the pillar has errors, so nothing was changed" in host.error("sync")
    assert host.picture() == before


def test_a_renamed_minion_goes_on_with_its_key_its_addresses_and_its_device(host):
    """It got another address, which its guard refused."""
    host.be_master(MESH)
    host.call("apply")
    before = host.device()
    key_file = host.pki / "minions" / NODE
    key_file.rename(host.pki / "minions" / "web01")
    host.configure(id="web01")
    host.refresh_pillar()
    assert "it would take this node's own address 10.42.0.1 away" in host.error("apply")
    decisions.rename(host.master, "backbone", NODE, "web01", "alice", "")
    host.forget_commands()
    assert host.call("sync")["networks"]["backbone"]["result"] is True
    assert host.writing_commands() == []
    assert host.device() == before
    assert {status.member.node: status.reason for status in statuses(host.master.moment())}["web01"] is None
