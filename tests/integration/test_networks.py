"""Two networks with other members each, and a node in both: each follows its own part of the mesh file, live."""

import json

import pytest

import steps

pytestmark = pytest.mark.slow

NODES = ["node1", "node2", "node3", "node4"]
OFFICE = {"node1": {}, "node2": {}, "node3": {}}
STORAGE = {"node3": {}, "node4": {}}


def mesh(office, storage, office_subnet="10.42.0.0/24", storage_subnets=("10.43.0.0/30",)):
    networks = {
        "office": {"subnets": [office_subnet], "nodes": office},
        "storage": {
            "interface": "wg1",
            "port": 51830,
            "subnets": list(storage_subnets),
            "nodes": storage,
            "keepalive": 10,
        },
    }
    return json.dumps({"networks": networks}, indent=2)


@pytest.fixture(scope="module")
def fleet(lab):
    """Three nodes in each of two networks, node3 in both; changes reach them without a command."""
    lab.up(len(NODES), mesh=mesh(OFFICE, STORAGE), trigger="engine")
    assert steps.failures(steps.state_apply(lab)) == []
    steps.wait_until("all in sync", lambda: all_in_sync(lab, 5))
    return lab


def rows(fleet):
    return {(row["network"], row["node"]): row for row in fleet.salt_run_json("wireguard.nodes")["nodes"]}


def all_in_sync(fleet, count):
    found = rows(fleet)
    return len(found) == count and all(row["in_sync"] for row in found.values())


def address(fleet, network, node):
    return rows(fleet)[network, node]["addresses"][0]


def reaches(fleet, node, network, other, patience=5):
    return fleet.exec(node, "ping", "-n", "-c1", f"-W{patience}", address(fleet, network, other)).returncode == 0


def interfaces(fleet):
    return {node: sorted(fleet.must("exec", node, "wg", "show", "interfaces").split()) for node in NODES}


def prefix(fleet, node, interface):
    (link,) = json.loads(fleet.must("exec", node, "ip", "-json", "-4", "address", "show", "dev", interface))
    return [f"{each['local']}/{each['prefixlen']}" for each in link["addr_info"]]


def test_each_node_has_the_interfaces_of_its_networks_and_only_their_members_as_peers(fleet):
    assert interfaces(fleet) == {"node1": ["wg0"], "node2": ["wg0"], "node3": ["wg0", "wg1"], "node4": ["wg1"]}
    assert [len(steps.peers(fleet, "node3", name)) for name in ("wg0", "wg1")] == [2, 1]
    assert steps.public_key(fleet, "node3", "wg0") != steps.public_key(fleet, "node3", "wg1")


def test_members_reach_each_other_and_nobody_reaches_a_network_that_it_is_not_in(fleet):
    assert reaches(fleet, "node1", "office", "node3")
    assert reaches(fleet, "node4", "storage", "node3")
    assert not reaches(fleet, "node1", "storage", "node4", patience=1)


def test_a_pillar_has_nothing_of_a_network_that_the_node_is_not_in(fleet):
    told = fleet.salt_run("wireguard.view", "node1", "--out=json").stdout
    assert "storage" not in told
    assert "node4" not in told


def test_a_pool_grows_and_nobody_loses_a_packet_or_an_address(fleet):
    before = {node: steps.configured(fleet, node) for node in OFFICE}
    with steps.stream(fleet, "node1", "node2") as seen:
        steps.edit_mesh(fleet, mesh(OFFICE, STORAGE, office_subnet="10.42.0.0/16"))
        steps.wait_until("the longer prefix", lambda: prefix(fleet, "node1", "wg0")[0].endswith("/16"))
        steps.wait_until("all in sync", lambda: all_in_sync(fleet, 5))
    assert {node: steps.configured(fleet, node) for node in OFFICE} == before
    assert seen["lost"] == []


