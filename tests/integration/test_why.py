"""Why one node cannot reach another: each cause is made in the lab, and found."""

import contextlib

import pytest

import life
import steps

pytestmark = pytest.mark.slow

NODES = ["node1", "node2", "node3"]
HUB = "node4"
# Names of the underlay's addresses, see lab/README.md.
ADDRESS = {f"node{number}": f"10.66.0.{10 + number}" for number in range(1, 5)}
PLAIN = steps.mesh({name: {} for name in NODES})
ONLY_NODE1_CONNECTS = steps.mesh({"node1": {"endpoint": False}, "node2": {}, "node3": {}})


@pytest.fixture(scope="module")
def fleet(lab):
    """Four minions, of which the first three are a mesh; without engine or reactor."""
    lab.up(4, mesh=PLAIN)
    assert steps.reconcile(lab)[0] == 0
    assert life.ask(lab, "wait", "until=reachable", "timeout=60")[0] == 0
    return lab


@contextlib.contextmanager
def changed(fleet, node, do, undo=None):
    """Something on one host; afterwards all is as before."""
    fleet.must("exec", node, "sh", "-c", do)
    try:
        yield
    finally:
        if undo:
            fleet.must("exec", node, "sh", "-c", undo)
        steps.reconcile(fleet, "everybody=True")


@contextlib.contextmanager
def mesh(fleet, text):
    """Another mesh file."""
    with steps.other_mesh(fleet, text):
        assert steps.reconcile(fleet, "force=True", "reason=test")[0] == 0
        yield
    assert steps.reconcile(fleet, "force=True", "reason=test")[0] == 0


def end_sessions(fleet):
    """
    Node1 and node2 begin anew. Do this last: a handshake that comes before a test's firewall rule tells a node where
    the other one is.
    """
    for node in ("node1", "node2"):
        fleet.must("exec", node, "ip", "link", "delete", "wg0")
    assert steps.reconcile(fleet, "everybody=True")[0] == 0


def nft(chain, *rules, family="inet"):
    """(do, undo) of a table with one chain."""
    text = "\n".join([f"table {family} test {{", "chain c {", f"{chain};", *rules, "}", "}"])
    return f"echo '{text}' | nft -f -", f"nft delete table {family} test"


INPUT = "type filter hook input priority 0; policy accept"


def why(fleet, one="node1", other="node2"):
    code, answer = life.ask(fleet, "why", one, other)
    assert code == (0 if answer["cause"] == "none" else 1)
    assert answer["because"]
    assert answer["remedy"]
    return answer


def test_all_is_well(fleet):
    answer = why(fleet)
    assert answer["cause"] == "none", answer
    assert any("10.42" in line and line.endswith(" answers") for line in answer["seen"])


def test_a_node_that_the_mesh_file_does_not_have(fleet):
    assert life.ask(fleet, "why", "node1", "other")[0] == 1


def test_no_link(fleet):
    with mesh(fleet, steps.mesh(NODES, links=[["node1", "node3"], ["node2", "node3"]])):
        assert why(fleet)["cause"] == "not linked"


def test_a_node_that_never_registered(fleet):
    with steps.other_mesh(fleet, steps.mesh([*NODES, HUB])):
        assert why(fleet, "node1", HUB)["cause"] == "not registered"


def test_a_device_that_is_gone(fleet):
    with changed(fleet, "node2", "ip link delete wg0"):
        answer = why(fleet)
    assert (answer["cause"], answer["because"]) == ("no interface", "node2: wg0 is not set up")


def test_a_peer_that_somebody_removed(fleet):
    with changed(fleet, "node2", f"wg set wg0 peer {steps.public_key(fleet, 'node1')} remove"):
        answer = why(fleet)
    assert answer["cause"] == "drift"
    assert "node2 lacks the peer node1" in answer["because"]


def test_a_key_that_somebody_changed(fleet):
    with changed(fleet, "node2", "wg genkey > /tmp/k; wg set wg0 private-key /tmp/k; rm /tmp/k"):
        answer = why(fleet)
    assert answer["cause"] == "keys differ"
    assert answer["because"].startswith("node1 has another public key of node2")


def test_allowed_ips_that_somebody_changed(fleet):
    with changed(fleet, "node1", f"wg set wg0 peer {steps.public_key(fleet, 'node2')} allowed-ips 10.9.9.9/32"):
        assert why(fleet)["cause"] == "allowed ips"


def test_no_endpoint_on_either_side(fleet):
    text = steps.mesh({"node1": {"endpoint": False}, "node2": {"endpoint": False}, "node3": {}})
    with mesh(fleet, text):
        end_sessions(fleet)
        assert why(fleet)["cause"] == "no endpoint"


def test_a_name_that_does_not_resolve(fleet):
    text = steps.mesh({"node1": {"endpoint": False}, "node2": {"endpoint": "nowhere.invalid"}, "node3": {}})
    with mesh(fleet, text):
        end_sessions(fleet)
        answer = why(fleet)
    assert answer["cause"] == "name does not resolve"
    assert "nowhere.invalid" in answer["because"]


