"""
Preshared keys on machines with real WireGuard devices: on, off, another secret, and rotations of keys meanwhile.

A live session goes on whatever happens to its preshared key. So whether both ends agree shows only when a new session
begins: a machine that boots has none.
"""

import re
import threading

import pytest

pytest.importorskip("salt")

from saltext.wireguard.model import preshared
from sessions import machines_in_session
from wgmachines.nodes import NETWORK, NodeError, why_not

pytestmark = [pytest.mark.slow, pytest.mark.skipif(why_not() is not None, reason=str(why_not()))]

SECRET, OTHER = "one secret that is long enough for this", "another secret, also long enough for it"


@pytest.fixture
def nodes():
    """Three machines with sessions between all of them, and no preshared keys yet."""
    with machines_in_session(3) as started:
        yield started


def turn(nodes, secret):
    """Have preshared keys from this secret from now on, or none."""
    nodes.secret = secret
    nodes.sync(*nodes.all)


def on_devices(nodes):
    """(node, public key of its peer) -> preshared key, None where there is none, as the devices have them."""
    lines = {node: node.run("wg", "show", "wg0", "preshared-keys").splitlines() for node in nodes.all}
    pairs = [(node, *line.split("\t")) for node, each in lines.items() for line in each]
    return {(node.name, public_key): None if key == "(none)" else key for node, public_key, key in pairs}


def derived(nodes):
    """The same as it must be by the secret."""
    secret = preshared.secret(nodes.secret)
    return {
        (node.name, nodes.keys[peer.name]): secret.key(nodes.keys[node.name], nodes.keys[peer.name])
        for node in nodes.all
        for peer in nodes.peers_of(node)
    }


def assert_new_sessions_begin(nodes):
    """All that is not in files is gone, and the files alone bring everything back."""
    for node in nodes.all:
        node.do("boot")
    for node in nodes.all:
        for peer in nodes.peers_of(node):
            nodes.ping(node, peer, 20)


def stream_during(nodes, work, seconds=6):
    """Do something while packets flow between two nodes, 1,000 a second. Returns how many were lost."""
    one, other, _ = nodes.all
    stream = one.begin("echoes", other.address, seconds)
    worker = threading.Timer(1, work)
    worker.start()
    answer = stream.result(seconds + 30)
    worker.join()
    return answer["sent"] - answer["received"]


STEPS = {"on": (None, SECRET), "off": (SECRET, None), "another secret": (SECRET, OTHER)}


@pytest.mark.parametrize(("before", "after"), STEPS.values(), ids=STEPS)
def test_a_live_session_loses_no_packet(nodes, before, after):
    turn(nodes, before)
    assert stream_during(nodes, lambda: turn(nodes, after)) == 0
    if after:
        assert on_devices(nodes) == derived(nodes)
    else:
        assert set(on_devices(nodes).values()) == {None}
    assert_new_sessions_begin(nodes)


def test_changes_say_only_what_happened_to_the_keys(nodes):
    node = nodes.all[0]
    for secret, words in ((SECRET, (None, "set")), (OTHER, ("set", "changed")), (None, ("set", "removed"))):
        nodes.secret = secret
        node.do("set_view", nodes.view(node).to_dict())
        would = node.call("diff")[NETWORK]
        facts = {"old": {"preshared_key": words[0]}, "new": {"preshared_key": words[1]}}
        assert would["changes"] == {"peer node2": facts, "peer node3": facts}
        assert not [key for key in on_devices(nodes).values() if key and key in repr(would)]
        nodes.sync(*nodes.all)


def test_a_second_sync_finds_nothing_to_do(nodes):
    turn(nodes, SECRET)
    for node in nodes.all:
        assert node.call("diff")[NETWORK] == {"commands": [], "changes": {}}
        assert node.call("sync", signed=True)["networks"][NETWORK]["changed"] == []


def test_a_key_that_somebody_removed_by_hand_is_set_again(nodes):
    turn(nodes, SECRET)
    node, peer, _ = nodes.all
    node.run("wg", "set", "wg0", "peer", nodes.keys[peer.name], "preshared-key", "/dev/null")
    (change,) = node.call("drift")["networks"][NETWORK]["changes"]
    assert (change["kind"], change["name"]) == ("peer", "node2")
    nodes.sync(node)
    assert on_devices(nodes) == derived(nodes)


