"""Registering, reporting, and doing what the newest pillar says."""

import json
import logging
import os
import time
from dataclasses import replace

import pytest
from views import PEERS, key, peer, registered, view

from saltext.wireguard.errors import RefusedError
from saltext.wireguard.master.intake import hear
from saltext.wireguard.master.settling import settle
from saltext.wireguard.master.status import statuses
from saltext.wireguard.model.statements import REGISTER_TAG, REPORT_TAG, Registration, Report
from saltext.wireguard.node import config_files
from saltext.wireguard.registry.evidence import verify
from unit.node.host import CACHE, NODE, files

MESH = "networks: {backbone: {subnets: [10.42.0.0/16], nodes: {'*': {}}}}"
WITH_PHONE = MESH[:-2] + ", peers: {phone: {public_key: %s, addresses: [10.42.9.1]}}}}"
LEFT = "networks: {backbone: {subnets: [10.42.0.0/16], nodes: {'web*': {}}}}"


def reasons(host):
    """Why the node is out of date, by network."""
    return {status.network: status.reason for status in statuses(host.master.moment())}


# -- statements


def test_a_changed_statement_does_not_verify(host):
    registered(host)
    signed = host.call("record", "backbone")
    forged = {**signed, "statement": signed["statement"].replace("51820", "51821")}
    with pytest.raises(RefusedError, match="signature"):
        verify(forged, Registration, host.accepted_keys())


def test_a_registration_makes_the_key_that_it_names(host):
    host.set_networks(view(None))
    statement, _ = verify(host.call("record", "backbone"), Registration, host.accepted_keys())
    assert statement.public_key == host.call("public_key", "wg0")


def test_a_registration_for_an_unknown_network_is_an_error(host):
    registered(host)
    assert "it has: backbone" in host.error("record", "other")


def test_serials_grow_when_the_clock_goes_back_and_when_the_cache_is_lost(host, monkeypatch):
    def serial():
        return json.loads(host.call("record", "backbone")["statement"])["serial"]

    wanted = registered(host)
    first = serial()
    monkeypatch.setattr(time, "time_ns", lambda: first - 3_600_000_000_000)
    second = serial()
    assert second > first
    (host.disk / CACHE / "wireguard/backbone.json").unlink()
    host.set_networks(view(wanted.public_key, serial=second + 100))
    assert serial() > second + 100


def test_notes_that_are_damaged_stop_nothing(host):
    registered(host)
    host.call("apply")
    notes = host.disk / CACHE / "wireguard/backbone.json"
    for text in ("{", "", "[]", "7"):
        notes.write_text(text)
        host.call("record", "backbone")


def test_a_salt_key_that_is_missing_is_an_error_that_names_it(host):
    host.set_networks(view(None))
    (host.pki / "minion.pem").unlink()
    assert "minion.pem" in host.error("apply", wait=0.1)
    assert host.device() is None


# -- the first contact


def test_what_a_node_sends_verifies_and_bears_nothing_secret(host):
    host.be_master(MESH)
    host.call("apply")
    kinds = {REGISTER_TAG: Registration, REPORT_TAG: Report}
    for tag, data in host.events:
        assert set(data) == {"signed"}
        statement, _ = verify(data["signed"], kinds[tag], host.accepted_keys())
        assert statement.node == NODE


def test_a_run_that_changes_nothing_sends_nothing(host):
    host.be_master(MESH)
    host.call("apply")
    host.refresh_pillar()
    host.events.clear()
    host.call("apply")
    assert host.events == []


def test_a_new_view_is_reported_once(host):
    host.be_master(MESH)
    host.call("apply")
    host.write_mesh(WITH_PHONE % key("phone"))
    host.refresh_pillar()
    assert reasons(host) == {"backbone": "out of date"}
    host.events.clear()
    host.call("apply")
    host.call("apply")
    assert [tag for tag, _ in host.events] == [REPORT_TAG]
    assert reasons(host) == {"backbone": None}


