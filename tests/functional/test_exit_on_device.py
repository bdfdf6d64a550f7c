"""Default routes through exit nodes, on machines with real WireGuard sessions and an Internet of one host."""

import json
import sys
import time
from dataclasses import replace

import pytest

pytest.importorskip("salt")


from sessions import machines
from wgmachines.nodes import INTERFACE, NETWORK, NodeError, why_not

pytestmark = [pytest.mark.slow, pytest.mark.skipif(why_not() is not None, reason=str(why_not()))]

# Beyond node4, which everybody has as default gateway. The master is no member of the mesh either.
INTERNET = {4: "198.51.100.1", 6: "2001:db8:99::1"}
MASTER, MASTER_PORT = "198.51.100.9", 4506

# Tells everybody under which address it sees them, once a line.
SERVER = """
import socketserver, sys
class Tell(socketserver.StreamRequestHandler):
    def handle(self):
        for _ in self.rfile:
            self.wfile.write((self.client_address[0].removeprefix("::ffff:") + "\\n").encode())
socketserver.ThreadingTCPServer.address_family = 10
socketserver.ThreadingTCPServer.daemon_threads = True
socketserver.ThreadingTCPServer(("::", int(sys.argv[1])), Tell).serve_forever()
"""

ASK = """
import socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=float(sys.argv[3])) as server:
    server.sendall(b"\\n")
    print(server.makefile().readline().strip())
"""

# Asks on one connection for as long as there is no file.
KEEP_ASKING = """
import os, socket, sys, time
asked = 0
with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=5) as server:
    lines = server.makefile()
    while not os.path.exists(sys.argv[3]):
        server.sendall(b"\\n")
        assert lines.readline(), "closed"
        asked += 1
        time.sleep(0.02)
print(asked)
"""


@pytest.fixture
def nodes():
    """node1 is to go through node2 or node3, and the Internet is behind node4."""
    with machines(4, {"wireguard:confirm_seconds": 3}) as started:
        *members, internet = started.all
        for node in started.all:
            node.run("ip", "address", "add", f"2001:db8::{node.number}/64", "dev", "eth0", "nodad")
        for address in (f"{INTERNET[4]}/32", f"{MASTER}/32", f"{INTERNET[6]}/128"):
            internet.run("ip", "address", "add", address, "dev", "lo")
        for node in members:
            node.run("ip", "route", "add", "default", "via", "192.0.2.4")
            node.run("ip", "-6", "route", "add", "default", "via", "2001:db8::4")
        for port in (80, MASTER_PORT):
            internet.begin("run", sys.executable, "-c", SERVER, str(port), seconds=600)
        started.sync(*members)
        for node in members:
            sync(node, view(started, node, forwarding=node is not members[0]))
        for node in members[1:]:
            masquerade(node)
        members[0].do("configure", {}, master_ip=MASTER, master_port=MASTER_PORT)
        until(lambda: seen(members[0], MASTER, MASTER_PORT) == "192.0.2.1")
        started.ping(members[0], members[1])
        started.ping(members[0], members[2])
        yield started


def masquerade(node):
    """What docs/guides/exits.md leaves to the administrator."""
    chain = "{ type nat hook postrouting priority srcnat; oifname != wg0 masquerade; }"
    node.run("nft", f"table inet nat {{ chain mesh {chain}; }}")


def view(nodes, node, via=None, **settings):
    """The dual-stack view of a node, with ``via`` as its exit."""
    plain = nodes.view(node)
    peers = []
    for peer in plain.peers:
        number = peer.name.removeprefix("node")
        allowed = {*peer.allowed_ips, f"fd42::{number}/128", *(("0.0.0.0/0", "::/0") if peer.name == via else ())}
        peers.append(replace(peer, allowed_ips=tuple(sorted(allowed))))
    addresses = (*plain.addresses, f"fd42::{node.number}/64")
    return replace(plain, addresses=addresses, peers=tuple(peers), via=via, **settings)


def sync(node, wanted):
    node.do("set_view", wanted.to_dict())
    return node.call("sync", signed=True)["networks"][NETWORK]


def go(nodes, via):
    node = nodes.all[0]
    result = sync(node, view(nodes, node, via))
    assert result["result"] is True, result
    return result


def seen(node, address, port=80, seconds=2):
    """The address under which a server sees the node, None where it does not answer."""
    try:
        return node.run(sys.executable, "-c", ASK, address, str(port), str(seconds)).strip()
    except NodeError:
        return None


def until(condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)


