"""A node changes its key while packets flow; whatever breaks off in the middle ends in a tunnel that works."""

import contextlib
import json
import os
import signal
import sqlite3
import time

import pytest

import life
import steps

pytestmark = pytest.mark.slow

NODES = ["node1", "node2", "node3", "node4"]
STREAM = ("node3", "node4")  # concerned by no rotation of node1
DAY = 86400

# What the files of the rotating node show at a moment, and so how far it is.
ANNOUNCED = "the next key is made"
KEY_FILE = "the key file has the next key"
CONFIG = "the configuration file has it too"
SWITCHED = "the device has it, and peers come back"


@pytest.fixture(scope="module")
def fleet(lab):
    """A mesh of four nodes, for which nothing happens without a command."""
    lab.up(len(NODES), trigger="none")
    lab.recorder = steps.Recorder(lab)
    assert life.ask(lab, "reconcile")[0] == 0
    assert steps.in_sync(lab, *NODES)
    assert lab.ping()
    return lab


def keys_of(lab):
    return {node: steps.public_key(lab, node) for node in life.powered(lab)}


def assert_whole(lab):
    """Every node has exactly the present keys of the others, no key is left over, and packets flow."""
    assert steps.in_sync(lab, *NODES), steps.nodes(lab)
    keys = keys_of(lab)
    for node in NODES:
        assert set(steps.peers(lab, node)) == set(keys.values()) - {keys[node]}
        assert {"wg0.key.next", "wg0.key.previous"}.isdisjoint(steps.wireguard_files(lab, node))
    assert lab.ping()


@contextlib.contextmanager
def streams(lab):
    """Packets through a tunnel of the node that rotates, and through one that is not concerned."""
    with steps.stream(lab, *STREAM) as unconcerned, steps.stream(lab, "node2", "node1") as concerned:
        yield concerned, unconcerned
        time.sleep(3)  # the stream has to go on


def assert_went_on(concerned, unconcerned):
    assert unconcerned["lost"] == [], unconcerned
    assert max(concerned["lost"], default=0) < concerned["sent"] - 100, concerned


def test_a_node_gets_a_new_key_and_packets_go_on(fleet):
    before = keys_of(fleet)
    with streams(fleet) as seen:
        code, said = life.ask(fleet, "rotate", "node1")
    (row,) = said["rotations"]
    assert (code, row["node"], row["rotated"], row["comment"]) == (
        0,
        "node1",
        True,
        f"new key {keys_of(fleet)['node1']}",
    )
    after = keys_of(fleet)
    assert {node for node in NODES if before[node] != after[node]} == {"node1"}
    assert life.holders(fleet, before["node1"]) == []
    assert_went_on(*seen)
    assert_whole(fleet)


def test_the_history_says_who_wanted_it_and_that_it_happened(fleet):
    *_, asked, done = life.ask(fleet, "history", "node1")[1]["history"]
    assert (asked["what"], asked["why"]) == ("rotating", "salt-run wireguard.rotate")
    assert (done["what"], done["who"]) == ("rotated", "node1")
    assert done["details"]["old_public_key"] == asked["details"]["old_public_key"]
    assert done["details"]["public_key"] == asked["details"]["public_key"] == steps.public_key(fleet, "node1")


def test_a_peer_that_is_off_all_the_time_has_its_tunnels_when_it_is_back_and_in_step(fleet):
    before = keys_of(fleet)
    fleet.off("node4")
    code, said = life.ask(fleet, "rotate", "*", "timeout=4")
    rows = {row["node"]: row for row in said["rotations"]}
    assert code == 1
    assert {node: row["rotated"] for node, row in rows.items()} == {**dict.fromkeys(NODES, True), "node4": False}
    assert rows["node4"]["comment"] == "it does not answer; it keeps its old key"
    assert rows["node1"]["comment"].endswith("; not yet known to node4")
    fleet.on("node4", boot=True)
    assert steps.public_key(fleet, "node4") == before["node4"]
    assert life.ask(fleet, "reconcile")[0] == 0
    assert_whole(fleet)
    after = keys_of(fleet)
    assert [node for node in NODES if after[node] == before[node]] == ["node4"]


