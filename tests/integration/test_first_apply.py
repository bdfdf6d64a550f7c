"""Minions that have never seen our modules become a mesh by one command; a second one finds nothing to do."""

import json
import shutil
from pathlib import Path

import pytest

import steps

REPO = Path(__file__).parents[2]
SALT_URL = "salt://_modules/wireguard.py"
NODES = ["node1", "node2", "node3", "node4"]
POINT_TO_POINT = """\
{% set other = {'node1': 'node2', 'node2': 'node1'}[grains['id']] %}
wg1:
  wireguard.present:
    - addresses: [10.9.0.{{ grains['id'][-1] }}/24]
    - port: 51821
    - peers:
        {{ other }}:
          public_key: {{ pillar['key_of'][other] }}
          allowed_ips: [10.9.0.{{ other[-1] }}/32]
          endpoint: {{ other }}:51821
"""


@pytest.fixture(scope="module")
def fleet(lab):
    """A lab of four fresh minions, whose events are recorded; node1 is watched."""
    lab.up(len(NODES), trigger="engine", synced=False)
    lab.recorder = steps.Recorder(lab)
    steps.spy_on(lab, "node1")
    return lab


def test_a_test_run_on_fresh_minions_says_what_it_would_do_and_does_nothing(fleet):
    applied = steps.state_apply(fleet, "*", "wireguard", "test=True")
    assert {node: [state["result"] for state in states] for node, states in applied.items()} == {
        node: [None, None] for node in NODES
    }
    assert all("wg0 would be registered and set up" in states[-1]["comment"] for states in applied.values())
    assert not any(steps.wireguard_files(fleet, node) for node in NODES)
    assert not any(steps.has_device(fleet, node) for node in NODES)
    assert fleet.recorder.events("wireguard/register") == []


def test_one_state_apply_makes_a_complete_mesh(fleet):
    applied = steps.state_apply(fleet)
    assert sorted(applied) == NODES
    assert steps.failures(applied) == []
    assert sorted(steps.changes(applied)) == NODES
    told = fleet.ping_json(wait=60)
    assert told["ok"]
    assert len(told["pairs"]) == len(NODES) * (len(NODES) - 1) * 2


def test_the_master_knows_that_all_are_in_sync(fleet):
    steps.wait_until("every node in sync", lambda: steps.in_sync(fleet, *NODES), 30)
    assert steps.unique_addresses(fleet)


@pytest.mark.parametrize("node", NODES)
def test_secrets_on_disk_are_for_root_only(fleet, node):
    directory = fleet.dir / "hosts" / node / "etc/wireguard"
    assert {path.name: path.stat().st_mode & 0o777 for path in directory.iterdir()} == {
        "wg0.conf": 0o600,
        "wg0.key": 0o600,
    }


def test_no_command_line_bore_a_private_key(fleet):
    ran = steps.commands(fleet, "node1")
    assert steps.writing(ran)
    keys = steps.private_keys(fleet)
    assert not [command for command in ran if any(key in command for key in keys)]


def test_a_second_state_apply_changes_nothing_and_runs_no_writing_command(fleet):
    steps.commands(fleet, "node1")
    applied = steps.state_apply(fleet)
    assert sorted(applied) == NODES
    assert steps.failures(applied) == []
    assert steps.changes(applied) == {}
    ran = steps.commands(fleet, "node1")
    assert "wg show wg0 dump" in ran
    assert steps.writing(ran) == []


def test_a_sync_that_finds_nothing_runs_no_writing_command(fleet):
    answers = fleet.salt_json("*", "wireguard.sync")
    assert [answers[node]["networks"]["backbone"]["changed"] for node in NODES] == [[]] * len(NODES)
    assert steps.writing(steps.commands(fleet, "node1")) == []


def test_after_a_boot_tunnels_are_back_before_salt_is_up(fleet):
    fleet.off("node3")
    fleet.on("node3", boot=True, salt=False)
    assert "salt" not in fleet.must("exec", "node3", "ps", "-e", "-o", "args=")
    assert fleet.ping(wait=60)
    fleet.off("node3")
    fleet.on("node3", boot=True)