def policy(node):
    """All that is there of a default route through an exit."""
    rules = [node.run("ip", family, "rule") for family in ("-4", "-6")]
    tables = [node.run("ip", family, "route", "show", "table", "all", "dev", INTERFACE) for family in ("-4", "-6")]
    routes = [[line for line in table.splitlines() if line.startswith("default")] for table in tables]
    thrown = node.run("ip", "-4", "route", "show", "table", "all", "type", "throw")
    return rules, routes, thrown, node.run("wg", "show", INTERFACE, "fwmark")


def pending(node):
    found = node.call("diff")[NETWORK]
    return found["commands"], found["changes"]


def handshakes(node):
    peers = node.call("show", INTERFACE)[INTERFACE]["peers"]
    return {key: peer["latest_handshake"] for key, peer in peers.items()}


def test_a_node_leaves_through_its_exit_and_no_session_begins_anew(nodes):
    node = nodes.all[0]
    before = handshakes(node)
    go(nodes, "node2")
    assert {version: seen(node, address) for version, address in INTERNET.items()} == {4: "192.0.2.2", 6: "2001:db8::2"}
    assert handshakes(node) == before
    assert pending(node) == ([], {})


def test_other_sessions_lose_no_packet_while_exits_come_change_and_go(nodes):
    node, _, third, _ = nodes.all
    stream = node.begin("echoes", third.address, 4)
    for via in ("node2", "node3", None):
        go(nodes, via)
    told = stream.result(30)
    assert told["received"] == told["sent"]


def test_another_exit_takes_over_and_nothing_else_changes(nodes):
    node = nodes.all[0]
    go(nodes, "node2")
    before = policy(node)
    result = go(nodes, "node3")
    config = f"/etc/wireguard/{INTERFACE}.conf"
    assert result["changed"] == [config, "IPv4 default route", "IPv6 default route", "peer node2", "peer node3"]
    assert {version: seen(node, address) for version, address in INTERNET.items()} == {4: "192.0.2.3", 6: "2001:db8::3"}
    assert policy(node) == before


def test_a_default_route_moves_to_the_other_exit_without_a_pillar(nodes):
    """As when an exit is drained, or fails."""
    node = nodes.all[0]
    go(nodes, "node2")
    assert seen(node, INTERNET[4]) == "192.0.2.2"
    moves = dict.fromkeys(("0.0.0.0/0", "::/0"), nodes.keys["node3"])
    said = node.call("move", {NETWORK: moves}, signed=True)
    assert said["networks"][NETWORK]["result"] is True, said
    assert {version: seen(node, address) for version, address in INTERNET.items()} == {4: "192.0.2.3", 6: "2001:db8::3"}
    (report,) = said["wireguard/report"]
    assert json.loads(report["statement"])["digest"] == view(nodes, node, "node3").digest
    node.do("set_view", view(nodes, node, "node3").to_dict())
    assert pending(node) == ([], {})


def test_without_an_exit_everything_is_as_it_was_before(nodes):
    node = nodes.all[0]
    before = policy(node)
    go(nodes, "node2")
    assert policy(node) != before
    go(nodes, None)
    assert policy(node) == before
    assert seen(node, INTERNET[4]) == "192.0.2.1"
    assert pending(node) == ([], {})


def test_the_connection_to_the_master_stays_outside_and_alive(nodes):
    node = nodes.all[0]
    over = "/run/wireguard/over"
    asking = node.begin("run", sys.executable, "-c", KEEP_ASKING, MASTER, str(MASTER_PORT), over, seconds=60)
    for via in ("node2", "node3", None, "node2"):
        go(nodes, via)
    node.run("touch", over)
    assert int(asking.result(30)) > 0
    assert seen(node, MASTER, MASTER_PORT) == "192.0.2.1"
    assert seen(node, INTERNET[4]) == "192.0.2.2"


def test_packets_wait_for_an_exit_that_does_not_answer_and_take_no_other_way(nodes):
    node, second, _, _ = nodes.all
    go(nodes, "node2")
    second.run("ip", "link", "set", "eth0", "down")
    assert [seen(node, address, seconds=1) for address in INTERNET.values()] == [None, None]
    assert seen(node, MASTER, MASTER_PORT) == "192.0.2.1"


def test_an_exit_that_is_gone_leaves_no_other_way_either(nodes):
    node = nodes.all[0]
    go(nodes, "node2")
    wanted = view(nodes, node, "node2")
    assert sync(node, replace(wanted, peers=wanted.peers[1:]))["result"] is True
    assert [seen(node, address, seconds=1) for address in INTERNET.values()] == [None, None]


def test_an_exit_that_does_not_answer_is_not_taken(nodes):
    node, second, _, _ = nodes.all
    before = policy(node)
    second.run("ip", "link", "set", "eth0", "down")
    result = sync(node, view(nodes, node, "node2"))
    assert result["result"] is False
    assert "the exit node node2 did not answer" in result["comment"]
    assert policy(node) == before
    assert seen(node, INTERNET[4]) == "192.0.2.1"


