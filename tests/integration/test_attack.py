"""
One member is root-compromised, and does what it can to the others, through a real master: `make test-attack`.

Its modules are replaced by hostile ones, it signs whatever it likes with its own Salt key, and it fires any event. What
must hold is the same each time: nobody else loses row, address, key or place, and nobody who was revoked comes back.
Statements that are wrong in themselves are in ``test_trust``; here is what is right by its signature.
"""

import base64
import contextlib
import json
import os
import re
import shutil
import sqlite3
import subprocess
import time
from contextlib import closing

import pytest

import hostile
import steps
from hostile import LIAR, VICTIM
from saltext.wireguard.model.statements import REGISTER_TAG, REPORT_TAG, Registration, Report, sign
from test_trust import RAW, bare, event, private_pem, registry, send

pytestmark = [pytest.mark.slow, pytest.mark.attack]

NODES = ["node1", "node2", "node3", "node4"]
# The glob lets in whoever has an accepted key, whatever it calls itself.
ENTRIES = {"*": {}, **{node: {} for node in NODES}}
# Ids that are placeholders, another's old key, another's in other letters, options, code, globs.
ODD_IDS = ["x@PRIVATE_KEY@", f"{VICTIM} (old key)", VICTIM.upper(), "-a", "--help", "x..x", "a b", "$(id)", "*", "ü"]
ESCAPES = "\x1b[2J\x1b]0;owned\x07\r\n\u202e"


@pytest.fixture(scope="module")
def fleet(lab):
    hostile.build(lab, NODES, steps.mesh(ENTRIES))
    return lab


@pytest.fixture(autouse=True)
def nobody_else_loses_anything(fleet):
    with hostile.nobody_else_loses_anything(fleet, NODES):
        yield


# -- rotations


def test_an_answer_in_anothers_place_announces_nothing(fleet):
    """An announcement of a node that had not been asked was taken for the answer."""
    recorder = steps.Recorder(fleet)
    argv = fleet.argv("salt-run", "wireguard.rotate", VICTIM, "--out=json")
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as rotating:
        jid = steps.wait_until("the job", lambda: job_of(recorder, "wireguard.rotate_prepare", VICTIM))
        key = "bKEaZsQvEI1sLm2s/MXW+j8D3hP9W+BHV4BoGGUt53k="
        forged = {"id": VICTIM, "jid": jid, "fun": "wireguard.rotate_prepare", "success": True, "retcode": 0}
        forged["return"] = hostile.announcement(fleet, key)
        send(fleet, LIAR, [bare(f"salt/job/{jid}/ret/{VICTIM}", forged)] * 5)
        rotating.communicate(timeout=200)
    assert registry(fleet).snapshot().rows[steps.NETWORK, LIAR].next_key is None
    abandon(fleet, VICTIM)


def test_a_forged_answer_that_it_did_not_switch_cuts_nobody_off(fleet):
    """The peers forgot the next key, which the node used by then; with `rekey: manual` it was out until admitted."""
    recorder, before = steps.Recorder(fleet), steps.public_key(fleet, VICTIM)
    mesh = steps.mesh(ENTRIES, rekey="manual")
    with hostile.with_module(fleet, VICTIM, hostile.LATE), steps.other_mesh(fleet, mesh):
        argv = fleet.argv("salt-run", "wireguard.rotate", VICTIM, "--out=json")
        with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as rotating:
            jid = steps.wait_until("the job", lambda: job_of(recorder, "wireguard.rotate_switch", VICTIM))
            forged = {"id": VICTIM, "jid": jid, "fun": "wireguard.rotate_switch", "success": True, "retcode": 0}
            forged["return"] = {"switched": False, "comment": "it does not want to"}
            send(fleet, LIAR, [bare(f"salt/job/{jid}/ret/{VICTIM}", forged)] * 5)
            rotating.communicate(timeout=200)
        steps.wait_until("everybody in sync", lambda: steps.in_sync(fleet, *NODES))
        key = steps.public_key(fleet, VICTIM)
        assert key != before
        assert [node for node in NODES if node != VICTIM and key not in steps.peers(fleet, node)] == []
    assert fleet.ping()


def job_of(recorder, function, node):
    for tag, data in recorder.all():
        if re.fullmatch(r"salt/job/\d+/new", tag) and data.get("fun") == function and node in data.get("minions", []):
            return data["jid"]
    return None


def abandon(lab, node):
    """The victim's own answer may have come first: then it has a new key of its own making, which is no loss."""
    steps.wait_until("its rotation over", lambda: registry(lab).snapshot().rows[steps.NETWORK, node].next_key is None)


