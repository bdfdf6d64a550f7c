"""Nothing that comes late, rolls back or boots brings a peer back that is trusted no more."""

import json
from dataclasses import replace

import pytest

pytest.importorskip("salt")

from hosts import ETC, PEERS, preshared, registered
from saltext.wireguard.model.statements import REPORT_TAG

NODE2, NODE3, NODE4 = PEERS


def with_all(host, generation=5, peers=PEERS, **settings):
    """A host that has applied a view with all three peers."""
    wanted = registered(host, *peers, generation=generation, **settings)
    assert host.call("apply")["backbone"]["result"] is True
    host.forget_commands()
    return wanted


def without_node3(wanted, generation=7):
    """What the pillar is once node3 was revoked."""
    peers = tuple(peer for peer in wanted.peers if peer.name != "node3")
    return replace(wanted, peers=peers, generation=generation, withdrawn=(NODE3.public_key,))


def revoke(host, generation=7):
    """As the master does it."""
    keys = {"backbone": [NODE3.public_key]}
    return host.call("delta", keys, generation=generation, withdrawn=keys)["networks"]["backbone"]


def peer_keys(host):
    return set(host.device().peers)


def fail_trials(host, monkeypatch):
    monkeypatch.setattr(host.library("node.trial").Trial, "failure", lambda self: "the master is out of reach")


# -- what comes late


def test_a_sync_whose_pillar_was_fetched_before_the_drop_changes_nothing(host):
    """It brought the revoked peer back after `revoke` had said that all confirmed."""
    before = with_all(host)
    revoke(host)
    host.set_networks(replace(before, generation=6))
    answer = host.call("sync")["networks"]["backbone"]
    assert answer["result"] is False
    assert "older than what was applied here already" in answer["comment"]
    assert NODE3.public_key not in peer_keys(host)
    assert NODE3.public_key not in (ETC / "wg0.conf").read_text()


def test_an_older_pillar_is_refused_in_a_test_run_too(host):
    before = with_all(host)
    revoke(host)
    host.set_networks(replace(before, generation=6))
    assert "older than what was applied" in host.call("sync", test=True)["networks"]["backbone"]["comment"]


def test_apply_fetches_a_pillar_where_the_one_in_memory_is_older(host):
    """`wireguard.apply` applied what the minion had in memory since its start."""
    before = with_all(host)
    revoke(host)
    host.hold_pillar({"wireguard": {"networks": {"backbone": before.to_dict()}}})
    host.set_fresh_pillar({"wireguard": {"networks": {"backbone": without_node3(before).to_dict()}}})
    assert host.call("apply")["backbone"]["result"] is True
    assert NODE3.public_key not in peer_keys(host)


def test_apply_refuses_a_master_that_gives_out_old_pillars(host):
    """With `pillar_cache: True` on the master, a state.apply got the pillar of before the revocation."""
    before = with_all(host)
    revoke(host)
    host.set_networks(before)
    assert "`pillar_cache` must be off" in host.error("apply")
    assert NODE3.public_key not in peer_keys(host)


def test_a_drop_that_comes_late_does_not_take_a_peer_that_was_let_in_again(host):
    with_all(host, generation=9)
    answer = revoke(host, generation=7)
    assert answer["result"] is False
    assert NODE3.public_key in peer_keys(host)


def test_a_peer_that_was_let_in_again_comes_back_with_a_later_view(host):
    before = with_all(host)
    revoke(host)
    host.set_networks(replace(before, generation=8))
    assert host.call("sync")["networks"]["backbone"]["result"] is True
    assert NODE3.public_key in peer_keys(host)


def test_a_view_without_a_generation_is_applied(host):
    """Of a person, or of a mesh file without a master: there is nothing that could be older."""
    before = with_all(host)
    host.set_networks(replace(before, generation=0, mtu=1300))
    assert host.call("apply")["backbone"]["result"] is True
    assert host.device().mtu == 1300


def test_the_same_generation_again_runs_no_writing_command(host):
    before = with_all(host)
    gone = without_node3(before)
    host.set_networks(gone)
    host.call("sync")
    host.forget_commands()
    picture = host.picture()
    host.call("sync")
    assert host.writing_commands() == []
    assert host.picture() == picture


# -- what rolls back, or boots


