"""What a command line gives back: exit codes, and what it says after Ctrl-C."""

import json
import subprocess

import pytest

import life
import steps

NODES = ["node1", "node2"]


@pytest.fixture(scope="module")
def fleet(lab):
    """A mesh of two nodes, without engine or reactor."""
    lab.up(len(NODES), mesh=steps.mesh(NODES), trigger="none")
    lab.recorder = steps.Recorder(lab)
    assert steps.reconcile(lab)[0] == 0
    return lab


@pytest.fixture
def one_off(fleet):
    """With node2 off, there is time for Ctrl-C."""
    fleet.off("node2")
    yield
    fleet.on("node2")
    life.await_answer(fleet, "node2")
    assert steps.reconcile(fleet, "everybody=True")[0] == 0


def interrupt(fleet, *args):
    """Run salt-run and press Ctrl-C when it has asked the nodes; gives exit code, output and errors."""
    before = len(life.jobs(fleet))
    argv = fleet.argv("exec", "master", "sh", "-c", 'echo $$; exec salt-run "$@"', "salt-run", *args)
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    pid = process.stdout.readline().strip()
    steps.wait_until("it has asked the nodes", lambda: len(life.jobs(fleet)) > before)
    fleet.must("exec", "master", "kill", "-INT", pid)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def test_ctrl_c_says_what_was_decided_and_what_goes_on(fleet, one_off):
    """Salt's handler of SIGINT ended in a traceback out of our code, and said nothing of the revocation that stood."""
    code, out, err = interrupt(fleet, "wireguard.revoke", "node1", "reason=a test")
    assert (code, err.split("\n")[1]) == (130, "Exiting gracefully on Ctrl-c")
    assert "Traceback" not in out + err
    assert "answer: interrupted, and nothing of what it decided is undone" in out
    assert "backbone  node1  revoked" in out
    assert "`salt-run wireguard.dropped node1` says who has dropped it" in out
    assert "node2: not confirmed yet" in out
    assert life.ask(fleet, "readmit", "node1")[0] == 1  # node2 is off


def test_ctrl_c_in_json_is_json(fleet, one_off):
    code, out, _ = interrupt(fleet, "--out=json", "wireguard.reconcile", "everybody=True")
    assert (code, json.loads(out)["answer"]) == (130, "interrupted")