def test_a_pool_that_is_used_up_is_named_and_the_other_network_goes_on(fleet):
    storage = {"node3": {}, "node4": {}, "node2": {}}
    steps.edit_mesh(fleet, mesh({"node1": {}, "node2": {}}, storage, "10.42.0.0/16"))
    steps.wait_until("node3 left the office", lambda: interfaces(fleet)["node3"] == ["wg1"])
    steps.wait_until("and is forgotten", lambda: len(steps.peers(fleet, "node1")) == 1)
    fleet.salt_run("wireguard.reconcile")
    said = fleet.salt_run_json("wireguard.nodes")
    assert any("no free IPv4 address for node2" in each["reason"] for each in said["refused"])
    assert reaches(fleet, "node4", "storage", "node3")


def test_the_use_of_the_pools_is_shown(fleet):
    said = fleet.salt_run_json("wireguard.addresses")
    office, storage = said["pools"]
    assert (office["used"], office["quarantined"]) == (2, 1)
    assert (storage["size"], storage["used"], storage["free"], storage["next"]) == (2, 2, 0, None)
    (held,) = said["quarantined"]
    assert (held["network"], held["node"]) == ("office", "node3")
    assert "quarantined:" in fleet.salt_run("wireguard.addresses").stdout


def test_another_subnet_lets_the_one_in_who_had_to_wait(fleet):
    storage = {"node3": {}, "node4": {}, "node2": {}}
    both = ("10.43.0.0/30", "10.44.0.0/30")
    steps.edit_mesh(fleet, mesh({"node1": {}, "node2": {}}, storage, "10.42.0.0/16", both))
    fleet.salt_run("wireguard.reconcile")
    steps.wait_until("all in sync", lambda: all_in_sync(fleet, 5))
    assert address(fleet, "storage", "node2") == "10.44.0.1"
    assert reaches(fleet, "node2", "storage", "node4")


def test_who_comes_back_has_the_address_that_it_had(fleet):
    storage = {"node3": {}, "node4": {}, "node2": {}}
    both = ("10.43.0.0/30", "10.44.0.0/30")
    (held,) = fleet.salt_run_json("wireguard.addresses")["quarantined"]
    steps.edit_mesh(fleet, mesh(OFFICE, storage, "10.42.0.0/16", both))
    fleet.salt_run("wireguard.reconcile")
    steps.wait_until("all in sync", lambda: all_in_sync(fleet, 6))
    assert address(fleet, "office", "node3") == held["address"]
    assert fleet.salt_run_json("wireguard.addresses")["quarantined"] == []
    assert reaches(fleet, "node1", "office", "node3")


def test_a_subnet_without_what_is_used_is_refused_and_the_tunnels_stay(fleet):
    text = fleet.mesh_file.read_text()
    with steps.other_mesh(fleet, text.replace('"10.43.0.0/30"', '"10.45.0.0/30"')):
        done = fleet.salt_run("wireguard.reconcile")
        assert "2 nodes of network storage have addresses outside its subnets" in done.stdout + done.stderr
        assert "node3 (10.43.0." in done.stdout + done.stderr
        checked = fleet.salt_run("wireguard.validate")
        assert checked.returncode == 1
        failed = fleet.salt("node3", "state.apply", "wireguard", "--out=json", "--static").stdout
        assert "addresses outside its subnets" in failed
        assert prefix(fleet, "node3", "wg1")[0].startswith("10.43.0.")
    steps.wait_until("all in sync", lambda: all_in_sync(fleet, 6))
    assert reaches(fleet, "node3", "storage", "node4")


def test_when_it_is_meant_the_nodes_are_given_other_addresses(fleet):
    office = {node: steps.configured(fleet, node) for node in ("node1", "node2", "node3")}
    steps.edit_mesh(fleet, fleet.mesh_file.read_text().replace('"10.43.0.0/30"', '"10.45.0.0/30"'))
    code, said = steps.reconcile(fleet, "force=True", "reason=renumbered")
    assert (code, said["failed"], said["silent"]) == (0, {}, [])
    assert sorted(prefix(fleet, node, "wg1") for node in ("node3", "node4")) == [["10.45.0.1/30"], ["10.45.0.2/30"]]
    assert reaches(fleet, "node3", "storage", "node4")
    assert reaches(fleet, "node2", "storage", "node4")
    assert {node: steps.configured(fleet, node) for node in office} == office