def phase(lab, node):
    """How far the node is, by its files and what it says."""
    directory = lab.dir / "hosts" / node / "etc/wireguard"
    with contextlib.suppress(FileNotFoundError):
        if not (directory / "wg0.key.previous").exists():
            return ANNOUNCED if (directory / "wg0.key.next").exists() else None
        key = (directory / "wg0.key").read_text().strip()
        return CONFIG if key in (directory / "wg0.conf").read_text() else KEY_FILE
    return None


def cut_power_at(lab, node, moment):
    """Begin a rotation, and cut the node's power at that moment or, if that is over too quickly, right after it."""
    init = lab.status()[node]["init"]
    order = [None, ANNOUNCED, KEY_FILE, CONFIG]
    wanted = CONFIG if moment == SWITCHED else moment
    rotation = life.begin(lab, "rotate", node, "timeout=20")
    deadline = time.monotonic() + steps.PATIENCE
    while order.index(phase(lab, node)) < order.index(wanted):
        assert time.monotonic() < deadline
        assert rotation.poll() is None, rotation.communicate()
        time.sleep(0.0005)
    if moment == SWITCHED:
        time.sleep(0.7)
    os.kill(init, signal.SIGKILL)
    lab.off(node)
    return life.end(rotation)


@pytest.mark.parametrize("moment", [ANNOUNCED, KEY_FILE, CONFIG, SWITCHED])
def test_a_power_cut_of_the_rotating_node_ends_in_tunnels_that_work(fleet, moment):
    before = keys_of(fleet)
    code, said = cut_power_at(fleet, "node1", moment)
    (row,) = said["rotations"]
    if code:
        assert not row["rotated"]
        assert "old key" in row["comment"] or "the next reconcile asks" in row["comment"], row
    fleet.on("node1", boot=True)
    if moment == ANNOUNCED:
        assert steps.public_key(fleet, "node1") == before["node1"]
        assert fleet.ping()  # nothing has happened
    code, said = life.ask(fleet, "reconcile")
    assert (code, said["failed"], said["silent"]) == (0, {}, [])
    assert life.ask(fleet, "rotate", "node1")[0] == 0
    assert steps.public_key(fleet, "node1") != before["node1"]
    assert_whole(fleet)


