"""What a fleet tells unasked, by the pillars of the examples; what a network lets through; what is in a bug report."""

import tarfile

import pytest
from prometheus_client.parser import text_string_to_metric_families

import life
import steps

pytestmark = pytest.mark.slow

NODES = ["node1", "node2", "node3"]
EXAMPLES = steps.HERE.parents[1] / "examples"
METRICS = "/run/wireguard.prom"


@pytest.fixture(scope="module")
def fleet(lab):
    """Three nodes, of which the last is behind NAT, with the engine; what is slow in the examples is faster here."""
    lab.up(0, mesh=steps.mesh(NODES, preshared_keys=True), trigger="engine")
    configure(lab)
    lab.must("site", "office")
    lab.add("node1", "node2", "node3@office")
    steps.build(lab, len(NODES))
    lab.recorder = steps.Recorder(lab)
    lab.must("salt", "*", "saltutil.refresh_pillar", "wait=True")
    assert lab.ping(60)
    return lab


def configure(lab):
    pillar = lab.dir / "pillar"
    pillar.mkdir()
    (pillar / "top.sls").write_text("base: {'*': [metrics, beacon]}\n")
    metrics = (EXAMPLES / "monitoring/wireguard-metrics.sls").read_text()
    metrics = metrics.replace("/var/lib/prometheus/node-exporter/wireguard.prom", METRICS)
    (pillar / "metrics.sls").write_text(metrics.replace("seconds: 60", "seconds: 2").replace("splay: 10", "splay: 1"))
    beacon = (EXAMPLES / "monitoring/wireguard-beacon.sls").read_text()
    (pillar / "beacon.sls").write_text(beacon.replace("interval: 10", "interval: 2"))
    of_master = (EXAMPLES / "master.d/wireguard-metrics.conf").read_text().replace("seconds: 60", "seconds: 2")
    of_master = of_master.replace("/var/lib/prometheus/node-exporter/wireguard-master.prom", METRICS)
    (lab.dir / "hosts/master/etc/salt/master.d/monitoring.conf").write_text(
        f"{of_master}pillar_roots: {{base: ['{pillar}']}}\n"
    )
    lab.off("master")
    lab.on("master")


def samples(lab, host):
    """(name, the label that tells series apart) -> value, of the file that the host wrote last."""
    done = lab.exec(host, "cat", METRICS)
    return {
        (each.name, each.labels.get("friendly_name") or each.labels.get("state")): each.value
        for family in text_string_to_metric_families(done.stdout)
        for each in family.samples
    }


def test_nodes_write_metrics_by_the_schedule_of_a_pillar(fleet):
    steps.wait_until(
        "node1 has sessions with both", lambda: samples(fleet, "node1").get(("wireguard_mesh_peers", "up")) == 2
    )
    found = samples(fleet, "node1")
    assert {name: found["wireguard_peer_up", name] for name in ("node2", "node3")} == {"node2": 1, "node3": 1}
    assert found["wireguard_received_bytes_total", "node2"] > 0


def test_so_does_the_master_by_its_own(fleet):
    steps.wait_until("it does", lambda: samples(fleet, "master").get(("wireguard_mesh_nodes", "in_sync")) == 3)
    found = samples(fleet, "master")
    assert found["wireguard_mesh_reconcile_seconds_count", None] > 0
    assert found["wireguard_mesh_pillar_seconds_count", None] >= 3


def test_a_device_that_somebody_removed_is_told_by_the_beacon_and_the_engine_has_it_made_again(fleet):
    fleet.must("exec", "node2", "ip", "link", "delete", "wg0")
    tag = "salt/beacon/node2/wireguard/interface_gone"
    steps.wait_until("the beacon tells", lambda: fleet.recorder.events(tag))
    assert fleet.recorder.events(tag)[0].items() >= {"id": "node2", "network": "backbone", "interface": "wg0"}.items()
    steps.wait_until("it is there again", lambda: steps.has_device(fleet, "node2"))
    steps.wait_until("that is told", lambda: fleet.recorder.events("salt/beacon/node2/wireguard/interface_back"))


def test_a_beacon_that_has_nothing_to_tell_tells_nothing(fleet):
    """Node 1 has seen its peers go and come, but no look at its own interface was worth an event."""
    told = {tag for tag, _ in fleet.recorder.all() if tag.startswith("salt/beacon/node1/wireguard/")}
    assert not [tag for tag in told if not tag.endswith(("peer_down", "peer_up", "endpoint_moved"))]