def test_a_reboot_brings_the_mesh_back_and_the_next_run_finds_nothing_to_do(fleet):
    fleet.off("node4")
    fleet.on("node4", boot=True)
    assert fleet.ping(wait=60)
    assert steps.changes(steps.state_apply(fleet, "node4")) == {}


def test_a_hand_made_change_is_found_and_put_right(fleet):
    lost = steps.public_key(fleet, "node3")
    fleet.must("exec", "node2", "wg", "set", "wg0", "peer", lost, "remove")
    would = steps.state_apply(fleet, "node2", "wireguard", "test=True")["node2"][-1]
    assert would["result"] is None
    assert lost not in steps.peers(fleet, "node2")
    applied = steps.state_apply(fleet, "node2")
    assert steps.failures(applied) == []
    assert applied["node2"][-1]["changes"].keys() == would["changes"].keys()
    assert lost in steps.peers(fleet, "node2")


def test_a_state_with_explicit_arguments_makes_a_tunnel_without_a_mesh_file(fleet):
    pair = ["node1", "node2"]
    keys = fleet.salt_json("-L", ",".join(pair), "wireguard.keypair", "wg1")
    (fleet.dir / "srv/tunnel.sls").write_text(POINT_TO_POINT)
    arguments = ["tunnel", "pillar=" + json.dumps({"key_of": keys})]
    for expected in (pair, []):
        applied = {}
        for node in pair:
            applied |= steps.state_apply(fleet, node, *arguments)
        assert steps.failures(applied) == []
        assert sorted(steps.changes(applied)) == expected
    for node, other in (("node1", "10.9.0.2"), ("node2", "10.9.0.1")):
        fleet.must("exec", node, "ping", "-n", "-c1", "-W5", other)


def test_absent_removes_that_tunnel_and_no_other(fleet):
    (fleet.dir / "srv/no_tunnel.sls").write_text("wg1:\n  wireguard.absent: []\n")
    before = {node: steps.configured(fleet, node) for node in ("node1", "node2")}
    for node in before:
        applied = steps.state_apply(fleet, node, "no_tunnel")
        assert steps.failures(applied) == []
        assert sorted(steps.changes(applied)) == [node]
        assert not steps.has_device(fleet, node, "wg1")
        left = steps.wireguard_files(fleet, node)
        assert {"wg1.conf", "wg1.key"}.isdisjoint(left)
        assert [name for name in left if name.startswith("wg1.key.removed-")]
    assert {node: steps.configured(fleet, node) for node in before} == before


def test_a_commit_of_the_masters_checkout_reaches_a_minion_with_its_next_run_and_costs_the_one_after_nothing(fleet):
    """The version alone decided, which a commit does not change."""
    served = fleet.dir / "checkout/_modules"  # which the master loads from, and serves
    served.unlink()
    shutil.copytree(REPO / "_modules", served)
    with (served / "wireguard.py").open("a") as module:
        module.write("\n\ndef newer():\n    return 'newer'\n")
    steps.wait_until(
        "the master serves the new file", lambda: "newer" in fleet.salt("node1", "cp.get_file_str", SALT_URL).stdout
    )
    first, second = (steps.state_apply(fleet, "node1")["node1"] for _ in range(2))
    assert first[0]["changes"] == {"modules": ["modules.wireguard"]}
    assert fleet.salt_json("node1", "wireguard.newer") == {"node1": "newer"}
    assert [state["changes"] for state in second] == [{}]


def test_no_private_key_is_anywhere_but_on_its_node(fleet):
    assert steps.leaks(fleet, steps.private_keys(fleet)) == []


def test_the_search_for_private_keys_finds_one_that_leaked(fleet):
    leaked = fleet.must("exec", "node1", "wg", "genkey").strip()
    key_file = fleet.dir / "hosts/node1/etc/wireguard/leaked.key"
    key_file.write_text(leaked)
    assert fleet.salt_json("node1", "cmd.run", "cat /etc/wireguard/leaked.key") == {"node1": leaked}
    found = steps.leaks(fleet, [leaked])
    for place in ("events.jsonl", "hosts/master/var/cache/", "hosts/node1/var/log/"):
        assert [name for name in found if name.startswith(place)], f"not found below {place}: {found}"
