"""The examples of a tunnel by plain pillar, and of nodes without a master, as they are but for names and keys."""

import json
import re
from pathlib import Path

import pytest

import steps

REPO = Path(__file__).resolve().parents[2]
POINT_TO_POINT = REPO / "examples/point-to-point"
MASTERLESS = REPO / "examples/masterless"
NODES = ["node1", "node2"]
NAMES = {"office": "node1", "cloud": "node2", "web1": "node1", "web2": "node2"}
KEY = re.compile(r"[A-Za-z0-9+/]{43}=")


@pytest.fixture(scope="module")
def fleet(lab):
    """Two minions, and a master whose configuration has nothing of ours but where our files are."""
    lab.up(2, trigger="none", synced=False)
    master_d = lab.dir / "hosts/master/etc/salt/master.d"
    text, _, _ = (master_d / "wireguard.conf").read_text().partition("ext_pillar:")
    pillar = lab.dir / "pillar"
    pillar.mkdir()
    (master_d / "wireguard.conf").write_text(f"{text}\npillar_roots: {{base: [{pillar}]}}\n")
    lab.off("master")
    lab.on("master")
    return lab


def with_names(text):
    """An example with the lab's names for its own."""
    for ours, theirs in NAMES.items():
        text = re.sub(rf"\b{ours}(\.example\.com)?\b", theirs, text)
    return text


def write_pillar(lab, keys, change=lambda text: text):
    for source in POINT_TO_POINT.glob("*.sls"):
        text = with_names(source.read_text())
        for name, key in keys.items():
            text = re.sub(rf"(?s)({name}:\n\s+public_key: ){KEY.pattern}", rf"\g<1>{key}", text)
        (lab.dir / "pillar" / with_names(source.name)).write_text(change(text))


def ping(lab, node, address):
    """Several times: where both ends begin at the same moment, their first handshakes cross, which costs 5 s."""
    return lab.exec(node, "ping", "-n", "-c5", "-i2", "-W5", address).returncode == 0


# -- two machines, by pillar


def test_the_example_of_a_pillar_makes_a_tunnel(fleet):
    fleet.salt("*", "saltutil.sync_all")
    keys = fleet.salt_json("*", "wireguard.keypair", "wg1")
    write_pillar(fleet, keys)
    applied = steps.state_apply(fleet)
    assert steps.failures(applied) == []
    assert sorted(steps.changes(applied)) == NODES
    assert ping(fleet, "node1", "10.9.0.2")
    assert ping(fleet, "node2", "10.9.0.1")


def test_a_second_run_changes_nothing_and_runs_no_writing_command(fleet):
    steps.spy_on(fleet, "node1")
    steps.commands(fleet, "node1")
    assert steps.changes(steps.state_apply(fleet)) == {}
    assert steps.writing(steps.commands(fleet, "node1")) == []


def test_a_changed_peer_is_followed_on_the_live_tunnel(fleet):
    keys = {node: steps.public_key(fleet, node, "wg1") for node in NODES}
    before = fleet.must("exec", "node2", "wg", "show", "wg1", "latest-handshakes")
    write_pillar(fleet, keys, lambda text: text.replace("[10.9.0.1/32]", "[10.9.0.1/32, 192.168.77.0/24]"))
    applied = steps.state_apply(fleet)
    assert steps.failures(applied) == []
    assert sorted(steps.changes(applied)) == ["node2"]
    peer = steps.peers(fleet, "node2", "wg1")[keys["node1"]]
    assert sorted(peer["allowed_ips"]) == ["10.9.0.1/32", "192.168.77.0/24"]
    assert fleet.must("exec", "node2", "wg", "show", "wg1", "latest-handshakes") == before
    assert "192.168.77.0/24 dev wg1" in fleet.must("exec", "node2", "ip", "route")


# -- nodes without a master


def salt_call(lab, node, *args):
    done = lab.exec(node, "salt-call", "--local", "--out=json", *args)
    return done.returncode, json.loads(done.stdout)["local"]


def apply(lab, node):
    code, states = salt_call(lab, node, "state.apply", "wireguard")
    return code, next(state for name, state in states.items() if "wireguard_network_backbone" in name)


def write_mesh(lab, keys):
    text = with_names((MASTERLESS / "mesh.yml").read_text())
    for name in NODES:
        text = re.sub(rf"(?s)({name}:\n\s+public_key: ){KEY.pattern}", rf"\g<1>{keys[name]}", text)
        if not keys[name]:
            text = text.replace("        public_key: \n", "")
    (lab.dir / "mesh.yml").write_text(text)


@pytest.fixture(scope="module")
def masterless(fleet):
    """The same machines, with the master off and the configuration of the example."""
    fleet.off("master")
    for node in NODES:
        fleet.off(node)
        fleet.on(node, salt=False)
        conf = fleet.dir / "hosts" / node / "etc/salt/minion.d/wireguard.conf"
        conf.parent.mkdir(exist_ok=True)
        text = (MASTERLESS / "minion.conf").read_text().replace("/srv/saltext-wireguard", str(REPO))
        conf.write_text(
            text.replace("/srv/wireguard/mesh.yml", str(fleet.mesh_file)).replace("/srv/salt\n", "/nowhere\n")
        )
    write_mesh(fleet, dict.fromkeys(NODES, ""))
    return fleet


def test_the_first_run_makes_the_key_and_says_what_to_write_into_the_mesh_file(masterless):
    for node in NODES:
        code, state = apply(masterless, node)
        key = steps.wireguard_files(masterless, node)["wg0.key"]
        assert code != 0
        assert (state["result"], state["changes"]) == (False, {})
        shown = KEY.findall(state["comment"])[0]
        assert shown != key.strip()
        assert f"`{node}: {{public_key: {shown}, addresses: [...]}}`" in state["comment"]
        assert not steps.has_device(masterless, node)


def test_with_the_keys_in_the_mesh_file_they_reach_each_other(masterless):
    keys = {node: salt_call(masterless, node, "wireguard.public_key", "wg0")[1] for node in NODES}
    write_mesh(masterless, keys)
    for node in NODES:
        code, state = apply(masterless, node)
        assert (code, state["result"]) == (0, True), state["comment"]
    assert ping(masterless, "node1", "10.42.0.2")
    assert ping(masterless, "node2", "10.42.0.1")


def test_another_run_changes_nothing(masterless):
    code, state = apply(masterless, "node1")
    assert (code, state["changes"]) == (0, {})


def test_a_node_that_the_mesh_file_does_not_name_any_more_takes_its_interface_down(masterless):
    text = masterless.mesh_file.read_text()
    masterless.mesh_file.write_text(text[: text.index("      node2:")])
    code, states = salt_call(masterless, "node2", "state.apply", "wireguard")
    assert code == 0
    assert [list(state["changes"]) for name, state in states.items() if "wireguard_gone" in name] == [["wg0"]]
    assert not steps.has_device(masterless, "node2")
    assert "wg0: refused, and nothing was changed" in apply(masterless, "node1")[1]["comment"]  # its last peer
    code, _ = salt_call(masterless, "node1", "wireguard.apply", "force=True", "reason=node2 is sold")
    assert code == 0
    assert steps.peers(masterless, "node1") == {}