@pytest.mark.parametrize("by", ["delta", "sync"])
def test_a_change_that_does_not_work_keeps_the_removal(host, monkeypatch, by):
    """The trial of a revocation failed, as the master was out of reach for a while, and the peer was back."""
    before = with_all(host)
    fail_trials(host, monkeypatch)
    if by == "delta":
        revoke(host)
    else:
        host.set_networks(replace(without_node3(before), mtu=1300))
        assert host.call("sync")["networks"]["backbone"]["result"] is False
    assert peer_keys(host) == {NODE2.public_key, NODE4.public_key}
    assert NODE3.public_key not in (ETC / "wg0.conf").read_text()
    assert host.device().mtu == 1380


def test_what_boots_after_a_power_cut_in_the_middle_does_not_have_the_peer(host, monkeypatch):
    before = with_all(host)
    host.set_networks(replace(without_node3(before), mtu=1300))

    def cut(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(host.library("node.trial").Trial, "begin", cut)
    with pytest.raises(KeyboardInterrupt):
        host.call("sync")
    host.delete_device()
    host.run("wg-quick", "up", "wg0")
    assert peer_keys(host) == {NODE2.public_key, NODE4.public_key}


def test_the_routes_of_the_peer_go_along(host):
    with_all(host)
    revoke(host)
    assert "fd99::/64" not in host.device().routes
    assert "192.168.40.0/24" in host.device().routes


def test_the_other_peers_keep_their_preshared_keys_in_the_file(host):
    peers = [preshared(each) for each in PEERS]
    with_all(host, peers=peers, preshared="0123456789abcdef")
    revoke(host)
    text = (ETC / "wg0.conf").read_text()
    assert [f"PresharedKey = {peer.preshared_key}" in text for peer in peers] == [True, False, True]


# -- what is wrong about others


def test_a_removal_does_not_wait_for_the_names_of_others(host, monkeypatch):
    before = with_all(host)
    other = replace(NODE2, endpoint="node2.invalid:51820")
    host.set_networks(replace(without_node3(before), peers=(other, NODE4)))
    monkeypatch.setattr(host.library("node.endpoints"), "resolve", lambda view, device: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        host.call("sync")
    assert NODE3.public_key not in peer_keys(host)


def test_a_removal_goes_on_where_the_configuration_file_is_damaged(host):
    with_all(host)
    path = ETC / "wg0.conf"
    path.write_text(path.read_text().replace("[Peer]", "[peer]", 1))
    revoke(host)
    assert NODE3.public_key not in peer_keys(host)


def test_more_at_once_than_the_guard_lets_pass_is_refused_as_ever(host):
    before = with_all(host)
    keys = [peer.public_key for peer in PEERS]
    host.set_networks(replace(before, peers=(NODE2,), generation=7, withdrawn=tuple(keys[1:])))
    assert host.call("sync")["networks"]["backbone"]["result"] is True  # of three, any number may go
    assert peer_keys(host) == {NODE2.public_key}


# -- what is said about it


def test_the_peer_that_went_is_among_the_changes(host):
    before = with_all(host)
    host.set_networks(without_node3(before))
    changes = host.call("apply")["backbone"]["changes"]
    assert changes["peer node3"]["old"]["public_key"] == NODE3.public_key
    assert changes["peer node3"]["new"] is None


def test_a_report_bears_the_generation_that_was_applied(host):
    before = with_all(host)
    host.set_networks(without_node3(before))
    (signed,) = host.call("sync", signed=True)[REPORT_TAG]
    assert json.loads(signed["statement"])["generation"] == 7


# -- networks that come and go


def test_a_pillar_from_before_the_node_joined_takes_no_interface_down(host):
    """An empty list of networks says that the node was removed, and bore nothing that told how old it is."""
    with_all(host, generation=5)
    host.set_pillar({"wireguard": {"networks": {}, "generation": 4}})
    assert host.call("sync")["networks"] == {}
    assert host.call("gone", []) == []
    assert host.device() is not None


@pytest.mark.parametrize("pillar", [{"generation": 6}, {}], ids=["later", "without a generation"])
def test_a_pillar_without_the_network_takes_it_down(host, pillar):
    with_all(host, generation=5)
    host.set_pillar({"wireguard": {"networks": {}, **pillar}})
    assert host.call("sync")["networks"]["wg0"]["result"] is True
    assert host.device() is None