@pytest.mark.parametrize("settled", [True, False])
def test_a_view_of_the_mesh_file_before_an_edit_is_refused_when_it_comes_late(host, settled):
    """Both views bore one generation, as an edit changes nothing in the registry: the old one took the new one back."""
    host.be_master(MESH)
    host.call("apply")
    settle(host.master)
    host.refresh_pillar()
    host.call("apply")
    before = host.module.__pillar__
    host.write_mesh(MESH.replace("nodes:", "mtu: 1300, nodes:"))
    if settled:
        settle(host.master)
    assert host.call("sync")["networks"]["backbone"]["result"] is True
    assert host.device().mtu == 1300
    host.set_pillar(before)
    assert "older than what was applied" in host.call("sync")["networks"]["backbone"]["comment"]
    assert "older than what was applied" in host.error("apply")
    assert host.device().mtu == 1300


def test_a_lost_registration_is_an_error_that_says_what_the_master_lacks(host):
    host.be_master(MESH)
    deliver, host.on_event = host.on_event, lambda tag, data: True
    message = host.error("apply", wait=0.4)
    assert "within 0.4 s; nothing was changed" in message
    assert REGISTER_TAG in message
    assert "engines: [{wireguard: {}}]" in message
    assert "salt-run wireguard.nodes" in message
    assert host.device() is None
    public_key = host.call("public_key", "wg0")
    host.on_event = deliver
    assert host.call("apply")["backbone"]["result"] is True
    assert host.device().public_key == public_key


def test_a_mesh_file_that_becomes_invalid_meanwhile_stops_the_wait_with_its_error(host, tunnels):
    host.be_master(MESH)
    began = tunnels.now

    def break_it(tag, data):
        host.write_mesh("networks: {backbone: {subnet: []}}")
        return True

    host.on_event = break_it
    message = host.error("apply", wait=30)
    assert tunnels.now < began + 1
    assert "the pillar has errors, so nothing was changed" in message
    assert host.device() is None


def test_an_event_that_cannot_be_sent_is_in_the_log(host, caplog):
    host.be_master(MESH)
    host.on_event = lambda tag, data: False
    with caplog.at_level(logging.WARNING):
        host.error("apply", wait=0.2)
    assert f"the event {REGISTER_TAG} could not be sent" in caplog.text


def test_a_master_that_does_not_know_the_node_is_no_reason_to_touch_anything(host):
    """Its Salt key was deleted meanwhile: then the pillar says nothing."""
    host.be_master(MESH)
    host.call("apply")
    before = host.picture()
    (host.pki / "minions" / NODE).unlink()
    assert host.call("sync")["networks"] == {}
    assert host.picture() == before


def test_a_node_with_a_new_key_registers_again(host):
    host.be_master(MESH)
    host.call("apply")
    first = host.call("public_key", "wg0")
    (host.etc / "wg0.key").rename(host.etc / "old.key.away")
    host.refresh_pillar()
    result = host.call("apply")["backbone"]
    assert result["changes"]["private key"]["old"] == {"public_key": first}
    assert host.device().public_key == host.call("public_key", "wg0") != first
    assert reasons(host) == {"backbone": None}


def endpoints_of(host):
    return host.master.registry.snapshot().rows["backbone", "node1"].endpoints


@pytest.mark.parametrize("function", ["apply", "sync"])
def test_a_node_registers_what_it_offers_now_and_only_if_that_is_something_else(host, function):
    host.machine.links = [link("eth0", "192.0.2.1"), link("eth1", "10.2.0.1")]
    host.be_master(MESH)
    host.call("apply")
    assert endpoints_of(host) == ("192.0.2.1", "10.2.0.1")
    host.write_mesh(MESH.replace("'*': {}", "'*': {withhold: [10.0.0.0/8]}"))
    for _ in range(2):
        host.refresh_pillar()
        host.call(function)
        assert endpoints_of(host) == ("192.0.2.1",)
    host.events.clear()
    host.call(function)
    assert [tag for tag, _ in host.events if tag == REGISTER_TAG] == []
    host.machine.links = [link("eth0", "192.0.2.2")]
    host.call(function)
    assert endpoints_of(host) == ("192.0.2.2",)


def link(name, address):
    return {"ifname": name, "addr_info": [{"local": address, "prefixlen": 24, "scope": "global"}]}


# -- sync


def test_a_sync_of_a_new_node_registers_and_the_next_one_applies(host):
    host.be_master(MESH)
    first = host.call("sync")["networks"]["backbone"]
    assert "registered" in first["comment"]
    assert host.device() is None
    second = host.call("sync")["networks"]["backbone"]
    assert second["result"] is True
    assert "device" in second["changed"]
    assert reasons(host) == {"backbone": None}


