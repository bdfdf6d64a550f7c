"""A phone without Salt: exported, in the mesh, with another key, and gone. And names, of it and of the nodes."""

import json
import re
import shlex
import shutil

import pytest

import evidence
import steps

NODES = ["node1", "node2"]
DOMAIN = "mesh.test"
PRIVATE = re.compile(r"PrivateKey = ([A-Za-z0-9+/]{43}=)")

pytestmark = pytest.mark.skipif(not shutil.which("script"), reason="script(1) makes the terminal")


def mesh(*peers):
    return steps.mesh(NODES, hosts=True, domain=DOMAIN, peers=dict.fromkeys(peers))


@pytest.fixture(scope="module")
def fleet(lab):
    """Two nodes, and a machine without Salt."""
    lab.up(len(NODES), mesh=mesh("phone", "tablet"), trigger="engine")
    lab.must("add", "--plain", "phone")
    steps.build(lab, len(NODES))
    return lab


def disk(fleet, host):
    return fleet.dir / "hosts" / host / "etc/wireguard"


def export(fleet, *words):
    """To a file on the phone's own disk, as by a memory card."""
    file = disk(fleet, "phone") / "wg0.conf"
    file.unlink(missing_ok=True)
    return fleet.salt_run_json("wireguard.export", "phone", f"file={file}", *words)


def bring_up(fleet):
    fleet.exec("phone", "wg-quick", "down", "wg0")
    fleet.must("exec", "phone", "wg-quick", "up", "wg0")


def reaches(fleet, host, address):
    return fleet.exec(host, "ping", "-n", "-c1", "-W1", address).returncode == 0


def addresses(fleet):
    return [address for row in steps.nodes(fleet).values() for address in row["addresses"]]


def names(fleet, node):
    """What the node makes of names in the domain."""
    found = {}
    for line in fleet.must("exec", node, "cat", "/etc/hosts").splitlines():
        address, *called = line.split() or [""]
        for name in called:
            if name.endswith(f".{DOMAIN}") and not line.startswith("#"):
                found.setdefault(name.removesuffix(f".{DOMAIN}"), set()).add(address)
    return found


def on_a_terminal(fleet, *command):
    return fleet.exec("master", "script", "-qec", shlex.join(command), "/dev/null").stdout


def configurations(fleet):
    return {row["peer"]: row["configuration"] for row in fleet.salt_run_json("wireguard.nodes")["peers"]}


def test_before_its_export_nobody_knows_it(fleet):
    assert configurations(fleet) == {"phone": "not exported", "tablet": "not exported"}
    assert set(names(fleet, "node1")) == set(NODES)


def test_an_exported_phone_reaches_every_node_and_its_private_key_is_on_its_disk_alone(fleet):
    with evidence.Evidence(fleet) as seen:
        answer = export(fleet)
        assert answer["reconcile"]["failed"] == {}
        bring_up(fleet)
        for address in addresses(fleet):
            steps.wait_until(f"{address} answers the phone", lambda address=address: reaches(fleet, "phone", address))
        private = PRIVATE.search((disk(fleet, "phone") / "wg0.conf").read_text())[1]
        seen.keep_run("master")
    assert seen.owners[private] == {"phone"}
    assert seen.leaks() == []
    assert configurations(fleet)["phone"] == "as exported"


def test_nodes_find_each_other_and_the_phone_by_name(fleet):
    assert set(names(fleet, "node1")) == {*NODES, "phone"}
    assert names(fleet, "node1")["node2"] == set(steps.nodes(fleet)["node2"]["addresses"])
    assert reaches(fleet, "node1", f"node2.{DOMAIN}")
    steps.wait_until("the phone answers by name", lambda: reaches(fleet, "node2", f"phone.{DOMAIN}"))


def test_another_key_drops_the_old_one(fleet):
    old = fleet.must("exec", "phone", "wg", "show", "wg0", "public-key").strip()
    assert export(fleet, "rekey=True", "reason=lost")["public_key"] != old
    assert old not in steps.peers(fleet, "node1")
    bring_up(fleet)
    steps.wait_until("the phone has its way back", lambda: reaches(fleet, "phone", addresses(fleet)[0]))
    entry = fleet.salt_run_json("wireguard.history", "phone")["history"][-1]
    assert (entry["what"], entry["why"], entry["details"]["old_public_key"]) == ("exported", "lost", old)


def test_a_terminal_shows_the_configuration_and_the_event_bus_does_not(fleet):
    recorder = steps.Recorder(fleet)
    shown = on_a_terminal(fleet, "salt-run", "wireguard.export", "tablet")
    private = PRIVATE.search(shown)[1]
    steps.wait_until("the return was an event", lambda: keys(fleet)["tablet"] in recorder.file.read_text())
    assert "answer: the configuration of tablet is above, and its private key nowhere else" in shown
    assert private not in recorder.file.read_text()
    kept = [path for path in fleet.dir.rglob("*") if path.is_file() and private.encode() in path.read_bytes()]
    assert kept == []


@pytest.mark.parametrize(
    "command",
    [
        ["salt-run", "--async", "wireguard.export", "tablet", "rekey=True"],
        ["salt-run", "salt.cmd", "saltutil.runner", "wireguard.export", "arg=[tablet]", "kwarg={rekey: true}"],
        ["salt-run", "state.orchestrate", "orch"],
    ],
    ids=["async", "another function", "an orchestration"],
)
def test_what_would_return_it_is_refused(fleet, command):
    orch = {"again": {"salt.runner": [{"name": "wireguard.export"}, {"arg": ["tablet"]}, {"kwarg": {"rekey": True}}]}}
    (fleet.dir / "srv/orch.sls").write_text(json.dumps(orch))
    recorder = steps.Recorder(fleet)
    before, earlier = keys(fleet), len(recorder.file.read_text())
    shown = on_a_terminal(fleet, *command)
    steps.wait_until(
        "it says why", lambda: "must not get to the event bus" in recorder.file.read_text()[earlier:] + shown
    )
    assert not PRIVATE.search(shown)
    assert keys(fleet) == before


def keys(fleet):
    return {row["peer"]: row["public_key"] for row in fleet.salt_run_json("wireguard.nodes")["peers"]}


def test_a_phone_that_is_taken_out_of_the_mesh_file_is_gone_with_its_name(fleet):
    key = keys(fleet)["phone"]
    steps.edit_mesh(fleet, mesh("tablet"))
    steps.wait_until("no node has the phone", lambda: all(key not in steps.peers(fleet, node) for node in NODES))
    assert not reaches(fleet, "phone", addresses(fleet)[0])
    steps.wait_until("its name is gone", lambda: set(names(fleet, "node1")) == {*NODES, "tablet"})
    assert "phone" not in json.dumps(fleet.salt_run_json("wireguard.nodes"))


def test_names_go_when_they_are_turned_off(fleet):
    steps.edit_mesh(fleet, steps.mesh(NODES, peers={"tablet": None}))
    steps.wait_until("no names", lambda: not any(names(fleet, node) for node in NODES))
    assert "saltext-wireguard" not in fleet.must("exec", "node1", "cat", "/etc/hosts")
