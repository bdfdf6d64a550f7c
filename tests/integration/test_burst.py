"""
Many registrations at once at a real master: all are stored, once, and they cost few reconciles. What misbehaves among
them is refused. A master that dies in the middle loses nothing that it had acknowledged.

The minions are key pairs that sign in and register, and nothing else, so reconciles ask them in vain. Making and using
so many RSA keys is much of the work; ``lab/load.py`` takes any number.
"""

import contextlib
import json
import random
import re
import sqlite3
import subprocess
import time
from contextlib import closing

import pytest

import steps
from saltext.wireguard.registry.registry import Registry

pytestmark = pytest.mark.slow

LOAD = str(steps.HERE.parents[1] / "lab" / "load.py")
WITH_ENGINE, WITH_REACTOR, WITH_DEATHS = 300, 300, 120
DEATHS = 20
HOST = "node1"
BEGINS = "wireguard: a reconcile begins"
ENDS = "wireguard: a reconcile ends"
# While the registrations come in, there may be one every few seconds; the machine that tests this may be slow.
A_HANDFUL = 6


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """Key pairs are made once."""
    return tmp_path_factory.mktemp("minions")


@pytest.fixture
def up(labs, keys):
    """A maker of labs with one real minion, on whose host the others register."""
    with contextlib.ExitStack() as stack:

        def make(trigger):
            lab = labs()
            stack.callback(lab.down)
            lab.up(1, trigger=trigger)
            lab.keys = keys
            return lab

        yield make


def load_argv(lab, count, **options):
    config = str(lab.dir / "hosts/master/etc/salt/master")
    words = {"master-config": config, "keys": str(lab.keys), "count": str(count), "bad-share": "0.2", **options}
    return lab.argv("exec", HOST, "python3", LOAD, *(f"--{name}={value}" for name, value in words.items()), "--report")


def load(lab, count, **options):
    """Let the minions register. Returns what they did."""
    done = subprocess.run(load_argv(lab, count, **options), capture_output=True, text=True, check=False, timeout=900)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def registry(lab):
    return Registry(str(lab.dir / "hosts/master/var/cache/salt/master/wireguard/registry.db"))


def rows(lab):
    """What the registry has of the minions of this test."""
    return {node: row for (_, node), row in registry(lab).snapshot().rows.items() if node.startswith("load")}


def assert_complete(lab, said):
    """Every minion is stored as it registered last, once, with addresses of its own, in a file without a fault."""
    stored = {
        node: {"public_key": row.public_key, "serial": row.serial, "endpoints": list(row.endpoints)}
        for node, row in rows(lab).items()
    }
    assert stored == said["nodes"]
    everybody = registry(lab).snapshot().rows.values()
    given = [address for row in everybody for address in row.addresses]
    assert len(set(given)) == len(given) == 2 * len(everybody)
    first = [entry.node for entry in registry(lab).audit.history(limit=10**6) if entry.what == "registered"]
    assert sorted(first) == sorted({row.node for row in everybody})
    with closing(sqlite3.connect(registry(lab).place)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def refusals(lab):
    return {
        reason: [each for each in registry(lab).audit.refusals() if re.search(reason, each.reason)]
        for reason in REASONS
    }


REASONS = ("its serial .* is not newer than", "its signature was not made with")


def reconciles(lab):
    """How many began, and how many ended."""
    log = lab.log("master")
    return log.count(BEGINS), log.count(ENDS)


def wait_until_idle(lab):
    """All reconciles that began have ended, and no other one begins."""
    seen = [reconciles(lab), time.monotonic()]

    def check():
        now = reconciles(lab)
        if now != seen[0] or now[0] != now[1]:
            seen[:] = [now, time.monotonic()]
        return time.monotonic() > seen[1] + 8

    steps.wait_until("no reconcile", check, 300)


def test_with_the_engine_a_burst_is_stored_completely_for_a_handful_of_reconciles(up):
    lab = up("engine")
    wait_until_idle(lab)
    before = reconciles(lab)[0]
    said = load(lab, WITH_ENGINE, seconds=5, wait=120)
    assert_complete(lab, said)
    wait_until_idle(lab)
    assert reconciles(lab)[0] - before <= A_HANDFUL
    found = refusals(lab)
    assert all(found.values())
    # an event that comes during a reconcile is heard by both, the engine and the reconcile
    count = sum(each.count for every in found.values() for each in every)
    assert said["refused"] <= count <= 2 * said["refused"]
    assert said["again"] == said["failures"] == 0, said
    triggers_while_one_reconcile_runs_cost_one_more(lab, 60)


def test_with_the_reactor_a_burst_comes_to_the_same_end(up):
    lab = up("reactor")
    wait_until_idle(lab)
    before = reconciles(lab)[0]
    said = load(lab, WITH_REACTOR, seconds=5, wait=400)
    assert_complete(lab, said)
    steps.wait_until("all reports taken in", lambda: len(registry(lab).applied()) >= WITH_REACTOR, 400)
    steps.wait_until("the forged ones refused", lambda: refusals(lab)[REASONS[1]])
    wait_until_idle(lab)
    assert reconciles(lab)[0] - before <= A_HANDFUL + 2 * (said["again"] > 0)
    triggers_while_one_reconcile_runs_cost_one_more(lab, 20)


def triggers_while_one_reconcile_runs_cost_one_more(lab, count):
    """The minions of the burst never answer, so a reconcile that asks them lasts until its patience of 20 s is over."""
    began, ended = reconciles(lab)
    # the digest of some nodes changes, which the engine does not see: it would trigger by itself
    with closing(sqlite3.connect(registry(lab).place)) as connection, connection:
        connection.execute("UPDATE report SET digest = 'another' WHERE node LIKE 'load000%'")
    start = (f"salt/minion/{HOST}/start", {"cmd": "_minion_event"})
    steps.send_events(lab, HOST, [start])
    steps.wait_until("a reconcile runs", lambda: reconciles(lab)[0] == began + 1)
    steps.send_events(lab, HOST, [start] * count)
    assert reconciles(lab) == (began + 1, ended), "it was over too soon"
    wait_until_idle(lab)
    assert reconciles(lab) == (began + 2, ended + 2)


def test_a_master_that_dies_in_a_burst_loses_nothing_that_it_acknowledged(up):
    """As many deaths of bare writers are in the unit tests of the store."""
    lab = up("engine")
    load(lab, 2, seconds=0.1, wait=60)  # the registry is there, and a few keys
    chance = random.Random(3)
    argv = load_argv(lab, WITH_DEATHS, seconds=10 * DEATHS, wait=900)
    acknowledged = {}
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as burst:
        for _ in range(DEATHS):
            seen = len(rows(lab))
            steps.wait_until(
                "some more are stored", lambda seen=seen: len(rows(lab)) > seen or burst.poll() is not None, 300
            )
            time.sleep(chance.uniform(0, 2))
            acknowledged |= {node: (row.serial, row.addresses) for node, row in rows(lab).items()}
            lab.off("master")
            assert lost(lab, acknowledged) == []
            lab.on("master")
            assert lost(lab, acknowledged) == []
        out, err = burst.communicate(timeout=1200)
    assert burst.returncode == 0, err
    assert_complete(lab, json.loads(out))
    assert lost(lab, acknowledged) == []
    assert len(acknowledged) > 2


def lost(lab, acknowledged):
    """What was acknowledged, and is not there any more, or an older one, or has other addresses."""
    now = rows(lab)
    return [
        node
        for node, (serial, addresses) in acknowledged.items()
        if node not in now or now[node].serial < serial or now[node].addresses != addresses
    ]