def test_a_signed_sync_returns_the_statements_and_sends_none(host):
    host.be_master(MESH)
    (registration,) = host.call("sync", signed=True)[REGISTER_TAG]
    assert host.events == []
    assert hear(host.master, REGISTER_TAG, {"data": {"signed": registration}})
    answer = host.call("sync", signed=True)
    assert answer[REGISTER_TAG] == []
    (report,) = answer[REPORT_TAG]
    assert hear(host.master, REPORT_TAG, {"data": {"signed": report}})
    assert reasons(host) == {"backbone": None}
    assert host.events == []


def test_a_sync_takes_the_newest_pillar(host):
    registered(host)
    host.call("apply")
    changed = view(host.call("public_key", "wg0"), *PEERS, peer("node9", "10.42.0.99/32"))
    host.set_fresh_pillar({"wireguard": {"networks": {"backbone": changed.to_dict()}}})
    assert host.call("apply")["backbone"]["changes"] == {}
    assert host.call("sync")["networks"]["backbone"]["changed"] == [str(host.etc / "wg0.conf"), "peer node9"]
    assert key("node9") in host.device().peers


def test_a_sync_returns_little_however_much_changes(host):
    registered(host, *(peer(f"node{n}", f"10.42.{n // 250}.{n % 250 + 1}/32") for n in range(2, 502)))
    answer = host.call("sync", signed=True)
    assert answer["networks"]["backbone"]["result"] is True
    assert len(json.dumps(answer)) < 4096
    assert len(host.device().peers) == 500


def test_a_test_run_of_a_sync_changes_nothing(host):
    host.be_master(MESH)
    before = host.picture()
    assert host.call("sync", test=True)["networks"]["backbone"]["result"] is None
    assert host.picture() == before
    assert host.events == []


@pytest.mark.parametrize(
    "pillar",
    [
        {},
        {"wireguard": {}},
        {"wireguard": None},
        {"wireguard": {"install_packages": False}},
        {"wireguard": {"networks": None}},
    ],
    ids=str,
)
def test_a_pillar_that_does_not_speak_of_networks_touches_nothing(host, pillar):
    """
    A master that lost its ext_pillar configuration must not tear anything down. It did, where the pillar had other
    settings of ours.
    """
    registered(host)
    host.call("apply")
    before = host.picture()
    host.set_pillar(pillar)
    host.forget_commands()
    answer = host.call("sync")
    assert answer["networks"] == {}
    assert "nothing was touched" in answer["comment"]
    assert host.writing_commands() == []
    assert host.picture() == before


@pytest.mark.parametrize("pillar", [{"wireguard": []}, {"wireguard": "yes"}, {"wireguard": {"networks": []}}], ids=str)
def test_a_pillar_with_something_else_in_place_of_networks_is_an_error_that_touches_nothing(host, pillar):
    registered(host)
    host.call("apply")
    before = host.picture()
    host.set_pillar(pillar)
    assert "must be a mapping" in host.error("sync")
    assert host.picture() == before


@pytest.mark.parametrize("test", [True, False])
def test_a_pillar_with_no_network_left_removes_the_interface(host, test):
    registered(host)
    host.call("apply")
    before = host.picture()
    host.set_pillar({"wireguard": {"networks": {}}})
    result = host.call("sync", test=test)["networks"]["wg0"]
    assert result["result"] is (None if test else True)
    if test:
        assert host.picture() == before
    else:
        assert host.device() is None
        assert host.call("managed") == {}
        assert host.call("sync")["networks"] == {}


def test_a_node_that_was_taken_out_of_the_mesh_file_takes_its_interface_down(host):
    host.be_master(MESH)
    host.call("apply")
    host.write_mesh(LEFT)
    assert host.call("sync")["networks"]["wg0"]["result"] is True
    assert host.device() is None
    assert [name for name in os.listdir(host.etc) if "removed" not in name] == []


def test_only_the_network_that_was_left_is_removed_and_explicit_interfaces_stay(host):
    first = registered(host)
    second = view(host.call("keypair", "wg1"), interface="wg1", network="storage", port=51821,
                  addresses=("10.43.0.1/16",))  # fmt: skip
    networks = {"backbone": first.to_dict(), "storage": replace(second, peers=()).to_dict()}
    host.set_pillar({"wireguard": {"networks": networks}})
    host.call("apply")
    host.call("apply_interface", "wg7", ["10.9.0.1/24"])
    assert host.call("gone", ["backbone"]) == ["wg1"]
    assert host.call("gone", ["backbone", "storage"]) == []
    before = host.device("wg0")
    host.set_pillar({"wireguard": {"networks": {"backbone": networks["backbone"]}}})
    assert set(host.call("sync")["networks"]) == {"backbone", "wg1"}
    assert host.device("wg1") is None
    assert host.device("wg7") is not None
    assert host.device("wg0").addresses == before.addresses