def test_a_node_boots_from_its_file_with_its_exit_and_finds_nothing_to_change(nodes):
    node = nodes.all[0]
    go(nodes, "node2")
    before = policy(node)
    node.run("wg-quick", "down", INTERFACE)
    node.run("wg-quick", "up", INTERFACE)
    assert policy(node) == before
    assert pending(node) == ([], {})
    until(lambda: seen(node, INTERNET[4]) == "192.0.2.2")
    assert seen(node, MASTER, MASTER_PORT) == "192.0.2.1"


def test_wg_quick_takes_away_all_that_it_made(nodes):
    node = nodes.all[0]
    rules = policy(node)[0]
    go(nodes, "node2")
    node.run("wg-quick", "down", INTERFACE)
    assert [node.run("ip", family, "rule") for family in ("-4", "-6")] == rules
    assert node.run("ip", "-4", "route", "show", "table", "all", "type", "throw") == ""


def test_rules_that_outlived_their_device_are_no_obstacle(nodes):
    """`ip rule add` has no `replace`: a boot, or an apply, after a device that somebody deleted."""
    node = nodes.all[0]
    go(nodes, "node2")
    before = policy(node)
    node.do("boot")
    assert policy(node) == before
    node.run("ip", "link", "delete", "dev", INTERFACE)
    go(nodes, "node2")
    assert policy(node) == before


def test_what_somebody_took_away_is_put_back(nodes):
    node = nodes.all[0]
    go(nodes, "node2")
    before = policy(node)
    node.run("ip", "-4", "rule", "del", "pref", "31820")
    node.run("ip", "-6", "route", "flush", "table", str(int(node.run("wg", "show", INTERFACE, "fwmark"), 0)))
    node.run("wg", "set", INTERFACE, "fwmark", "0")
    assert {"IPv4 default route", "IPv6 default route"} <= set(pending(node)[1])
    go(nodes, "node2")
    assert policy(node) == before


def test_an_interface_that_is_removed_leaves_nothing_behind(nodes):
    node = nodes.all[0]
    rules = policy(node)[0]
    go(nodes, "node2")
    node.call("remove", INTERFACE)
    assert [node.run("ip", family, "rule") for family in ("-4", "-6")] == rules
    assert seen(node, INTERNET[4]) == "192.0.2.1"


def test_another_port_moves_marks_and_tables_and_the_tunnel_never_swallows_itself(nodes):
    node = nodes.all[0]
    go(nodes, "node2")
    assert sync(node, view(nodes, node, "node2", port=51999))["result"] is True
    until(lambda: seen(node, INTERNET[4]) == "192.0.2.2")
    assert "51820" not in hex(int(node.run("wg", "show", INTERFACE, "fwmark"), 0))
    assert pending(node) == ([], {})


def test_a_strict_check_of_where_packets_come_from_is_made_loose(nodes):
    """It would drop the answers of the tunnel's peers: the way back to them is the tunnel, for packets without mark."""
    node = nodes.all[0]
    node.run("sh", "-c", "for f in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 1 > $f; done")
    result = go(nodes, "node2")
    assert "reverse path filter" in result["changed"]
    assert seen(node, INTERNET[4]) == "192.0.2.2"
    assert pending(node) == ([], {})


def test_another_interface_beside_stays_outside(nodes):
    """Of two networks, only one has the exit: the packets of the other's interface are told by their port."""
    node = nodes.all[0]
    wanted = replace(view(nodes, node, "node2"), other_ports=(51830,))
    assert sync(node, wanted)["result"] is True
    for option, source in (("51830", "192.0.2.1"), ("51831", "10.42.0.1")):
        told = node.run("ip", "route", "get", INTERNET[4], "ipproto", "udp", "sport", option)
        assert f"src {source}" in told
    assert pending(node) == ([], {})
    go(nodes, "node2")
    assert "51830" not in "".join(policy(node)[0])


def test_the_machine_of_the_master_gets_no_exit_unless_it_is_forced(nodes):
    node = nodes.all[0]
    node.do("configure", {}, master_ip="192.0.2.1")
    result = sync(node, view(nodes, node, "node2"))
    assert result["result"] is False
    assert "refused, and nothing was changed: it would route the answers of the Salt master" in result["comment"]
    assert seen(node, INTERNET[4]) == "192.0.2.1"
    assert (
        node.call("sync", signed=True, force=True, reason="all come by the mesh")["networks"][NETWORK]["result"] is True
    )