def test_an_endpoint_that_is_not_where_the_packets_come_from(fleet):
    text = steps.mesh({"node1": {"endpoint": False}, "node2": {"endpoint": "10.66.0.250"}, "node3": {}})
    with mesh(fleet, text):
        end_sessions(fleet)
        fleet.must("exec", "node2", "ping", "-c1", "-W5", steps.nodes(fleet)["node3"]["addresses"][0])
        answer = why(fleet)
    assert answer["cause"] == "endpoint differs"
    assert "10.66.0.250:51820, but its packets come from 10.66.0.12:51820" in answer["because"]


def test_a_port_that_is_closed(fleet):
    do, undo = nft(
        "type filter hook input priority 0; policy drop", "udp dport != 51820 accept", "tcp dport > 0 accept"
    )
    with mesh(fleet, ONLY_NODE1_CONNECTS), changed(fleet, "node2", do, undo):
        end_sessions(fleet)
        answer = why(fleet)
    assert answer["cause"] == "blocked"
    assert "none reaches node2" in answer["because"]
    assert "the firewall of node2 drops by default in inet test c" in answer["because"]
    assert "open UDP port 51820 on node2" in answer["remedy"]


def test_answers_that_are_lost(fleet):
    with (
        mesh(fleet, ONLY_NODE1_CONNECTS),
        changed(fleet, "node1", *nft(INPUT, f"ip saddr {ADDRESS['node2']} udp sport 51820 drop")),
    ):
        end_sessions(fleet)
        answer = why(fleet)
    assert answer["cause"] == "one way only"
    assert "let UDP packets from node2 in at node1" in answer["remedy"]


def test_an_endpoint_without_a_route(fleet):
    address = ADDRESS["node2"]
    with (
        mesh(fleet, ONLY_NODE1_CONNECTS),
        changed(fleet, "node1", f"ip route add unreachable {address}/32", f"ip route del unreachable {address}/32"),
    ):
        end_sessions(fleet)
        assert why(fleet)["cause"] == "no route"


def test_a_route_that_leads_elsewhere(fleet):
    inner = steps.nodes(fleet)["node2"]["addresses"][0]
    with changed(fleet, "node1", f"ip route add {inner}/32 dev eth0", f"ip route del {inner}/32 dev eth0"):
        answer = why(fleet)
    assert answer["cause"] == "route"
    assert "to eth0, not wg0" in answer["because"]


def test_one_ip_version_that_is_filtered(fleet):
    with changed(fleet, "node2", *nft(INPUT, 'iifname "wg0" meta nfproto ipv6 drop')):
        answer = why(fleet)
    assert (answer["cause"], answer["because"]) == ("one ip version", "node1 reaches node2, but not by IPv6")


def test_packets_that_are_filtered(fleet):
    with changed(fleet, "node2", *nft(INPUT, 'iifname "wg0" drop')):
        answer = why(fleet)
    assert answer["cause"] == "filtered"
    assert "get no answer from node2" in answer["because"]


def test_packets_that_are_too_large(fleet):
    with changed(fleet, "node2", *nft(INPUT, "udp dport 51820 meta length > 1300 drop")):
        answer = why(fleet)
    assert answer["cause"] == "mtu"


def test_nodes_that_are_off(fleet):
    fleet.off("node1")
    answer = why(fleet, "node1", "node3")
    assert answer["cause"] != "none"
    assert "node1: no answer" in answer["seen"]
    fleet.off("node3")
    assert why(fleet, "node1", "node3")["cause"] == "no answer"
    for node in ("node1", "node3"):
        fleet.on(node)
        life.await_answer(fleet, node)
    assert steps.reconcile(fleet, "everybody=True")[0] == 0


# -- by a hub


@pytest.fixture(scope="module")
def hub(fleet):
    """node1 and node2 connect to node4 only, which passes packets on."""
    text = steps.mesh({"node1": {"endpoint": False}, "node2": {"endpoint": False}, HUB: {"hub": True}})
    with steps.other_mesh(fleet, text):
        steps.state_apply(fleet, HUB)
        assert steps.reconcile(fleet, "force=True", "reason=test")[0] == 0
        yield fleet
    assert steps.reconcile(fleet, "force=True", "reason=test")[0] == 0


def test_all_is_well_by_way_of_the_hub(hub):
    answer = why(hub)
    assert answer["cause"] == "none", answer


def test_a_hub_that_does_not_forward(hub):
    off = "sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0"
    with changed(hub, HUB, off):
        answer = why(hub)
    assert answer["cause"] == "hub does not forward"


def test_a_hub_that_filters(hub):
    with changed(hub, HUB, *nft("type filter hook forward priority 0; policy drop")):
        answer = why(hub)
    assert answer["cause"] == "filtered at the hub"
    assert "inet test c" in answer["remedy"]


def test_a_leg_that_is_broken(hub):
    with changed(hub, HUB, f"wg set wg0 peer {steps.public_key(hub, 'node2')} remove"):
        answer = why(hub)
    assert answer["cause"] == "drift"
    assert "the way leads through node4" in answer["because"]
