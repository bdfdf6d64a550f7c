"""Peers are dropped and set by what the node has, without a pillar, and what it reports is what the master wants."""

import json
from dataclasses import replace

import pytest
from salt.exceptions import CommandExecutionError
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
    said = applied.call("delta", {"backbone": [NODE3.public_key]}, signed=True)
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
    applied.call("delta", {"backbone": [NODE3.public_key]}, signed=True)
    assert applied.device_commands() == [
        ["ip", "-6", "route", "del", "fd99::/64", "dev", "wg0", "proto", "boot"],
        ["wg", "set", "wg0", "peer", NODE3.public_key, "remove"],
    ]


def test_the_configuration_file_does_not_have_it_any_more(applied):
    applied.call("delta", {"backbone": [NODE3.public_key]}, signed=True)
    text = (applied.etc / "wg0.conf").read_text()
    assert NODE3.public_key not in text
    assert NODE2.public_key in text


def test_asked_by_hand_the_node_reports_by_an_event(applied):
    said = applied.call("delta", {"backbone": [NODE3.public_key]})
    assert set(said) == {"networks"}
    ((tag, data),) = applied.events
    assert tag == REPORT_TAG
    assert reported(applied, data["signed"]).network == "backbone"


@pytest.mark.parametrize("peers", [{"backbone": [key("nobody")]}, {"backbone": []}])
def test_of_keys_that_it_does_not_have_it_reports_that(applied, peers):
    before = applied.picture()
    said = applied.call("delta", peers, signed=True)
    assert reported(applied, said[REPORT_TAG][0]).digest == view(applied.call("public_key", "wg0")).digest
    assert applied.picture() == before
    assert applied.writing_commands() == []


def test_a_network_that_the_node_is_not_in_is_passed_over(applied):
    before = applied.picture()
    said = applied.call("delta", {"other": [NODE3.public_key]}, signed=True)
    assert said == {"networks": {}, REPORT_TAG: []}
    assert applied.picture() == before


def test_what_somebody_changed_by_hand_is_put_right_as_by_any_apply(applied):
    applied.run("wg", "set", "wg0", "peer", key("stranger"), "allowed-ips", "10.42.0.77/32")
    applied.call("delta", {"backbone": [NODE3.public_key]}, signed=True)
    assert set(applied.device().peers) == {NODE2.public_key, NODE4.public_key}


def test_a_rotating_peer_goes_with_both_its_keys_and_another_keeps_both(host):
    others = [peer(f"node{number}", f"10.42.0.{number}/32", next_key=key(f"next {number}")) for number in (2, 3)]
    registered(host, *others)
    host.call("apply")
    said = host.call("delta", {"backbone": [others[0].public_key]}, signed=True)
    assert set(host.device().peers) == {others[1].public_key, others[1].next_key}
    wanted = view(host.call("public_key", "wg0"), others[1])
    assert reported(host, said[REPORT_TAG][0]).digest == wanted.digest


def test_a_node_that_finds_its_own_key_takes_its_interface_down(applied):
    own = applied.call("public_key", "wg0")
    said = applied.call("delta", {"backbone": [own], "other": [own]}, signed=True)
    assert said["networks"]["backbone"]["result"] is True
    assert applied.device() is None
    assert [path.name[:15] for path in applied.etc.iterdir()] == ["wg0.key.removed"]
    (signed,) = said[REPORT_TAG]
    assert (reported(applied, signed).network, reported(applied, signed).digest) == ("backbone", ABSENT)


def test_a_node_whose_key_was_replaced_leaves_it_to_a_sync(applied):
    before = applied.device()
    (applied.etc / "wg0.key").write_text(applied.run("wg", "genkey"))
    said = applied.call("delta", {"backbone": [NODE3.public_key]}, signed=True)
    assert (said["networks"]["backbone"]["result"], said[REPORT_TAG]) == (False, [])
    assert "wireguard.sync" in said["networks"]["backbone"]["comment"]
    assert applied.device() == before


def test_a_configuration_file_that_is_gone_is_no_error_but_no_report(applied):
    (applied.etc / "wg0.conf").unlink()
    assert applied.call("delta", {"backbone": [NODE3.public_key]}, signed=True) == {"networks": {}, REPORT_TAG: []}


def test_a_device_that_does_not_obey_is_not_reported(applied):
    applied.machine.ignored.append("wg set *remove*")
    said = applied.call("delta", {"backbone": [NODE3.public_key]}, signed=True)
    assert said["networks"]["backbone"]["result"] is False
    assert "still not what it should be" in said["networks"]["backbone"]["comment"]
    assert said[REPORT_TAG] == []


def test_nothing_secret_is_returned(applied):
    said = json.dumps(applied.call("delta", {"backbone": [NODE3.public_key]}, signed=True))
    assert (applied.etc / "wg0.key").read_text().strip() not in said


