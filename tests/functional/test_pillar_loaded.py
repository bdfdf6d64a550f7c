"""The external pillar, through Salt's loader, with a registry and accepted keys."""

import json
import os
import time
from pathlib import Path
from shutil import rmtree

import pytest

pytest.importorskip("salt")

import salt.config

import masters
from hosts import key
from masters import NETWORK, MasterSide
from saltext.wireguard import deployment
from saltext.wireguard.errors import LossError, PillarError
from saltext.wireguard.master.master import Master
from saltext.wireguard.master.settling import settle
from saltext.wireguard.meshfile import load
from saltext.wireguard.meshfile.parse import parse_mesh
from saltext.wireguard.model.view import View
from wglab.postgresql import Server, programs


@pytest.fixture(scope="module")
def salt_keys():
    return masters.make_salt_keys(3)


@pytest.fixture
def master(tmp_path, salt_keys):
    """A master with two accepted nodes, both registered."""
    made = MasterSide(tmp_path, salt_keys)
    for node in ("node1", "node2"):
        made.register(node, key(node))
    return made


def everything(root):
    """All files with what a write would change, but for those by which SQLite's readers and writers meet."""
    return {
        str(path): (path.stat().st_mtime_ns, path.stat().st_size, path.stat().st_ino)
        for path in root.rglob("*")
        if path.is_file()
        and not (path.name.endswith("-shm") or (path.name.endswith("-wal") and not path.stat().st_size))
    }


def test_a_registered_node_is_told_its_view(master):
    data = master.pillar("node1")["wireguard"]["networks"]
    view = View.from_dict(data[NETWORK], NETWORK)
    assert view.public_key == key("node1")
    assert view.addresses == ("10.42.0.1/24",)
    assert [(peer.name, peer.public_key, peer.endpoint) for peer in view.peers] == [
        ("node2", key("node2"), "192.0.2.1:51820")
    ]
    assert data[NETWORK]["digest"] == view.digest


def test_a_member_is_told_the_digest_of_the_masters_modules_also_after_it_has_left(master):
    assert master.pillar("node1")["wireguard"]["modules_digest"] == deployment.digest()
    master.write_mesh("nodes: {node2: {}}")
    assert master.pillar("node1")["wireguard"]["modules_digest"] == deployment.digest()


def test_a_node_that_has_not_registered_is_told_of_its_network_but_of_no_peers(master):
    master.accept("node3")
    data = master.pillar("node3")["wireguard"]["networks"][NETWORK]
    assert (data["public_key"], data["addresses"], data["peers"]) == (None, [], {})
    assert "node3" not in str(master.pillar("node1"))


@pytest.mark.parametrize("minion", ["stranger", "node3", "master1_master", "", "../node1", "NODE1"])
def test_whoever_is_no_accepted_node_is_told_nothing(master, minion):
    assert master.pillar(minion) == {}


def test_an_accepted_minion_that_no_network_lists_is_told_nothing(master):
    master.accept("node3")
    master.write_mesh("nodes: {node1: {}, node2: {}}")
    assert master.pillar("node3") == {}


def test_a_former_member_is_told_that_it_has_no_network(master):
    master.write_mesh("nodes: {node2: {}}")
    assert master.pillar("node1")["wireguard"]["networks"] == {}
    assert master.pillar("node2")["wireguard"]["networks"][NETWORK]["peers"] == {}


def test_a_node_whose_salt_key_was_deleted_is_told_nothing_and_is_nobodys_peer(master):
    (master.keys_dir / "node1").unlink()
    assert master.pillar("node1") == {}
    assert master.pillar("node2")["wireguard"]["networks"][NETWORK]["peers"] == {}


SECRET = "cGhvbmUgcHJpdmF0ZSBrZXkgb2YgMzIgYnl0ZXMhISE="


def test_an_invalid_mesh_file_raises_for_members_and_says_nothing_of_what_is_in_it(master):
    """What was wrong was in everybody's pillar, quoted: also a preshared key that stood where `true` belongs."""
    master.mesh.write_text(f"networks:\n  backbone:\n    preshared_keys: {SECRET}\n    nodes: {{}}\n")
    with pytest.raises(PillarError, match=r"is invalid, so this minion keeps what it has; `salt-run") as caught:
        master.pillar("node1")
    assert "preshared" not in str(caught.value)
    assert SECRET not in str(caught.value)
    assert SECRET not in repr(caught.value.__context__)
    assert master.pillar("stranger") == {}


def test_an_invalid_mesh_file_does_not_concern_minions_that_were_never_in_it(master):
    """It stopped the `state.apply` of every minion of the master, also of those that have nothing to do with it."""
    master.write_mesh("nodes: {'node[12]': {}}")
    master.accept("node3")
    assert master.pillar("node3") == {}
    master.mesh.write_text("networks: []\n")
    assert master.pillar("node3") == {}


