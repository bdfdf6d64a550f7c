"""What an operator is told who interrupts a command: what it has decided, and what goes on without it."""

import sys
import time

import pytest

from answering import Fleet
from factories import mesh_text
from operating import operator_of
from saltext.wireguard.control.exit_codes import INTERRUPTED
from saltext.wireguard.control.interruption import interrupted
from saltext.wireguard.control.operator import run
from saltext.wireguard.control.reconcile import reconcile
from saltext.wireguard.control.removal import revoke
from saltext.wireguard.control.rotate import rotate


@pytest.fixture
def fleet(tmp_path):
    return Fleet(tmp_path, "abc")


def interrupt(fleet, verb, *args, at=1, **opts):
    """Have Ctrl-C come with the job of this number, as Salt's handler of it does; gives the answer and the context."""
    operator = operator_of(fleet, opts={"fun": f"wireguard.{verb.__name__}", "output": "json", **opts})
    jobs = iter(range(1, 100))

    def on_publish():
        if next(jobs) == at:
            sys.exit(0)

    fleet.on_publish = on_publish
    context = {}
    return run(verb, operator, context, *args), context


def test_a_command_that_decided_nothing_names_who_is_out_of_date(fleet):
    """Salt printed a traceback, and an exit code of 1."""
    fleet.change_everybody()
    said, context = interrupt(fleet, reconcile)
    assert (said["retcode"], context["retcode"]) == (INTERRUPTED, 1)
    assert (said["answer"], said["done"]) == ("interrupted", [])
    (line,) = said["next"]
    assert line.startswith("a, b, c: not confirmed yet. A node that was asked finishes by itself. The next reconcile")


def test_a_revocation_stands_and_the_answer_says_how_to_see_who_has_dropped_it(fleet):
    said, _ = interrupt(fleet, revoke, "b", None, "stolen", 1)
    assert said["answer"] == "interrupted; what it decided is not undone"
    assert said["done"] == [{"network": "net", "node": "b", "what": "revoked"}]
    assert said["next"][0].startswith("`salt-run wireguard.dropped b` lists the nodes that have dropped it")
    assert said["next"][1].startswith("a, b, c: not confirmed yet.")
    fleet.on_publish = lambda: None
    assert reconcile(operator_of(fleet))["failed"] == {}
    assert revoke(operator_of(fleet), "b", None, "", 1)["missing"] == []


def test_a_rotation_that_was_announced_is_ended_by_a_reconcile(fleet):
    said, _ = interrupt(fleet, rotate, "a", None, 1, False, at=2)
    assert [row["what"] for row in said["done"]] == ["rotating"]
    assert said["next"][0] == "the rotation of a is not finished: peers accept both keys, and a reconcile ends it"
    fleet.on_publish = lambda: None
    assert reconcile(operator_of(fleet))["failed"] == {}
    assert fleet.row("a").next_key is None


def test_a_rollout_leaves_changes_on_hold_and_says_so(fleet):
    fleet.change_everybody()
    operator = operator_of(fleet, opts={"fun": "wireguard.reconcile"})
    fleet.on_publish = lambda: sys.exit(0)
    said = run(reconcile, operator, {}, canary="a")
    assert said["outputter"] == "wireguard"
    assert said["next"][-1].startswith("changes are on hold since ")


def test_of_what_others_or_earlier_commands_did_nothing_is_said(fleet):
    fleet.master.registry.admissions.revoke("net", "b", "bob", "")
    assert interrupted(fleet.master, "alice", 0)["done"] == []
    assert [row["node"] for row in interrupted(fleet.master, "bob", 0)["done"]] == ["b"]
    assert interrupted(fleet.master, "bob", time.time())["done"] == []


def test_with_everybody_in_sync_there_is_nothing_to_do(fleet):
    assert interrupted(fleet.master, "alice", 0) == {"answer": "interrupted", "done": [], "next": []}


def test_an_invalid_mesh_file_is_named(fleet):
    fleet.mesh.write_text(mesh_text("'*': {}", extra="prot: 1"))
    (line,) = interrupted(fleet.master, "alice", 0)["next"]
    assert line.startswith("nodes cannot be changed now: ")
    assert "prot" in line


def test_a_daemon_that_is_to_end_is_not_kept_from_it(fleet):
    def verb(operator):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(verb, operator_of(fleet), {})
    with pytest.raises(SystemExit):
        interrupt(fleet, lambda operator: sys.exit(0), fun="state.orchestrate")