def test_a_minion_that_dies_in_the_switch_leaves_tunnels_that_work(fleet):
    before = keys_of(fleet)
    pids = fleet.status()["node1"]["pids"]
    minions = [pid for pid in pids if b"salt-minion" in read(f"/proc/{pid}/cmdline")]
    rotation = life.begin(fleet, "rotate", "node1", "timeout=20")
    steps.wait_until("the switch", lambda: phase(fleet, "node1") in (KEY_FILE, CONFIG))
    for pid in {*minions, *fleet.status()["node1"]["pids"]} - {fleet.status()["node1"]["init"]}:
        if b"salt-minion" in read(f"/proc/{pid}/cmdline"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    life.end(rotation)
    life.await_answer(fleet, "node1")
    code, said = life.ask(fleet, "reconcile")
    assert (code, said["failed"], said["silent"]) == (0, {}, [])
    assert life.ask(fleet, "rotate", "node1")[0] == 0
    assert steps.public_key(fleet, "node1") != before["node1"]
    assert_whole(fleet)


def read(path):
    try:
        with open(path, "rb") as handle:
            return handle.read()
    except OSError:
        return b""


def test_a_master_that_goes_in_the_middle_leaves_tunnels_that_work(fleet):
    rotation = life.begin(fleet, "rotate", "node1")
    steps.wait_until("the announcement", lambda: phase(fleet, "node1") is not None)
    with streams(fleet) as seen:
        fleet.off("master")
        life.end(rotation)
    assert_went_on(*seen)
    fleet.on("master")
    fleet.recorder = steps.Recorder(fleet)
    code, said = life.ask(fleet, "reconcile")
    assert (code, said["failed"], said["silent"]) == (0, {}, [])
    assert steps.in_sync(fleet, *NODES)
    assert life.ask(fleet, "rotate", "node1")[0] == 0
    assert_whole(fleet)


def test_a_name_that_matches_nobody_is_an_error(fleet):
    code, said = life.ask(fleet, "rotate", "web*")
    assert (code, said) == (1, "no registered node matches 'web*'; see `salt-run wireguard.nodes`")


def test_no_private_key_is_anywhere_but_on_its_node(fleet):
    assert steps.leaks(fleet, steps.private_keys(fleet)) == []


# --- by age


@pytest.fixture(scope="module")
def aged(labs):
    """A mesh of three nodes, whose engine looks every few seconds whether a key is due; none is."""
    lab = labs()
    try:
        lab.up(3, mesh=steps.mesh(["node1", "node2", "node3"], rotate_every="1h"), trigger="engine")
        conf = lab.dir / "hosts/master/etc/salt/master.d/wireguard-engine.conf"
        conf.write_text("engines:\n  - wireguard:\n      interval: 3.0\n")
        lab.off("master")
        lab.on("master")
        lab.recorder = steps.Recorder(lab)
        steps.build(lab, 3)
        yield lab
    finally:
        lab.down()


def age(lab, *nodes, seconds=DAY):
    """Let the keys of nodes be older than they are."""
    path = lab.dir / "hosts/master/var/cache/salt/master/wireguard/registry.db"
    with contextlib.closing(sqlite3.connect(path, timeout=30)) as connection, connection:
        for node in nodes:
            connection.execute("UPDATE node SET keyed = keyed - ? WHERE node = ?", [seconds, node])
        connection.execute("UPDATE generation SET value = value + 1")


def rotations(lab):
    """(what, node) of all rotations so far, in the order in which they happened."""
    entries = life.ask(lab, "history", "limit=1000")[1]["history"]
    return [(entry["what"], entry["node"]) for entry in entries if entry["what"].startswith("rotat")]


def test_old_keys_are_changed_unasked_one_node_after_the_other(aged):
    time.sleep(8)  # two of its looks
    assert rotations(aged) == []
    before = keys_of(aged)
    age(aged, "node1", "node2", "node3")
    steps.wait_until("three rotations", lambda: len(rotations(aged)) >= 6, life.UNTOLD_SECONDS)
    happened = rotations(aged)
    assert [what for what, _ in happened] == ["rotating", "rotated"] * 3
    assert [node for _, node in happened[0::2]] == [node for _, node in happened[1::2]]
    assert sorted(node for _, node in happened[0::2]) == ["node1", "node2", "node3"]
    after = keys_of(aged)
    assert [node for node in after if after[node] == before[node]] == []
    life.settle(aged, "node1", "node2", "node3")
    assert aged.ping()
    (first,) = [each for each in life.ask(aged, "history", "node1")[1]["history"] if each["what"] == "rotating"]
    assert (first["who"], first["why"]) == ("master", "rotate_every")


def test_a_node_that_is_off_does_not_keep_others_from_their_turn(aged):
    before = len(rotations(aged))
    aged.off("node1")
    age(aged, "node1", seconds=2 * DAY)
    age(aged, "node2")
    steps.wait_until(
        "node2 had its turn", lambda: ("rotated", "node2") in rotations(aged)[before:], 2 * life.UNTOLD_SECONDS
    )
    assert rotations(aged)[before:].count(("rotation_failed", "node1")) == 1
    aged.on("node1", boot=True)
    life.settle(aged, "node1", "node2", "node3")
    assert aged.ping()


def test_each_of_it_is_an_event_once(aged):
    life.check_each_entry_was_announced_once(aged)
    keys = json.dumps([data for _, data in life.announced(aged)])
    assert not [key for key in steps.private_keys(aged) if key in keys]
