"""What a node says of changes that were made behind our back, and that a test run says the same; both touch nothing."""

from dataclasses import replace

import pytest

pytest.importorskip("salt")

from hosts import ETC, in_words, key, peer, registered, view
from saltext.wireguard.master.status import statuses

STRANGER = key("stranger")


def told(host, *live):
    """The answer for the one network, given without a writing command."""
    before = host.picture()
    host.forget_commands()
    networks = host.call("drift", live=list(live))["networks"]
    assert host.writing_commands() == []
    assert host.picture() == before
    assert list(networks) == ["backbone"]
    return networks["backbone"]


@pytest.fixture
def applied(host):
    """A node that has what it must have."""
    host.wanted = registered(host)
    host.call("apply")
    return host


def test_a_node_that_nobody_touched_has_no_drift_and_names_the_view_that_it_has(applied):
    answer = told(applied)
    assert (answer["changes"], answer["more"]) == ([], 0)
    assert answer["digest"] == applied.wanted.digest
    assert (answer["live"], answer["live_keys"]) == (0, [])


def test_what_was_changed_by_hand_is_named_and_a_test_run_names_the_same(applied):
    applied.run("wg", "set", "wg0", "peer", STRANGER, "allowed-ips", "10.42.7.7/32")
    applied.run("wg", "set", "wg0", "peer", key("node3"), "remove")
    applied.run("ip", "-4", "route", "del", "192.168.40.0/24", "dev", "wg0")
    applied.run("ip", "address", "del", "fd42::1/64", "dev", "wg0")
    applied.run("ip", "link", "set", "dev", "wg0", "mtu", "1300")
    changes = in_words(told(applied))
    assert changes[f"peer {STRANGER}"]["new"] is None
    assert changes[f"peer {STRANGER}"]["old"]["allowed_ips"] == ["10.42.7.7/32"]
    assert changes["peer node3"]["new"]["public_key"] == key("node3")
    assert changes["route 192.168.40.0/24"] == {"old": None, "new": "192.168.40.0/24"}
    assert changes["address fd42::1/64"] == {"old": None, "new": "fd42::1/64"}
    assert changes["mtu"] == {"old": "1300", "new": "1380"}
    assert applied.call("apply", test=True)["backbone"]["changes"] == changes
    assert applied.state("present", "backbone", test=True)["changes"] == changes
    assert in_words(applied.call("sync", test=True)["networks"]["backbone"]) == changes


def test_what_a_test_run_says_is_what_a_run_then_changes(applied):
    applied.run("wg", "set", "wg0", "peer", key("node3"), "remove")
    would = in_words(applied.call("sync", test=True)["networks"]["backbone"])
    assert applied.call("apply")["backbone"]["changes"] == would
    assert in_words(told(applied)) == {}


def test_a_device_that_is_gone_is_drift(applied):
    applied.delete_device()
    assert in_words(told(applied))["device"] == {"old": None, "new": "wg0"}


def test_a_pillar_that_changed_is_no_drift(applied):
    applied.set_networks(replace(applied.wanted, mtu=1400))
    assert in_words(told(applied)) == {}
    would = in_words(applied.call("sync", test=True)["networks"]["backbone"])
    assert set(would) == {"mtu", str(ETC / "wg0.conf")}


def test_a_file_that_was_edited_by_hand_cannot_tell_and_the_digest_gives_that_away(applied):
    file = ETC / "wg0.conf"
    file.write_text(file.read_text().replace("MTU = 1380", "MTU = 1400"))
    assert told(applied)["digest"] != applied.wanted.digest
    file.write_text(file.read_text() + "PostUp = true\n")
    assert told(applied)["digest"] is None


def test_a_node_in_no_network_has_nothing_to_say(host):
    assert host.call("drift") == {"networks": {}}


def test_many_changes_are_cut_short_and_counted(host):
    many = [peer(f"p{number}", f"10.42.1.{number}/32") for number in range(1, 71)]
    registered(host, *many)
    host.call("apply")
    host.delete_device()
    answer = told(host)
    assert len(answer["changes"]) == 50
    assert answer["more"] > 20


def test_a_node_that_is_not_registered_says_so_in_both_kinds_of_test_run(host):
    host.set_networks(view(None))
    applied = host.call("apply", test=True)["backbone"]
    synced = host.call("sync", test=True)["networks"]["backbone"]
    assert applied["changes"] == in_words(synced) == {"interface wg0": {"old": None, "new": "present"}}


def test_what_was_changed_by_hand_is_reported_and_a_sync_puts_it_right(host):
    """A reconcile saw nothing of it: the node had last said that all is as it should be."""
    host.be_master("networks: {backbone: {subnets: [10.42.0.0/16], nodes: {'*': {}}}}")
    host.call("apply")
    assert host.call("report_drift") == {}
    host.run("ip", "address", "add", "10.42.7.7/16", "dev", "wg0")
    host.run("wg", "set", "wg0", "listen-port", "51829")
    assert host.call("report_drift") == {"wg0": ["address 10.42.7.7/16", "listen port"]}
    (status,) = statuses(host.master.moment())
    assert status.reason == "drifted: address 10.42.7.7/16, listen port"
    host.call("sync")
    (status,) = statuses(host.master.moment())
    assert status.reason is None
    assert host.call("report_drift") == {}