def test_two_that_disagree_meet_again_when_both_have_synced(nodes):
    """A node was off while the secret changed: it comes back with its next sync."""
    turn(nodes, SECRET)
    absent, *others = nodes.all
    nodes.secret = OTHER
    nodes.sync(*others)
    absent.do("boot")
    with pytest.raises(NodeError, match="does not reach"):
        nodes.ping(absent, others[0], 3)
    nodes.sync(absent)
    for other in others:
        nodes.ping(absent, other, 20)


def test_a_node_that_leaves_is_dropped_without_a_pillar_and_the_digest_is_right(nodes):
    turn(nodes, SECRET)
    node, _, gone = nodes.all
    said = node.call("delta", {NETWORK: [nodes.keys[gone.name]]}, signed=True)
    assert said["networks"][NETWORK]["result"]
    del nodes.keys[gone.name]
    assert f'"digest":"{nodes.view(node).digest}"' in re.sub(r'": ', '":', said["wireguard/report"][0]["statement"])


# --- rotations of keys, with preshared keys --------------------------------------------------------------------------


def test_a_rotation_brings_new_preshared_keys_to_both_ends(nodes):
    turn(nodes, SECRET)
    before = set(on_devices(nodes).values())
    result = nodes.rotate(nodes.all[0])
    assert result["switched"]
    assert (result["peers_back"], result["peers_missing"]) == (["node2", "node3"], [])
    assert on_devices(nodes) == derived(nodes)
    assert len(before & set(on_devices(nodes).values())) == 1  # that of the two that did not rotate
    assert_new_sessions_begin(nodes)


@pytest.mark.parametrize("behind", ["the node itself", "its peers"])
def test_when_only_one_end_has_heard_of_the_new_key_new_sessions_begin_all_the_same(nodes, behind):
    turn(nodes, SECRET)
    node, *peers = nodes.all
    nodes.announce(node)
    nodes.sync(*peers)
    following = nodes.follow(node, *peers)
    switched = node.call("rotate_switch", NETWORK)
    assert switched["switched"]
    assert all(each.result(30)["moved"] for each in following)
    nodes.take_in(switched["wireguard/register"])
    nodes.sync(*(peers if behind == "the node itself" else [node]))
    node.do("boot")
    for peer in peers:
        nodes.ping(node, peer, 20)


def test_a_node_whose_peers_do_not_know_the_next_key_goes_back_to_the_old_preshared_keys(nodes):
    turn(nodes, SECRET)
    node = nodes.all[0]
    nodes.announce(node)
    result = node.call("rotate_switch", NETWORK, wait=2)
    assert "no peer came back" in result["comment"]
    assert on_devices(nodes) == derived(nodes)
    assert_new_sessions_begin(nodes)


def test_without_the_preshared_keys_of_its_next_key_a_node_does_not_switch(nodes):
    turn(nodes, SECRET)
    node = nodes.all[0]
    nodes.announce(node)
    nodes.next_keys.clear()
    node.do("set_view", nodes.view(node).to_dict())
    result = node.call("rotate_switch", NETWORK)
    assert "has no preshared keys for the next key of wg0" in result["comment"]
    assert not result["switched"]


LOST_FROM = {
    "between the key file and the configuration file": "_write_key_into_config",
    "between the files and the device": "_use_key_file",
    "before it is known who came back": "_await_peers",
}


@pytest.mark.parametrize("step", LOST_FROM.values(), ids=LOST_FROM)
def test_a_power_cut_leaves_private_and_preshared_keys_that_belong_together(nodes, step):
    """New sessions begin from the files alone, before anybody has synced."""
    turn(nodes, SECRET)
    node, *peers = nodes.all
    nodes.announce(node)
    nodes.sync(*peers)
    node.do("lose_power_before", step)
    with pytest.raises(NodeError, match="power cut"):
        node.call("rotate_switch", NETWORK)
    node.do("boot")
    for peer in peers:
        node.do("echoes", peer.address, 0.5, 20)
    assert all(each["latest_handshake"] for each in node.call("show", "wg0")["wg0"]["peers"].values())
    nodes.sync(*nodes.all)
    nodes.sync(*nodes.all)
    if not nodes.next_keys:
        assert on_devices(nodes) == derived(nodes)
    assert_new_sessions_begin(nodes)