# --- peers to set ----------------------------------------------------------------------------------------------------

NODE5 = peer("node5", "10.42.0.5/32", endpoint="192.0.2.5:51820")


def described(*peers):
    return {"backbone": {each.name: each.to_dict() for each in peers}}


def told(host, *peers, drop=(), generation=7, **more):
    """What the node answers to a job of the master."""
    keys = {"backbone": [*drop]} if drop else {}
    said = host.call("delta", keys, peers=described(*peers), signed=True, generation=generation, **more)
    return said["networks"]["backbone"], said[REPORT_TAG]


def test_a_new_peer_is_set_and_the_report_is_that_of_the_view_with_it(applied):
    before = applied.device()
    part, (signed,) = told(applied, NODE5)
    assert part["result"] is True
    after = applied.device()
    assert after.peers.keys() - before.peers.keys() == {NODE5.public_key}
    assert {name: after.peers[name] for name in before.peers} == before.peers
    assert reported(applied, signed).digest == view(applied.call("public_key", "wg0"), *PEERS, NODE5).digest
    assert NODE5.public_key in (applied.etc / "wg0.conf").read_text()


def test_only_the_new_peer_is_touched(applied):
    told(applied, NODE5)
    commands = [command for command in applied.device_commands() if "set" in command]
    assert all(NODE5.public_key in command for command in commands)


def test_the_same_again_touches_nothing(applied):
    told(applied, NODE5)
    applied.forget_commands()
    part, (signed,) = told(applied, NODE5)
    assert (part["result"], part["changed"], applied.writing_commands()) == (True, [], [])
    assert reported(applied, signed).digest == view(applied.call("public_key", "wg0"), *PEERS, NODE5).digest


def test_a_peer_with_another_key_takes_the_place_of_that_of_its_name(applied):
    rekeyed = replace(NODE3, public_key=key("another"))
    told(applied, rekeyed)
    assert applied.device().peers.keys() == {NODE2.public_key, rekeyed.public_key, NODE4.public_key}


def test_one_job_sets_and_drops(applied):
    _, (signed,) = told(applied, NODE5, drop=[NODE3.public_key])
    assert applied.device().peers.keys() == {NODE2.public_key, NODE4.public_key, NODE5.public_key}
    wanted = view(applied.call("public_key", "wg0"), NODE2, NODE4, NODE5)
    assert reported(applied, signed).digest == wanted.digest


def test_a_job_older_than_what_was_applied_is_refused(applied):
    """A job that comes late, or that somebody sends again, does not bring back who was removed."""
    told(applied, drop=[NODE3.public_key], generation=9)
    before = applied.picture()
    part, reports = told(applied, NODE3, generation=8)
    assert (part["result"], reports) == (False, [])
    assert "older" in part["comment"]
    assert applied.picture() == before


def test_peers_without_a_generation_are_refused(applied):
    before = applied.picture()
    with pytest.raises(CommandExecutionError, match="need the generation of the registry"):
        told(applied, NODE5, generation=0)
    assert applied.picture() == before


def test_after_a_job_an_older_pillar_is_refused(applied):
    told(applied, drop=[NODE3.public_key], generation=9)
    applied.set_networks(replace(view(applied.call("public_key", "wg0")), generation=8))
    assert applied.call("sync")["networks"]["backbone"]["result"] is False
    assert NODE3.public_key not in applied.device().peers


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"preshared_key": "cHJpdmF0ZSBrZXkgb2YgYSB0ZXN0LCAzMiBieXRlcyE="}, "must have no preshared keys"),
        ({"allowed_ips": ["everything"]}, "allowed_ips"),
        ({"public_key": "no key"}, "public_key"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_a_peer_that_is_none_is_refused_as_a_whole(applied, changes, why):
    before = applied.picture()
    peers = {"backbone": {"node5": {**NODE5.to_dict(), **changes}}}
    with pytest.raises(CommandExecutionError, match=why):
        applied.call("delta", {}, peers=peers, generation=7)
    assert applied.picture() == before


def test_a_peer_that_takes_the_address_of_another_is_refused_and_the_node_keeps_what_it_has(applied):
    before = applied.device()
    part, reports = told(applied, peer("node5", "10.42.0.3/32"))
    assert (part["result"], reports) == (False, [])
    assert applied.device() == before


def test_where_there_are_preshared_keys_a_pillar_is_needed(host):
    secret = "cHJpdmF0ZSBrZXkgb2YgYSB0ZXN0LCAzMiBieXRlcyE="
    peers = [replace(each, preshared=True, preshared_key=secret) for each in PEERS]
    registered(host, *peers, preshared="name of the secret")
    host.call("apply")
    before = host.device()
    part, reports = told(host, NODE5)
    assert (part["result"], reports) == (False, [])
    assert "wireguard.sync" in part["comment"]
    assert host.device() == before