def test_words_of_an_answer_are_one_short_line_in_history_and_log(fleet):
    """Five million characters went into both, and escape sequences with them."""
    hostile.answers(fleet, rotate_switch={"switched": False, "comment": ESCAPES + "x" * 1_000_000})
    row = hostile.rotate(fleet, LIAR)
    assert row["rotated"] is False
    assert len(row["comment"]) < 500
    entries = [entry for entry in registry(fleet).audit.history(LIAR) if entry.what == "rotation_failed"]
    assert entries
    assert all(entry.why.isprintable() and len(entry.why) < 500 for entry in entries)
    log = [line for line in fleet.log("master").splitlines() if "was not rotated" in line]
    assert all(line.isprintable() and len(line) < 1000 for line in log)


# -- numbers from the future


def test_statements_with_numbers_from_the_future_lock_nobody_out(fleet):
    """A serial of 2^63-1 was the last that the node could ever send; a generation would have been everybody's."""
    far = 2**63 - 1
    pem, key = private_pem(fleet, LIAR), steps.public_key(fleet, LIAR)
    loads = [
        event(REPORT_TAG, {"signed": sign(Report(LIAR, steps.NETWORK, "0" * 64, far), pem)}),
        event(REPORT_TAG, {"signed": sign(Report(LIAR, steps.NETWORK, "0" * 64, time.time_ns(), generation=far), pem)}),
        event(REGISTER_TAG, {"signed": sign(Registration(LIAR, steps.NETWORK, key, (), 51820, far), pem)}),
    ]
    send(fleet, LIAR, loads)
    steps.wait_until(
        "all refused", lambda: sum(row["count"] for row in steps.refused(fleet) if row["node"] == LIAR) >= 3
    )
    assert registry(fleet).snapshot().generation < time.time_ns() + 10**9
    assert steps.reconcile(fleet, "everybody=True")[0] == 0


# -- what a member may say, and how often


def test_an_address_from_inside_the_mesh_becomes_nobodys_endpoint(fleet):
    """A packet to there was wrapped by the same tunnel again and again, on every other node."""
    pem, key = private_pem(fleet, LIAR), steps.public_key(fleet, LIAR)
    rows = registry(fleet).snapshot().rows
    inner = tuple(str(rows[steps.NETWORK, node].addresses[0]) for node in (LIAR, VICTIM))
    for offered in (inner, rows[steps.NETWORK, LIAR].endpoints):
        said = Registration(LIAR, steps.NETWORK, key, offered, 51820, time.time_ns())
        send(fleet, LIAR, [event(REGISTER_TAG, {"signed": sign(said, pem)})])
        steps.wait_until("that it is stored", lambda: endpoints_of(fleet, LIAR) == offered)  # noqa: B023
        assert steps.reconcile(fleet)[0] == 0
        for node in ("node2", "node3"):
            assert steps.peers(fleet, node)[key]["endpoint"].rpartition(":")[0] not in inner


def endpoints_of(lab, node):
    return registry(lab).snapshot().rows[steps.NETWORK, node].endpoints


def test_a_flood_of_true_registrations_costs_the_others_little(fleet):
    """
    One member that offered other endpoints each second cost every node a pillar each time; and where the others had
    sessions with it, they took back all that came with such a change.
    """
    assert fleet.ping()
    recorder = steps.Recorder(fleet)
    pem, key = private_pem(fleet, LIAR), steps.public_key(fleet, LIAR)
    loads = [
        event(
            REGISTER_TAG,
            {"signed": sign(Registration(LIAR, steps.NETWORK, key, (f"10.99.0.{n}",), 51820, time.time_ns() + n), pem)},
        )
        for n in range(1, 101)
    ]
    argv = fleet.argv("exec", LIAR, "python3", "-c", RAW)
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as flood:
        flood.communicate(json.dumps(loads), timeout=200)
    time.sleep(10)
    asked = [data for tag, data in recorder.all() if re.fullmatch(r"salt/job/\d+/new", tag) and is_push(data)]
    to_others = [data for data in asked if set(data.get("minions", [])) - {LIAR}]
    assert len(to_others) <= 10, [data["fun"] for data in to_others]


def is_push(data):
    return data.get("fun") in ("wireguard.sync", "wireguard.delta", "state.apply")