def test_who_was_in_the_mesh_file_before_and_never_registered_is_told_that_it_is_invalid(master):
    master.accept("node3")
    assert master.pillar("node3")
    master.mesh.write_text("networks: []\n")
    with pytest.raises(PillarError):
        master.pillar("node3")


def test_who_is_registered_is_told_so_by_a_master_that_never_saw_a_valid_file(master):
    master.mesh.write_text("networks: []\n")
    load._last_valid.clear()
    with pytest.raises(PillarError):
        master.pillar("node1")


def test_a_mesh_file_that_is_missing_raises(master):
    master.mesh.unlink()
    with pytest.raises(PillarError):
        master.pillar("node1")


def test_a_mesh_file_that_removes_most_nodes_raises_for_all_of_them_and_writes_nothing(tmp_path):
    made = MasterSide(tmp_path, masters.make_salt_keys(4))
    for number in range(1, 5):
        made.accept(f"node{number}")
        made.register(f"node{number}", key(f"node{number}"))
    settle(made.state)
    made.write_mesh("nodes: {'nide*': {}, node1: {}}")
    before = everything(made.root)
    for node in ("node1", "node2"):
        with pytest.raises(
            LossError, match=r"would lose 3 of its 4 nodes at once\. `salt-run wireguard\.reconcile` on"
        ):
            made.pillar(node)
    assert everything(made.root) == before
    settle(made.state, ("alice", "meant"))
    assert made.pillar("node1")["wireguard"]["networks"][NETWORK]["peers"] == {}
    assert made.pillar("node2")["wireguard"]["networks"] == {}


def test_salts_own_compiler_turns_the_error_into_one_that_stops_the_node(master):
    import salt.pillar

    master.mesh.write_text("networks: []\n")
    opts = {**master.opts, "file_client": "local", "pillar_roots": {"base": []}}
    compiled = salt.pillar.Pillar(opts, {}, "node1", "base").compile_pillar()
    assert compiled["_errors"]
    assert "wireguard" not in compiled
    master.write_mesh("nodes: {'node*': {}}")
    compiled = salt.pillar.Pillar(opts, {}, "node1", "base").compile_pillar()
    assert "_errors" not in compiled
    assert compiled["wireguard"]["networks"][NETWORK]["public_key"] == key("node1")


def test_it_writes_nothing_but_how_many_there_were(master):
    before = everything(master.root)
    for minion in ("node1", "node2", "stranger"):
        master.pillar(minion)
    after = everything(master.root)
    assert [Path(path).name for path in after if path not in before] == ["counters"]
    assert {path: after[path] for path in before} == before


def test_it_makes_no_registry_where_there_is_none(tmp_path, salt_keys):
    made = MasterSide(tmp_path, salt_keys)
    before = everything(tmp_path)
    assert made.pillar("node1")["wireguard"]["networks"][NETWORK]["public_key"] is None
    assert everything(tmp_path) == before


def test_the_mesh_file_is_parsed_once_a_change_though_salt_executes_the_module_anew_each_time(master, monkeypatch):
    parsed = []
    real = parse_mesh
    monkeypatch.setattr(load, "parse_mesh", lambda *given: parsed.append(given) or real(*given))
    past = time.time_ns() - 10**9  # a file that is still changing is not kept
    os.utime(master.mesh, ns=(past, past))
    for _ in range(100):
        assert master.pillar("node1")["wireguard"]
    assert len(parsed) == 1
    master.write_mesh("nodes: {'node*': {}}, keepalive: 30")
    os.utime(master.mesh, ns=(past + 1, past + 1))
    for _ in range(5):
        master.pillar("node1")
    assert len(parsed) == 2


def test_nothing_secret_is_in_a_pillar(master):
    assert masters.quotes_nothing_secret(master.pillar("node1"))


