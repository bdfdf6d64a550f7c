"""Networks move between peers by what the node has, without a pillar, and what it reports is what the master wants."""

import pytest
from views import key, peer, registered, view

from saltext.wireguard.model.statements import REPORT_TAG, Report
from saltext.wireguard.registry.evidence import verify

SUBNET, BEHIND = "10.42.0.0/16", "10.99.0.0/24"
HUB1 = peer("hub1", "10.42.0.2/32", SUBNET, BEHIND)
HUB2 = peer("hub2", "10.42.0.3/32")


@pytest.fixture
def applied(host):
    """A spoke with two hubs. Its pillar cannot be fetched any more."""
    registered(host, HUB1, HUB2)
    host.call("apply")
    host.set_fresh_pillar({"_errors": ["no pillar is needed for this"]})
    host.events.clear()
    host.forget_commands()
    return host


def move(host, *networks, to=HUB2, **options):
    moves = dict.fromkeys(networks, to.public_key)
    return host.call("move", {"backbone": moves}, signed=True, **options)


def digest(host, said):
    (signed,) = said[REPORT_TAG]
    return verify(signed, Report, host.accepted_keys())[0].digest


def test_networks_move_and_the_report_is_that_of_the_view_that_the_master_has(applied):
    said = move(applied, SUBNET, BEHIND)
    assert said["networks"]["backbone"]["result"] is True
    wanted = view(
        applied.call("public_key", "wg0"),
        peer("hub1", "10.42.0.2/32"),
        peer("hub2", "10.42.0.3/32", SUBNET, BEHIND),
    )
    assert digest(applied, said) == wanted.digest
    applied.set_networks(wanted)
    assert applied.call("diff")["backbone"]["commands"] == []


def test_one_command_gives_the_new_peer_its_networks_and_nothing_else_is_touched(applied):
    move(applied, SUBNET, BEHIND)
    allowed = ",".join(sorted(["10.42.0.3/32", SUBNET, BEHIND]))
    assert applied.device_commands() == [
        ["wg", "set", "wg0", "peer", HUB2.public_key, "allowed-ips", allowed],
    ]


def test_a_second_move_to_the_same_peer_touches_nothing(applied):
    first = digest(applied, move(applied, SUBNET))
    applied.forget_commands()
    assert digest(applied, move(applied, SUBNET)) == first
    assert applied.device_commands() == []


def test_a_move_to_a_peer_that_is_not_there_is_refused(applied):
    before = applied.picture()
    said = move(applied, SUBNET, to=peer("stranger", "10.42.0.9/32"))
    assert said["networks"]["backbone"]["result"] is False
    assert f"has no peer with the public key {key('stranger')}" in said["networks"]["backbone"]["comment"]
    assert applied.picture() == before


def test_a_move_that_is_older_than_what_was_applied_is_refused(applied):
    move(applied, SUBNET, generation=7)
    assert move(applied, SUBNET, to=HUB1, generation=6)["networks"]["backbone"]["result"] is False


def test_a_moment_that_is_far_off_holds_nothing_up(applied):
    """A master whose clock is wrong must not keep a job of every node waiting."""
    assert move(applied, SUBNET, at=4e9)["networks"]["backbone"]["result"] is True


@pytest.mark.parametrize("networks", ["all", {"backbone": {"10.42.0.1/16": key("hub2")}}, {"backbone": {SUBNET: "x"}}])
def test_other_arguments_are_an_error(applied, networks):
    assert applied.error("move", networks).startswith("networks: ")
