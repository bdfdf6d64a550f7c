"""
One member is root-compromised, and does what it can to the others, through a real master: `make test-attack`.

Its modules are replaced by hostile ones, it signs whatever it likes with its own Salt key, and it fires any event. What
must hold is the same each time: nobody else loses row, address, key or place, and nobody who was revoked comes back.
Statements that are wrong in themselves are in ``test_trust``; here is what is right by its signature.
"""

import json
import re
import subprocess
import time

import pytest

import hostile
import steps
from hostile import LIAR, VICTIM
from saltext.wireguard.model.statements import REGISTER_TAG, REPORT_TAG, Registration, Report, sign
from test_trust import RAW, bare, event, private_pem, registry, send

pytestmark = [pytest.mark.slow, pytest.mark.attack]

NODES = ["node1", "node2", "node3", "node4"]
ESCAPES = "\x1b[2J\x1b]0;owned\x07\r\n\u202e"


@pytest.fixture(scope="module")
def fleet(lab):
    hostile.build(lab, NODES, steps.mesh(NODES))
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


def test_a_flood_of_true_registrations_costs_the_others_little(fleet):
    """One member that offered other endpoints each second cost every node a pillar each time."""
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
    return data.get("fun") in ("wireguard.sync", "wireguard.drop", "state.apply")


def test_a_flood_of_start_events_runs_no_state_again_and_again(fleet):
    """Each forged start of a member that waits to be let in ran a `state.apply` on it."""
    recorder = steps.Recorder(fleet)
    send(fleet, LIAR, [bare(f"salt/minion/{VICTIM}/start", {"id": VICTIM})] * 50)
    time.sleep(10)
    assert [data for tag, data in recorder.all() if tag.endswith("/new") and data.get("fun") == "state.apply"] == []