FAULTS = {
    "the registry is damaged": lambda master: Path(master.state.registry.place).write_bytes(b"no database" * 1000),
    "the list of denials is damaged": lambda master: Path(master.state.state_dir, "denials.json").write_text("{"),
    "the mesh file is not named": lambda master: master.opts.update(ext_pillar=[{"wireguard": {}}]),
    "keys are kept elsewhere": lambda master: master.opts.update({"keys.cache_driver": "redis"}),
    "the secret is none": lambda master: master.opts["ext_pillar"][0]["wireguard"].update(preshared_secret=5),
    "the directory of keys is a file": lambda master: (rmtree(master.keys_dir), master.keys_dir.write_text("")),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_whatever_fails_on_the_master_raises_for_members_without_details_and_concerns_nobody_else(master, fault):
    """A registry that was not usable stopped the `state.apply` of every minion, and told each of them its path."""
    master.accept("node3")
    master.write_mesh("nodes: {'node[12]': {}}")
    FAULTS[fault](master)
    with pytest.raises(PillarError, match=r"^the master fails, so this minion keeps what it has; `salt-run") as caught:
        master.pillar("node1")
    assert str(master.root) not in str(caught.value)
    assert "redis" not in str(caught.value)
    assert master.pillar("node3") == {}
    assert master.pillar("stranger") == {}


def test_where_neither_mesh_file_nor_registry_can_be_read_everybody_may_be_a_member(master):
    master.mesh.write_text("networks: []\n")
    load._last_valid.clear()
    FAULTS["the registry is damaged"](master)
    with pytest.raises(PillarError):
        master.pillar("stranger")


# -- the secret of preshared keys


def test_a_secret_is_looked_up_where_sdb_keeps_it(master, tmp_path, monkeypatch):
    """Salt does so itself when it reads the master's configuration; here, with its driver for the environment."""
    monkeypatch.setenv("WG_TEST_SECRET", "a secret that is long enough for this")
    entry = {"wireguard": {"mesh": str(master.mesh), "preshared_secret": "sdb://vault/WG_TEST_SECRET"}}
    path = tmp_path / "master"
    path.write_text(json.dumps({"root_dir": str(tmp_path), "vault": {"driver": "env"}, "ext_pillar": [entry]}))
    read = Master.from_opts(salt.config.master_config(str(path)))
    assert read.configured_secret.text == "a secret that is long enough for this"


def test_a_minion_is_told_its_own_preshared_keys(master):
    master.write_mesh("preshared_keys: true, nodes: {node1: {}, node2: {}}")
    (peer,) = master.pillar("node1")["wireguard"]["networks"]["backbone"]["peers"].values()
    (other,) = master.pillar("node2")["wireguard"]["networks"]["backbone"]["peers"].values()
    assert len(peer["preshared_key"]) == 44
    assert peer["preshared_key"] == other["preshared_key"]


# -- the schedule by which nodes look after themselves


def test_a_node_with_a_peer_that_is_called_by_a_name_looks_it_up_again(master):
    master.write_mesh("nodes: {node1: {}, node2: {endpoint: db1.example.com}}")
    assert set(master.pillar("node1")["schedule"]) == {"wireguard_report_drift", "wireguard_reresolve"}
    assert set(master.pillar("node2")["schedule"]) == {"wireguard_report_drift"}


def test_a_schedule_that_the_pillar_has_already_stays_in_it(master):
    """With `pillar_source_merging_strategy: overwrite`, ours would be all that is left."""
    master.write_mesh("nodes: {node1: {}, node2: {endpoint: db1.example.com}}")
    given = {"schedule": {"highstate": {"function": "state.apply", "hours": 1}}}
    told = master.pillars()["wireguard"]("node1", given, mesh=str(master.mesh))
    assert set(told["schedule"]) == {"highstate", "wireguard_report_drift", "wireguard_reresolve"}


def test_the_schedule_is_one_that_salt_takes(master):
    """By the function that Salt itself checks its schedules with."""
    master.write_mesh("nodes: {node1: {}, node2: {endpoint: db1.example.com}}")
    functions = salt.loader.minion_mods(master.opts, utils=salt.loader.utils(master.opts))
    for name, job in master.pillar("node1")["schedule"].items():
        built = functions["schedule.build_schedule_item"](name, **job)
        assert built["function"] == job["function"]
        assert {key: built[key] for key in job} == job


# -- several masters over one registry


@pytest.fixture
def server():
    """A PostgreSQL server of the test's own."""
    pytest.importorskip("psycopg")
    if not programs():
        pytest.skip("PostgreSQL is not installed")
    own = Server().start()
    yield own
    own.remove()


@pytest.fixture
def two_masters(tmp_path, salt_keys, server):
    found = []
    for name in ("master1", "master2"):
        (tmp_path / name).mkdir()
        made = MasterSide(tmp_path / name, salt_keys)
        made.opts["ext_pillar"][0]["wireguard"]["registry"] = server.uri()
        found.append(made)
    return found


def test_two_masters_with_one_registry_hear_and_tell_the_same(two_masters):
    one, other = two_masters
    one.register("node1", key("node1"))
    other.register("node2", key("node2"))
    for node in ("node1", "node2"):
        assert one.pillar(node) == other.pillar(node)
    view = View.from_dict(one.pillar("node1")["wireguard"]["networks"][NETWORK], NETWORK)
    assert view.addresses == ("10.42.0.1/24",)
    assert [(peer.name, peer.allowed_ips) for peer in view.peers] == [("node2", ("10.42.0.2/32",))]


def test_without_the_server_members_keep_what_they_have_and_others_notice_nothing(two_masters, server):
    one, _ = two_masters
    one.register("node1", key("node1"))
    one.write_mesh("nodes: {'node[12]': {}}")
    server.stop()
    with pytest.raises(PillarError, match=r"^the master fails, so this minion keeps what it has"):
        one.pillar("node1")
    assert one.pillar("node3") == {}
