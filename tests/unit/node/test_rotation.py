"""A node's own key rotation: which key is where after each step, and when the old one comes back."""

from dataclasses import replace

import pytest
from views import PEERS, key, preshared, registered

from saltext.wireguard.errors import NodeError
from saltext.wireguard.node import config_files, keys, rotation

NODE2, NODE3 = key("node2"), key("node3")


@pytest.fixture
def view(host, tunnels):
    """What a node with sessions with two of its three peers has applied."""
    wanted = registered(host)
    host.call("apply")
    tunnels.connect(NODE2, NODE3)
    return wanted


def in_config(host):
    (line,) = [each for each in host.config.read_text().splitlines() if each.startswith("PrivateKey = ")]
    return line.removeprefix("PrivateKey = ") + "\n"


def kept(host):
    """The names of the interface's key files."""
    return sorted(path.name for path in host.etc.glob("*.key*"))


def assert_key_is_everywhere(host, public_key):
    assert host.device().public_key == public_key == keys.existing(config_files.key_file("wg0"))
    assert in_config(host) == (host.etc / "wg0.key").read_text()


def test_the_next_key_is_the_same_when_asked_for_again_and_disturbs_nothing(host, view):
    host.forget_commands()
    first = rotation.prepare(view)
    assert first == rotation.prepare(view)
    assert first[0] == view.public_key != first[1]
    assert host.writing_commands() == []
    assert kept(host) == ["wg0.key", "wg0.key.next"]


def test_a_switch_uses_the_next_key_everywhere_and_keeps_the_previous_one(host, view):
    _, next_key = rotation.prepare(view)
    assert rotation.switch(view, 5) == rotation.SwitchResult(["node2", "node3"], [])
    assert_key_is_everywhere(host, next_key)
    assert kept(host) == ["wg0.key", "wg0.key.previous"]
    assert rotation.is_unfinished("wg0")


def test_the_previous_key_goes_once_the_master_knows_the_new_one(host, view):
    _, next_key = rotation.prepare(view)
    rotation.switch(view, 5)
    host.set_networks(replace(view, public_key=next_key))
    host.call("apply")
    assert kept(host) == ["wg0.key"]
    assert not rotation.is_unfinished("wg0")


def test_peers_that_do_not_follow_are_named(host, view, tunnels):
    rotation.prepare(view)
    tunnels.answering = {NODE2}
    assert rotation.switch(view, 5) == rotation.SwitchResult(["node2"], ["node3"])


def test_a_node_that_no_live_peer_follows_gets_its_old_key_back(host, view, tunnels):
    _, next_key = rotation.prepare(view)
    tunnels.answering = set()
    result = rotation.switch(view, 5)
    assert result.failure == "no peer came back within 5 s; wg0 has its old key again"
    assert_key_is_everywhere(host, view.public_key)
    assert keys.existing(config_files.next_key_file("wg0")) == next_key
    assert kept(host) == ["wg0.key", "wg0.key.next"]


def test_a_node_without_sessions_has_nobody_to_wait_for(host, view, tunnels):
    _, next_key = rotation.prepare(view)
    tunnels.wait(180)
    tunnels.answering = set()
    assert rotation.switch(view, 5) == rotation.SwitchResult([], [])
    assert_key_is_everywhere(host, next_key)


def test_a_switch_asked_for_again_changes_nothing(host, view):
    _, next_key = rotation.prepare(view)
    rotation.switch(view, 5)
    host.forget_commands()
    assert rotation.switch(view, 5) == rotation.SwitchResult([], [])
    assert host.writing_commands() == []
    assert_key_is_everywhere(host, next_key)


def test_without_a_next_key_there_is_no_switch(host, view):
    assert "wg0 has no next key" in rotation.switch(view, 5).failure
    assert_key_is_everywhere(host, view.public_key)


def test_without_preshared_keys_for_the_next_key_there_is_no_switch(host, tunnels):
    wanted = registered(host, *map(preshared, PEERS))
    host.call("apply")
    rotation.prepare(wanted)
    withheld = replace(wanted, peers=tuple(replace(each, preshared_key=None) for each in wanted.peers))
    assert "the pillar has no preshared keys for the next key of wg0" in rotation.switch(withheld, 5).failure
    assert_key_is_everywhere(host, wanted.public_key)


def test_an_aborted_rotation_leaves_only_the_old_key(host, view):
    rotation.prepare(view)
    assert rotation.abort("wg0") is True
    assert rotation.abort("wg0") is False
    assert_key_is_everywhere(host, view.public_key)
    assert kept(host) == ["wg0.key"]


def test_a_next_key_that_is_in_use_already_is_none(host, view):
    """A power cut while the old key came back leaves one key under both names."""
    (host.etc / "wg0.key.next").write_text((host.etc / "wg0.key").read_text())
    assert rotation.abort("wg0") is False
    assert_key_is_everywhere(host, view.public_key)
    assert kept(host) == ["wg0.key"]


def test_a_rotation_that_is_not_over_begins_no_other(host, view):
    rotation.prepare(view)
    rotation.switch(view, 5)
    with pytest.raises(NodeError, match="the last rotation of wg0 is not over"):
        rotation.prepare(view)


@pytest.mark.parametrize("missing", ["wg0.key", "wg0.conf", "the device"])
def test_an_interface_that_is_not_set_up_is_not_rotated(host, view, missing):
    if missing == "the device":
        host.run("ip", "link", "delete", "wg0")
    else:
        (host.etc / missing).unlink()
    with pytest.raises(NodeError, match=f"wg0 is not set up: .*{missing} is missing"):
        rotation.prepare(view)


def test_a_peers_addresses_move_to_its_next_key_as_soon_as_it_uses_that(host, view, tunnels):
    next_key = key("next of node2")
    host.run("wg", "set", "wg0", "peer", next_key)
    assert rotation.await_next_key("wg0", NODE2, next_key, 5) is False
    tunnels.connect(next_key)
    assert rotation.await_next_key("wg0", NODE2, next_key, 5) is True
    rotation.follow("wg0", NODE2, next_key)
    peers = host.device().peers
    assert peers[next_key].allowed_ips == {"10.42.0.2/32", "192.168.40.0/24"}
    assert (peers[next_key].keepalive, peers[NODE2].keepalive, peers[NODE2].allowed_ips) == (25, 0, frozenset())