def test_a_flood_of_start_events_runs_no_state_again_and_again(fleet):
    """Each forged start of a member that waits to be let in ran a `state.apply` on it."""
    recorder = steps.Recorder(fleet)
    send(fleet, LIAR, [bare(f"salt/minion/{VICTIM}/start", {"id": VICTIM})] * 50)
    time.sleep(10)
    assert [data for tag, data in recorder.all() if tag.endswith("/new") and data.get("fun") == "state.apply"] == []


# -- names


def test_ids_that_are_no_host_names_are_let_in_nowhere(fleet):
    """One was a placeholder of the configuration file, another took the addresses of a node in a rotation."""
    pki = fleet.dir / "hosts/master/etc/salt/pki/master"
    pem, own_key = private_pem(fleet, LIAR), (pki / "minions" / LIAR).read_bytes()
    for odd in ODD_IDS:
        (pki / "minions_pre" / odd).write_bytes(own_key)
    try:
        assert fleet.salt_key("-y", "-A").returncode == 0
        keys = {odd: base64.b64encode(os.urandom(31) + b"\1").decode() for odd in ODD_IDS}
        said = [Registration(odd, steps.NETWORK, key, (), 51820, time.time_ns()) for odd, key in keys.items()]
        send(fleet, LIAR, [event(REGISTER_TAG, {"signed": sign(each, pem)}) for each in said])
        reasons = steps.wait_until("all refused", lambda: all_refused(fleet, ODD_IDS))
        assert [reason for reason in reasons.values() if "minion id" not in reason and "two ids" not in reason] == []
        pillar = fleet.exec(LIAR, "salt-call", f"--id={ODD_IDS[0]}", "--out=json", "pillar.items")
        assert "local" in pillar.stdout, pillar.stdout + pillar.stderr
        assert "public_key" not in pillar.stdout
        assert steps.reconcile(fleet, "everybody=True")[0] == 0
        for node in NODES:
            assert not set(keys.values()) & set(steps.peers(fleet, node))
            assert "@PRIVATE_KEY@" not in "".join(steps.wireguard_files(fleet, node).values())
    finally:
        for odd in ODD_IDS:
            for state in ("minions", "minions_pre"):
                (pki / state / odd).unlink(missing_ok=True)


def all_refused(lab, ids):
    reasons = {row["node"]: row["reason"] for row in steps.refused(lab) if row["node"] in ids}
    return reasons if len(reasons) == len(ids) else None


def test_a_name_that_resolves_to_nonsense_costs_nobody_but_its_owner_its_tunnels(fleet):
    """It raised for all networks of a node, which could apply nothing then, not even a revocation."""
    gone = steps.public_key(fleet, "node4")
    liars = steps.public_key(fleet, LIAR)
    with steps.other_mesh(fleet, steps.mesh({**ENTRIES, LIAR: {"endpoint": "liar.test"}})):
        inside = str(registry(fleet).snapshot().rows[steps.NETWORK, VICTIM].addresses[0])
        for address in ("0.0.0.0", "::", "224.0.0.1", "ff02::1", "fe80::1%eth0", "255.255.255.255", inside):
            fleet.must("point", "liar.test", address)
            code, result = steps.reconcile(fleet, "everybody=True")
            assert code == 0, (address, result)
            for node in ("node2", "node3"):
                assert steps.peers(fleet, node)[liars]["endpoint"].rsplit(":", 1)[0].strip("[]") != address
        try:
            done = fleet.salt_run("wireguard.revoke", "node4", "reason=test", "--out=json")
            assert done.returncode == 0, done.stdout + done.stderr
            assert [node for node in NODES[:3] if gone in steps.peers(fleet, node)] == []
        finally:
            fleet.salt_run("wireguard.readmit", "node4")
            fleet.must("point", "liar.test", LIAR)
    steps.reconcile(fleet)


# -- a member that was shut out


def test_a_revoked_member_stays_out_through_a_reboot_a_rollback_of_the_mesh_file_and_an_old_registry(fleet, tmp_path):
    key, text = steps.public_key(fleet, LIAR), fleet.mesh_file.read_text()
    database = fleet.dir / "hosts/master/var/cache/salt/master/wireguard/registry.db"
    backup = tmp_path / "registry.db"
    with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(backup)) as target:
        source.backup(target)
    try:
        assert fleet.salt_run("wireguard.revoke", LIAR, "reason=test", "--out=json").returncode == 0
        fleet.off(VICTIM)
        fleet.on(VICTIM, boot=True)
        assert with_peer(fleet, key) == []
        steps.edit_mesh(fleet, steps.mesh({**ENTRIES, LIAR: {}, "node3": {"mtu": 1380}}))
        assert steps.reconcile(fleet)[0] == 0
        steps.edit_mesh(fleet, text)
        assert steps.reconcile(fleet)[0] == 0
        assert with_peer(fleet, key) == []
        fleet.off("master")
        for file in database.parent.glob("registry.db*"):
            file.unlink()
        database.write_bytes(backup.read_bytes())
        fleet.on("master")
        assert steps.reconcile(fleet, "everybody=True")[0] == 0
        assert with_peer(fleet, key) == []
    finally:
        fleet.salt_run("wireguard.readmit", LIAR)


