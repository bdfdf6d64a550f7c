"""Peers that left are dropped by what the node has, without a pillar, and what it reports is what the master wants."""

import json

import pytest
from views import PEERS, key, peer, registered, view

from saltext.wireguard.model.statements import ABSENT, REPORT_TAG, Report
from saltext.wireguard.registry.evidence import verify
from unit.node.host import NODE

NODE2, NODE3, NODE4 = PEERS


@pytest.fixture
def applied(host):
    """A host that has applied the view with all three peers. Its pillar cannot be fetched any more."""
    registered(host)
    host.call("apply")
    host.set_fresh_pillar({"_errors": ["no pillar is needed for this"]})
    host.events.clear()
    host.forget_commands()
    return host


def reported(host, signed):
    statement, _ = verify(signed, Report, host.accepted_keys())
    return statement


def test_a_peer_is_dropped_and_the_report_is_that_of_the_view_without_it(applied):
    before = applied.device()
    said = applied.call("drop", {"backbone": [NODE3.public_key]}, signed=True)
    assert said["networks"]["backbone"]["result"] is True
    after = applied.device()
    assert {**after.peers, NODE3.public_key: before.peers[NODE3.public_key]} == before.peers
    assert after.routes == before.routes - {"fd99::/64"}
    (signed,) = said[REPORT_TAG]
    wanted = view(applied.call("public_key", "wg0"), NODE2, NODE4)
    assert (reported(applied, signed).node, reported(applied, signed).digest) == (NODE, wanted.digest)
    applied.set_networks(wanted)
    assert applied.call("diff")["backbone"]["commands"] == []


def test_only_the_peer_that_goes_is_touched(applied):
    applied.call("drop", {"backbone": [NODE3.public_key]}, signed=True)
    assert applied.device_commands() == [
        ["ip", "-6", "route", "del", "fd99::/64", "dev", "wg0", "proto", "boot"],
        ["wg", "set", "wg0", "peer", NODE3.public_key, "remove"],
    ]


def test_the_configuration_file_does_not_have_it_any_more(applied):
    applied.call("drop", {"backbone": [NODE3.public_key]}, signed=True)
    text = (applied.etc / "wg0.conf").read_text()
    assert NODE3.public_key not in text
    assert NODE2.public_key in text


def test_asked_by_hand_the_node_reports_by_an_event(applied):
    said = applied.call("drop", {"backbone": [NODE3.public_key]})
    assert set(said) == {"networks"}
    ((tag, data),) = applied.events
    assert tag == REPORT_TAG
    assert reported(applied, data["signed"]).network == "backbone"


@pytest.mark.parametrize("peers", [{"backbone": [key("nobody")]}, {"backbone": []}])
def test_of_keys_that_it_does_not_have_it_reports_that(applied, peers):
    before = applied.picture()
    said = applied.call("drop", peers, signed=True)
    assert reported(applied, said[REPORT_TAG][0]).digest == view(applied.call("public_key", "wg0")).digest
    assert applied.picture() == before
    assert applied.writing_commands() == []


def test_a_network_that_the_node_is_not_in_is_passed_over(applied):
    before = applied.picture()
    said = applied.call("drop", {"other": [NODE3.public_key]}, signed=True)
    assert said == {"networks": {}, REPORT_TAG: []}
    assert applied.picture() == before


def test_what_somebody_changed_by_hand_is_put_right_as_by_any_apply(applied):
    applied.run("wg", "set", "wg0", "peer", key("stranger"), "allowed-ips", "10.42.0.77/32")
    applied.call("drop", {"backbone": [NODE3.public_key]}, signed=True)
    assert set(applied.device().peers) == {NODE2.public_key, NODE4.public_key}


def test_a_rotating_peer_goes_with_both_its_keys_and_another_keeps_both(host):
    others = [peer(f"node{number}", f"10.42.0.{number}/32", next_key=key(f"next {number}")) for number in (2, 3)]
    registered(host, *others)
    host.call("apply")
    said = host.call("drop", {"backbone": [others[0].public_key]}, signed=True)
    assert set(host.device().peers) == {others[1].public_key, others[1].next_key}
    wanted = view(host.call("public_key", "wg0"), others[1])
    assert reported(host, said[REPORT_TAG][0]).digest == wanted.digest


def test_a_node_that_finds_its_own_key_takes_its_interface_down(applied):
    own = applied.call("public_key", "wg0")
    said = applied.call("drop", {"backbone": [own], "other": [own]}, signed=True)
    assert said["networks"]["backbone"]["result"] is True
    assert applied.device() is None
    assert [path.name[:15] for path in applied.etc.iterdir()] == ["wg0.key.removed"]
    (signed,) = said[REPORT_TAG]
    assert (reported(applied, signed).network, reported(applied, signed).digest) == ("backbone", ABSENT)


def test_a_node_whose_key_was_replaced_leaves_it_to_a_sync(applied):
    before = applied.device()
    (applied.etc / "wg0.key").write_text(applied.run("wg", "genkey"))
    said = applied.call("drop", {"backbone": [NODE3.public_key]}, signed=True)
    assert (said["networks"]["backbone"]["result"], said[REPORT_TAG]) == (False, [])
    assert "wireguard.sync" in said["networks"]["backbone"]["comment"]
    assert applied.device() == before


def test_a_configuration_file_that_is_gone_is_no_error_but_no_report(applied):
    (applied.etc / "wg0.conf").unlink()
    assert applied.call("drop", {"backbone": [NODE3.public_key]}, signed=True) == {"networks": {}, REPORT_TAG: []}


def test_a_device_that_does_not_obey_is_not_reported(applied):
    applied.machine.ignored.append("wg set *remove*")
    said = applied.call("drop", {"backbone": [NODE3.public_key]}, signed=True)
    assert said["networks"]["backbone"]["result"] is False
    assert "still not what it should be" in said["networks"]["backbone"]["comment"]
    assert said[REPORT_TAG] == []


def test_nothing_secret_is_returned(applied):
    said = json.dumps(applied.call("drop", {"backbone": [NODE3.public_key]}, signed=True))
    assert (applied.etc / "wg0.key").read_text().strip() not in said