def test_netcheck_says_where_peers_see_a_node_and_what_nat_does_with_it(fleet):
    assert fleet.ping(60)
    code, answer = life.ask(fleet, "netcheck", "node3")
    assert (code, answer["udp"]) == (0, "open"), answer
    ipv4 = answer["versions"][0]
    assert ipv4["own"] == ["192.168.1.11"]
    assert ipv4["nat"] == "another port for each peer"  # as a router of the lab does it
    outside = fleet.sites()["office"]
    assert {place.rpartition(":")[0] for place in ipv4["outside"]} == {outside}
    assert sorted(row["peer"] for row in answer["seen"]) == ["node1", "node2"]
    assert "docs/guides/hubs.md" in answer["remedies"][0]


def test_netcheck_of_a_node_without_nat(fleet):
    code, answer = life.ask(fleet, "netcheck", "node1")
    assert (code, answer["udp"]) == (0, "open"), answer
    assert "none" in [row["nat"] for row in answer["versions"]]
    assert "another port for each peer" not in [row["nat"] for row in answer["versions"]]


def test_netcheck_says_how_large_packets_may_be(fleet):
    rules = "table inet narrow { chain c { type filter hook output priority 0; udp length > 1300 drop; }; }"
    fleet.must("exec", "node1", "nft", rules)
    code, answer = life.ask(fleet, "netcheck", "node1")
    fleet.must("exec", "node1", "nft", "delete", "table", "inet", "narrow")
    assert (code, answer["udp"]) == (1, "open"), answer
    assert sorted(row["peer"] for row in answer["narrow"]) == ["node2", "node3"]
    assert all(1200 < row["size"] < 1300 for row in answer["narrow"])
    assert "write `mtu: " in answer["remedies"][-1]


def test_netcheck_says_that_udp_is_blocked(fleet):
    """Node 1 and 2 reach each other, so it is not they."""
    rules = "table inet block { chain c { type filter hook output priority 0; meta l4proto udp drop; }; }"
    fleet.must("exec", "node3", "nft", rules)
    fleet.must("exec", "node3", "ip", "link", "delete", "wg0")  # and with it, its sessions
    steps.wait_until("it is there again", lambda: steps.has_device(fleet, "node3"))
    for node in ("node1", "node2"):
        fleet.must("exec", node, "ip", "link", "delete", "wg0")
    assert steps.reconcile(fleet, "everybody=True", "force=True", "reason=test")[1]
    assert fleet.exec("node1", "ping", "-c1", "-W9", steps.nodes(fleet)["node2"]["addresses"][0]).returncode == 0
    code, answer = life.ask(fleet, "netcheck", "node3")
    fleet.must("exec", "node3", "nft", "delete", "table", "inet", "block")
    assert (code, answer["udp"]) == (1, "blocked"), answer
    assert "docs/guides/firewalls.md" in answer["remedies"][0]


@pytest.mark.parametrize("anonymous", [False, True])
def test_no_key_of_the_fleet_is_in_a_bug_report(fleet, anonymous):
    path = fleet.dir / f"bug-{anonymous}.tar.gz"
    code, answer = life.ask(fleet, "bundle", f"file={path}", f"anonymous={anonymous}")
    assert (code, answer["failed"]) == (0, {})
    with tarfile.open(path) as archive:
        parts = {each.name: archive.extractfile(each).read() for each in archive}
    everything = b"\n".join(parts.values())
    secrets = steps.private_keys(fleet) | preshared_keys(fleet)
    assert len(secrets) == 6  # three nodes, three pairs
    assert not [key for key in secrets for form in steps.forms(key) if form in everything]
    secret = (fleet.dir / "hosts/master/var/cache/salt/master/wireguard/preshared.secret").read_text().strip()
    assert secret.encode() not in everything
    assert b"PRIVATE KEY-----" not in everything
    addresses = [address.encode() for row in steps.nodes(fleet).values() for address in row["addresses"]]
    assert anonymous is not any(address in everything for address in addresses)


def preshared_keys(lab):
    found = set()
    for node in NODES:
        shown = lab.must("exec", node, "wg", "show", "wg0", "preshared-keys")
        found |= {line.split()[1] for line in shown.splitlines() if not line.endswith("(none)")}
    return found
