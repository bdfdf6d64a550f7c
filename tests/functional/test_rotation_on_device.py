"""Key rotation on machines with real WireGuard devices: what goes through, and what each failure leaves behind."""

import pytest

pytest.importorskip("salt")

from sessions import machines_in_session
from wgmachines.nodes import NETWORK, NodeError, why_not
from wgmachines.packets import measure

pytestmark = [pytest.mark.slow, pytest.mark.skipif(why_not() is not None, reason=str(why_not()))]


@pytest.fixture
def nodes():
    """Three machines with sessions between all of them."""
    with machines_in_session(3) as started:
        yield started


def device(node):
    return node.call("show", "wg0")["wg0"]


def peer_with_addresses(node, of):
    """The key that this node sends to for the addresses of the other."""
    peers = device(node)["peers"]
    (key,) = [key for key, peer in peers.items() if f"{of.address}/32" in peer["allowed_ips"]]
    return key


def assert_in_agreement(nodes):
    """Every node has its registered key in all files and on the device; its peers know only that; packets flow."""
    for node in nodes.all:
        key = nodes.keys[node.name]
        assert device(node)["public_key"] == node.call("public_key", "wg0") == node.do("key_of_config") == key
        assert node.do("files") == ["wg0.conf", "wg0.key"]
        assert set(device(node)["peers"]) == {nodes.keys[peer.name] for peer in nodes.peers_of(node)}
    for node in nodes.all:
        for peer in nodes.peers_of(node):
            nodes.ping(node, peer, 20)


def test_a_rotation_leaves_the_new_key_everywhere_and_nothing_else(nodes):
    node = nodes.all[0]
    old = nodes.keys["node1"]
    result = nodes.rotate(node)
    assert result["switched"]
    assert (result["peers_back"], result["peers_missing"]) == (["node2", "node3"], [])
    assert [each["moved"] for each in result["followed"]] == [True, True]
    assert nodes.keys["node1"] != old
    assert nodes.next_keys == {}
    assert_in_agreement(nodes)


def test_between_others_no_packet_is_lost_during_a_rotation(nodes):
    measured = measure(nodes, nodes.rotate, 6)
    assert measured["result"]["switched"]
    assert measured["lost_by_others"] == 0


def test_no_function_returns_a_private_key(nodes):
    node, *peers = nodes.all
    secrets = {node.run("cat", "/etc/wireguard/wg0.key").strip()}
    said = [node.call("rotate_prepare", NETWORK)]
    secrets.add(node.run("cat", "/etc/wireguard/wg0.key.next").strip())
    nodes.announce(node)
    nodes.sync(*peers)
    following = nodes.follow(node, *peers)
    said += [node.call("rotate_switch", NETWORK), *(each.result(30) for each in following), node.call("diff")]
    assert len(secrets) == 2
    assert not [secret for secret in secrets if secret in repr(said)]


def test_the_next_key_is_0600_and_the_same_when_asked_again(nodes):
    node = nodes.all[0]
    assert nodes.announce(node) == nodes.announce(node)
    assert node.run("stat", "-c", "%a", "/etc/wireguard/wg0.key.next").strip() == "600"


def test_an_announcement_disturbs_nothing(nodes):
    node, *peers = nodes.all
    nodes.announce(node)
    nodes.sync(*nodes.all)
    assert peer_with_addresses(peers[0], node) == nodes.keys["node1"]
    for peer in peers:
        nodes.ping(node, peer, 2)
        assert peer.call("diff")[NETWORK]["commands"] == []


def test_an_aborted_rotation_leaves_the_old_key_everywhere_and_nothing_else(nodes):
    node, *peers = nodes.all
    nodes.announce(node)
    nodes.sync(*peers)
    assert node.call("rotate_abort", NETWORK)["aborted"]
    del nodes.next_keys["node1"]
    nodes.sync(*nodes.all)
    assert_in_agreement(nodes)


def test_without_an_announcement_there_is_no_switch(nodes):
    result = nodes.all[0].call("rotate_switch", NETWORK)
    assert not result["switched"]
    assert "rotate_prepare" in result["comment"]
    assert_in_agreement(nodes)


def test_a_peer_stops_following_when_no_switch_comes(nodes):
    node, peer, _ = nodes.all
    nodes.announce(node)
    nodes.sync(peer)
    (following,) = nodes.follow(node, peer, seconds=0.5)
    assert not following.result(10)["moved"]
    assert peer_with_addresses(peer, node) == nodes.keys["node1"]


def test_a_peer_does_not_follow_a_key_that_it_does_not_know(nodes):
    node, peer, _ = nodes.all
    next_key = nodes.announce(node)
    assert not peer.call("rotate_follow", NETWORK, nodes.keys["node1"], next_key)["moved"]
    assert peer.events.empty()


def test_a_node_whose_peers_do_not_know_the_next_key_goes_back(nodes):
    node = nodes.all[0]
    old = nodes.keys["node1"]
    next_key = nodes.announce(node)
    result = node.call("rotate_switch", NETWORK, wait=2)
    assert not result["switched"]
    assert "no peer came back" in result["comment"]
    assert device(node)["public_key"] == node.call("public_key", "wg0") == node.do("key_of_config") == old
    assert node.do("files") == ["wg0.conf", "wg0.key", "wg0.key.next"]
    for peer in nodes.peers_of(node):
        nodes.ping(node, peer, 20)
    assert nodes.announce(node) == next_key
    assert nodes.rotate(node)["switched"]
    assert_in_agreement(nodes)