def test_one_network_that_fails_does_not_keep_the_others_back(host):
    first = registered(host)
    second = view(
        host.call("keypair", "wg1"), interface="wg1", network="storage", addresses=("10.43.0.1/16",), port=51821
    )
    data = replace(second, peers=()).to_dict()
    host.set_pillar({"wireguard": {"networks": {"backbone": first.to_dict(), "storage": data}}})
    (host.etc / "wg0.conf").write_text("[Interface]\n")
    answer = host.call("sync")["networks"]
    assert answer["backbone"]["result"] is False
    assert answer["storage"]["result"] is True
    assert host.device("wg1").addresses == {"10.43.0.1/16"}


def test_one_removal_that_fails_does_not_hide_what_the_other_networks_did(host):
    """The whole sync failed, and the reports of the networks that were applied got lost."""
    registered(host)
    host.call("apply")
    second = view(
        host.call("keypair", "wg1"), interface="wg1", network="storage", addresses=("10.43.0.1/16",), port=51821
    )
    host.set_pillar({"wireguard": {"networks": {"storage": replace(second, peers=()).to_dict()}}})
    host.machine.failing["ip link delete*"] = "busy"
    answer = host.call("sync", signed=True)
    assert answer["networks"]["storage"]["result"] is True
    assert answer["networks"]["wg0"]["result"] is False
    assert "busy" in answer["networks"]["wg0"]["comment"]
    assert len(answer[REPORT_TAG]) == 1


def test_the_minions_own_notes_are_for_root_only(host):
    host.be_master(MESH)
    host.call("apply")
    notes = files(host.disk / CACHE / "wireguard")
    assert {name: oct(each[0] & 0o077) for name, each in notes.items() if name.endswith(".json")} == {
        "backbone.json": "0o0"
    }


# -- two machines with one Salt key


@pytest.mark.parametrize("function", ["apply", "sync"])
def test_a_node_speaks_up_while_the_master_takes_another_machine_for_it(host, function):
    wanted = registered(host)
    host.call(function)
    host.set_networks(replace(wanted, boot=config_files.boot_name()))
    host.events.clear()
    host.call(function, **({"signed": True} if function == "sync" else {}))
    assert host.events == []
    host.set_networks(replace(wanted, boot="another"))
    for _ in range(2):
        host.call(function, **({"signed": True} if function == "sync" else {}))
    assert [tag for tag, _ in host.events] == [REPORT_TAG, REPORT_TAG]
    statement, _ = verify(host.events[-1][1]["signed"], Report, host.accepted_keys())
    assert statement.boot == config_files.boot_name()


@pytest.mark.parametrize("function", ["apply", "sync", "rotate_prepare"])
def test_a_clone_takes_its_interface_down_and_keeps_its_key(host, function):
    """A copy of a machine that went on with its key drew the packets of its original to itself."""
    wanted = registered(host)
    host.call("apply")
    before = files(host.etc)
    host.set_networks(replace(wanted, clones=("other", config_files.boot_name())))
    host.events.clear()
    if function == "sync":
        said = host.call("sync")["networks"]["backbone"]
        assert (said["result"], said["clone"], host.events) == (False, True, [])
        said = said["comment"]
    else:
        said = host.error(function, *(["backbone"] if function == "rotate_prepare" else []))
    assert f"this machine is a copy of another one that runs as {NODE} with the same Salt key; wg0 is down here" in said
    assert host.device() is None
    assert files(host.etc) == {"wg0.key": before["wg0.key"]}


def test_a_test_run_on_a_clone_takes_nothing_down(host):
    wanted = registered(host)
    host.call("apply")
    host.set_networks(replace(wanted, clones=(config_files.boot_name(),)))
    before = host.picture()
    assert "copy of another" in host.error("apply", test=True)
    assert host.call("sync", test=True)["networks"]["backbone"]["result"] is False
    assert host.picture() == before