@contextlib.contextmanager
def readmitted_at_the_end(lab):
    try:
        yield steps.public_key(lab, LIAR)
    finally:
        lab.salt_run("wireguard.readmit", LIAR)


def revoke(lab):
    return lab.salt_run("wireguard.revoke", LIAR, "reason=test", "--out=json")


def test_a_revoked_member_stays_out_of_a_sync_that_was_under_way(fleet):
    """It had fetched its pillar before the revocation, and applied it after."""
    fleet.must("exec", "node3", "touch", "/var/tmp/hostile-hold")
    argv, held = fleet.argv("exec", "node3", "salt-call", "--out=json", "wireguard.sync"), "/var/tmp/hostile-held"
    with readmitted_at_the_end(fleet) as key, hostile.with_module(fleet, "node3", hostile.SLOW):
        with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as late:
            steps.wait_until("the pillar", lambda: fleet.exec("node3", "test", "-e", held).returncode == 0)
            done = revoke(fleet)
            fleet.must("exec", "node3", "rm", held)
            said, _ = late.communicate(timeout=200)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "older than what was applied here" in said
        assert with_peer(fleet, key) == []
        assert key not in "".join(steps.wireguard_files(fleet, "node3").values())


def test_a_revoked_member_stays_out_of_pillars_that_the_master_cached(fleet):
    """With `pillar_cache: True`, each state.apply brought it back."""
    option = fleet.dir / "hosts/master/etc/salt/master.d/cache.conf"
    option.write_text("pillar_cache: True\npillar_cache_ttl: 3600\n")
    try:
        restart_master(fleet)
        for node in NODES:
            fleet.salt_json(node, "wireguard.sync")
        with readmitted_at_the_end(fleet) as key:
            revoke(fleet)
            for node in ("node3", "node4"):
                for words in (("wireguard.sync",), ("wireguard.apply",), ("state.apply", "wireguard")):
                    fleet.salt(node, *words)
                    assert with_peer(fleet, key) == [], words
    finally:
        option.unlink()
        restart_master(fleet)


def restart_master(lab):
    lab.off("master")
    lab.on("master")


@pytest.mark.skipif(shutil.which("nft") is None, reason="needs nft")
def test_a_revoked_member_stays_out_when_the_change_that_brings_the_news_fails(fleet):
    """A node that was off gets the revocation together with a change that cuts it off, and takes the latter back."""
    fleet.off("node3")
    with readmitted_at_the_end(fleet) as key:
        revoke(fleet)
        with steps.other_mesh(fleet, steps.mesh({**ENTRIES, "node3": {"port": 52001}})):
            try:
                fleet.on("node3", boot=True, salt=False)
                assert with_peer(fleet, key) == ["node3"]
                fleet.must("exec", "node3", "sh", "-c", FIREWALL)
                for row in steps.nodes(fleet).values():
                    fleet.exec("node3", "ping", "-c", "3", "-i", "0.3", "-W", "1", row["addresses"][0])
                said = fleet.exec("node3", "salt-call", "--out=json", "wireguard.sync").stdout
                assert "rolled back" in said, said
                assert fleet.must("exec", "node3", "wg", "show", "wg0", "listen-port").strip() == "51820"
                assert with_peer(fleet, key) == []
                assert key not in "".join(steps.wireguard_files(fleet, "node3").values())
            finally:
                fleet.off("node3")
        fleet.on("node3", boot=True)
        assert with_peer(fleet, key) == []


# Of WireGuard, only the port that the node has passes.
FIREWALL = """
nft -f - <<END
table inet firewall {
    chain out { type filter hook output priority 0; oifname eth0 udp sport != 51820 drop; }
    chain in { type filter hook input priority 0; iifname eth0 udp dport != 51820 drop; }
}
END
"""


def with_peer(lab, key):
    """The nodes that let this key in."""
    return [node for node in NODES if node != LIAR and key in steps.peers(lab, node)]