def test_a_peer_that_moved_comes_back_with_a_node_that_went_back(nodes):
    """By hand, as after a copy of /etc/wireguard was put back: the module itself goes back only when nobody came."""
    node, *peers = nodes.all
    nodes.announce(node)
    nodes.sync(*peers)
    following = nodes.follow(node, *peers)
    node.run("cp", "/etc/wireguard/wg0.key", "/etc/wireguard/kept")
    node.call("rotate_switch", NETWORK)
    assert [each.result(30)["moved"] for each in following] == [True, True]
    node.run("sleep", "1.1")
    node.run("mv", "/etc/wireguard/kept", "/etc/wireguard/wg0.key")
    node.call("sync")
    node.do("echoes", peers[0].address, 1, 20)
    nodes.sync(*peers)
    assert peer_with_addresses(peers[0], node) == nodes.keys["node1"]
    nodes.ping(node, peers[0], 20)


def test_a_peer_that_was_off_all_the_time_catches_up(nodes):
    node, follower, absent = nodes.all
    absent.run("ip", "link", "set", "eth0", "down")
    nodes.announce(node)
    nodes.sync(follower)
    following = nodes.follow(node, follower)
    result = node.call("rotate_switch", NETWORK, wait=2)
    assert result["switched"]
    assert (result["peers_back"], result["peers_missing"]) == (["node2"], ["node3"])
    assert following[0].result(30)["moved"]
    nodes.take_in(result["wireguard/register"])
    nodes.sync(node, follower)
    absent.run("ip", "link", "set", "eth0", "up")
    nodes.sync(absent)
    assert_in_agreement(nodes)


def test_a_peer_that_did_not_follow_is_put_right_by_its_next_sync(nodes):
    node, *peers = nodes.all
    next_key = nodes.announce(node)
    nodes.sync(*peers)
    assert node.call("rotate_switch", NETWORK)["switched"]
    nodes.sync(*peers)
    assert [peer_with_addresses(peer, node) for peer in peers] == [next_key, next_key]
    nodes.ping(node, peers[0], 5)


def test_a_sync_of_a_node_that_switched_registers_its_new_key(nodes):
    """The answer of the switch was lost on its way to the master."""
    node, *peers = nodes.all
    next_key = nodes.announce(node)
    nodes.sync(*peers)
    following = nodes.follow(node, *peers)
    node.call("rotate_switch", NETWORK)
    assert all(each.result(30)["moved"] for each in following)
    nodes.sync(node)
    nodes.sync(*nodes.all)
    assert nodes.keys["node1"] == next_key
    assert_in_agreement(nodes)


def test_a_switch_asked_for_twice_is_the_same_switch(nodes):
    node, *peers = nodes.all
    nodes.announce(node)
    nodes.sync(*peers)
    node.call("rotate_switch", NETWORK)
    again = node.call("rotate_switch", NETWORK)
    assert again["switched"]
    nodes.take_in(again["wireguard/register"])
    nodes.sync(*nodes.all)
    assert_in_agreement(nodes)


# What is lost is everything from this step of the switch on.
STEPS = {
    "before anything": "_adopt_next_key",
    "between the key file and the configuration file": "_write_key_into_config",
    "between the files and the device": "_use_key_file",
    "before it is known who came back": "_await_peers",
}


@pytest.mark.parametrize("rebooted", [False, True], ids=["the process died", "the machine died"])
@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
def test_after_a_power_cut_everything_is_put_right_by_syncs(nodes, step, rebooted):
    node, *peers = nodes.all
    next_key = nodes.announce(node)
    nodes.sync(*peers)
    known = {nodes.keys["node1"], next_key}
    node.do("lose_power_before", step)
    with pytest.raises(NodeError, match="power cut"):
        node.call("rotate_switch", NETWORK)
    assert node.call("public_key", "wg0") in known
    assert node.do("key_of_config") in known
    if rebooted:
        node.do("boot")
        assert device(node)["public_key"] in known
    nodes.sync(*nodes.all)
    if nodes.next_keys:  # it had not begun: the rotation may be tried again
        assert nodes.rotate(node)["switched"]
    nodes.sync(*nodes.all)
    assert_in_agreement(nodes)


def test_a_power_cut_on_the_way_back_is_put_right_by_syncs(nodes):
    node = nodes.all[0]
    next_key = nodes.announce(node)
    node.run("sh", "-c", "cp -p /etc/wireguard/wg0.key /etc/wireguard/saved")
    node.do("lose_power_before", "_restore_previous_key")
    with pytest.raises(NodeError, match="power cut"):
        node.call("rotate_switch", NETWORK, wait=0.5)
    # The first step of going back was done: the new key is under both names.
    node.run("sh", "-c", "cd /etc/wireguard && cp -p wg0.key wg0.key.next && rm saved")
    nodes.sync(*nodes.all)
    nodes.sync(*nodes.all)
    assert nodes.keys["node1"] == next_key
    assert nodes.announce(node) != next_key
    assert node.call("rotate_abort", NETWORK)["aborted"]
    nodes.next_keys.clear()
    assert_in_agreement(nodes)
