"""A mesh that was made by hand is taken over, on real devices, while packets flow between all of it."""

import itertools
from dataclasses import replace

import pytest

pytest.importorskip("salt")

from sessions import machines
from wgmachines import NETWORK, PORT
from wgmachines.nodes import why_not

pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))

CONFIG = "/etc/wireguard/wg0.conf"
SECONDS = 8
RATE = 100


def keys_of(node):
    private = node.run("wg", "genkey").strip()
    public = node.run("sh", "-c", f"echo {private} | wg pubkey").strip()
    return private, public


def write_and_bring_up(node, lines):
    text = "\n".join(lines) + "\n"
    node.run("sh", "-c", f"umask 077; cat > {CONFIG} <<'END'\n{text}END")
    node.run("wg-quick", "up", "wg0")
    return text


def by_hand(nodes):
    """A full mesh by wg-quick, with a preshared key for each pair and a hook on the first. Returns the texts."""
    pairs = {node.name: keys_of(node) for node in nodes.all}
    shared = {
        frozenset((one.name, other.name)): one.run("wg", "genpsk").strip()
        for one, other in itertools.combinations(nodes.all, 2)
    }
    texts = {}
    for node in nodes.all:
        lines = ["[Interface]", f"PrivateKey = {pairs[node.name][0]}", f"Address = {node.address}/24"]
        lines.append(f"ListenPort = {PORT}")
        if node is nodes.all[0]:
            lines.append("PostUp = touch /run/hooked")
        for peer in nodes.peers_of(node):
            lines += ["", f"# {peer.name}", "[Peer]", f"PublicKey = {pairs[peer.name][1]}"]
            lines += [f"PresharedKey = {shared[frozenset((node.name, peer.name))]}"]
            lines += [f"AllowedIPs = {peer.address}/32", f"Endpoint = {peer.endpoint}"]
        texts[node.name] = write_and_bring_up(node, lines)
    return texts


@pytest.fixture
def nodes():
    with machines(3, {"wireguard:confirm_seconds": 0}) as started:
        started.texts = by_hand(started)
        for one, other in itertools.combinations(started.all, 2):
            started.ping(one, other)
        yield started


def announce(nodes):
    """All register with the keys that they have."""
    for node in nodes.all:
        node.do("set_view", nodes.view(node).to_dict())
        nodes.take_in(node.call("adopt", announce=True, signed=True)["wireguard/register"])


def take(nodes, node):
    node.do("set_view", nodes.view(node).to_dict())
    part = node.call("adopt", signed=True)["networks"][NETWORK]
    assert part["result"], part
    return part


def peers(node):
    return {
        key: (peer["endpoint"], peer["preshared_key"]) for key, peer in node.call("show", "wg0")["wg0"]["peers"].items()
    }


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)])
def test_no_packet_is_lost_no_session_ends_and_no_key_changes(nodes, order):
    before = {node.name: (node.call("show", "wg0")["wg0"]["public_key"], peers(node)) for node in nodes.all}
    streams = [one.begin("echoes", other.address, SECONDS, RATE) for one, other in itertools.permutations(nodes.all, 2)]
    announce(nodes)
    for place in order:
        part = take(nodes, nodes.all[place])
        assert part["changed"] == [CONFIG], part
    for stream in streams:
        result = stream.result(SECONDS + 30)
        assert (result["sent"] - result["received"], result["sent"] > SECONDS * RATE * 0.5) == (0, True), result
    assert {node.name: (node.call("show", "wg0")["wg0"]["public_key"], peers(node)) for node in nodes.all} == before
    for node in nodes.all:
        assert node.call("apply_", NETWORK)[NETWORK]["changes"] == {}


def test_what_boots_then_is_the_new_file_with_the_hook_and_the_old_one_comes_back(nodes):
    announce(nodes)
    node, peer, _ = nodes.all
    take(nodes, node)
    node.run("rm", "-f", "/run/hooked")
    node.do("boot")
    node.run("test", "-e", "/run/hooked")
    nodes.ping(node, peer, 20)
    node.call("unadopt", "wg0")
    assert (
        node.run("cat", CONFIG) == nodes.texts[node.name].rstrip("\n")
        or node.run("cat", CONFIG) == nodes.texts[node.name]
    )
    nodes.ping(node, peer, 20)


def hub_and_spokes(nodes):
    """The usual files: a hub with a hook that lets it forward, and spokes with the whole subnet behind it."""
    hub, *spokes = nodes.all
    pairs = {node.name: keys_of(node) for node in nodes.all}

    def own(node):
        return [
            "[Interface]",
            f"PrivateKey = {pairs[node.name][0]}",
            f"Address = {node.address}/24",
            f"ListenPort = {PORT}",
        ]

    lines = [*own(hub), "PreUp = sysctl -w net.ipv4.ip_forward=1"]
    for spoke in spokes:
        lines += ["", "[Peer]", f"PublicKey = {pairs[spoke.name][1]}", f"AllowedIPs = {spoke.address}/32"]
        peer = ["", "[Peer]", f"PublicKey = {pairs[hub.name][1]}", "AllowedIPs = 10.42.0.0/24"]
        write_and_bring_up(spoke, [*own(spoke), *peer, f"Endpoint = {hub.endpoint}", "PersistentKeepalive = 25"])
    write_and_bring_up(hub, lines)


def view_with_hub(nodes, node):
    """What a mesh file with a hub leads to: its own address is in the AllowedIPs as well."""
    hub = nodes.all[0]
    view = nodes.view(node)
    if node is hub:
        peers = tuple(replace(peer, endpoint=None) for peer in view.peers)
        return replace(view, peers=peers, forwarding=True)
    (peer,) = (peer for peer in view.peers if peer.name == hub.name)
    allowed = ("10.42.0.0/24", *peer.allowed_ips)
    return replace(view, peers=(replace(peer, allowed_ips=allowed, keepalive=25),))


def test_between_spokes_no_packet_is_lost_while_they_and_their_hub_are_taken_over():
    with machines(3, {"wireguard:confirm_seconds": 0}) as nodes:
        hub_and_spokes(nodes)
        hub, one, other = nodes.all
        for spoke in (one, other):
            nodes.ping(spoke, hub)
        nodes.ping(one, other)
        streams = [
            first.begin("echoes", second.address, SECONDS, RATE) for first, second in ((one, other), (other, hub))
        ]
        for node in nodes.all:
            node.do("set_view", view_with_hub(nodes, node).to_dict())
            nodes.take_in(node.call("adopt", announce=True, signed=True)["wireguard/register"])
        for node in (one, hub, other):
            node.do("set_view", view_with_hub(nodes, node).to_dict())
            part = node.call("adopt", signed=True)["networks"][NETWORK]
            assert part["result"], part
        for stream in streams:
            result = stream.result(SECONDS + 30)
            assert (result["sent"] - result["received"], result["sent"] > SECONDS * RATE * 0.5) == (0, True), result
        assert "# Kept\nPreUp = sysctl" in hub.run("cat", CONFIG)
