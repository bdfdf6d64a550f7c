"""What a command line gives back: exit codes, and what it says after Ctrl-C."""

import contextlib
import json
import re
import signal
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
    # What a shell starts in the background ignores Ctrl-C, and so do all that it starts.
    options = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)
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
    assert "answer: interrupted; what it decided is not undone" in out
    assert "backbone  node1  revoked" in out
    assert "`salt-run wireguard.dropped node1` lists the nodes that have dropped it" in out
    assert "node2: not confirmed yet" in out
    assert life.ask(fleet, "readmit", "node1")[0] == 1  # node2 is off


def test_ctrl_c_in_json_is_json(fleet, one_off):
    code, out, _ = interrupt(fleet, "--out=json", "wireguard.reconcile", "everybody=True")
    assert (code, json.loads(out)["answer"]) == (130, "interrupted")


# -- exit codes: the tests below provoke every row of the table in docs/operate.md

NEED_WG = ("drift", "reresolve", "show", "unmanaged", "inventory", "probe", "status", "netcheck")
DOCS = (steps.HERE.parents[1] / "docs/operate.md").read_text()
PROVOKED = set()


def rows_of_docs():
    """(function, exit code) of every row of the table that is not about success."""
    found = re.findall(r"^\| ([^|]+) \| (\d+) \| [^|]+ \|$", DOCS.partition("## Exit codes")[2], re.M)
    rows = {(function, int(code)) for names, code in found for function in re.findall(r"`(\w+)`", names) or [names]}
    return {(function, code) for function, code in rows if code}


def master_exits(fleet, *args):
    """The exit code of salt-run."""
    code = fleet.salt_run(f"wireguard.{args[0]}", *args[1:]).returncode
    PROVOKED.add((args[0], code))
    return code


def node_exits(fleet, *calls):
    """The exit codes of functions on node1, each with its list of arguments."""
    jobs = json.dumps([["node1", f"wireguard.{function}", arguments] for function, arguments in calls])
    answers = json.loads(fleet.must("exec", "master", "python3", str(steps.HERE / "call.py"), input=jobs))
    codes = [answer["node1"]["retcode"] for answer in answers]
    PROVOKED.update((function, code) for (function, _), code in zip(calls, codes, strict=True))
    return codes


@contextlib.contextmanager
def without_wg(fleet):
    """Have no `wg` on node1."""
    path = fleet.must("exec", "node1", "sh", "-c", "readlink -f $(command -v wg)").strip()
    fleet.must("exec", "node1", "mount", "--bind", "/bin/false", path)
    try:
        yield
    finally:
        fleet.must("exec", "node1", "umount", path)


@contextlib.contextmanager
def file_of_node1(fleet, name, text):
    """Have another content in a file of /etc/wireguard for a while."""
    path = fleet.dir / "hosts/node1/etc/wireguard" / name
    before = path.read_text() if path.exists() else None
    path.write_text(text)
    try:
        yield
    finally:
        path.write_text(before) if before is not None else path.unlink(missing_ok=True)


def test_what_succeeds_exits_with_zero(fleet):
    for command in (
        ["nodes"],
        ["addresses"],
        ["pending"],
        ["history"],
        ["validate"],
        ["plan"],
        ["view", "node1"],
        ["reconcile"],
        ["rotate_due"],
    ):
        assert master_exits(fleet, *command) == 0, command
    calls = [("sync", []), ("drift", []), ("reresolve", []), ("ping", []), ("rotate_abort", ["backbone"])]
    assert node_exits(fleet, *calls) == [0] * len(calls)


def test_a_plan_of_an_error_is_one_and_of_a_change_two(fleet):
    with steps.other_mesh(fleet, steps.mesh(NODES, mtu=1380)):
        assert master_exits(fleet, "plan") == 2
        assert master_exits(fleet, "validate") == 0
    with steps.other_mesh(fleet, steps.mesh(NODES, prot=1)):
        assert master_exits(fleet, "plan") == 1
        assert master_exits(fleet, "validate") == 1


def test_arguments_that_do_not_fit_are_an_error(fleet):
    """Salt printed a traceback's text and usage, and exited with 0."""
    for args in (["wireguard.revoke"], ["wireguard.nodes", "a", "b"]):
        done = fleet.salt_run(*args)
        assert done.returncode == 1
        assert f"see `salt-run -d {args[0]}`" in done.stdout
    PROVOKED.add(("any function", 1))


def test_of_an_argument_with_an_unknown_name_nothing_runs_and_it_exits_with_one(fleet):
    """Salt printed usage, and exited with 0."""
    done = fleet.salt_run("wireguard.revoke", "node1", "rason=stolen")
    assert (done.returncode, "got an unexpected keyword argument 'rason'" in done.stdout) == (1, True)
    assert [row["what"] for row in fleet.salt_run_json("wireguard.history", "limit=1")["history"]] != ["revoked"]


@pytest.mark.parametrize(
    "command",
    [
        ["nodes", "nowhere"],
        ["addresses", "nowhere"],
        ["status", "nowhere"],
        ["matrix", "nowhere"],
        ["graph", "nowhere"],
        ["report", "file=/nowhere/mesh.html"],
        ["metrics", "file=/nowhere/mesh.prom"],
        ["bundle", "file=/nowhere/bundle.json"],
        ["registry", "copy_to=nothing"],
        ["backup", "file=/nowhere/backup"],
        ["restore", "file=/nowhere/backup"],
        ["netcheck", "nobody"],
        ["drain", "nobody"],
        ["undrain", "node1"],
        ["drill", "off=nobody"],
        ["rename", "nobody", "node1"],
        ["view", "nobody"],
        ["history", "nobody"],
        ["export", "nobody"],
        ["enroll", "nobody"],
        ["adopt", "write=/nowhere/mesh.yml"],
        ["reject", "node1"],
        ["forget_serials", "node1"],
        ["pending", "too many"],
        ["hold", "too", "many"],
        ["hear", "too few"],
    ],
)
def test_what_cannot_be_done_is_an_error_of_one_line_and_exits_with_one(fleet, command):
    done = fleet.salt_run(f"wireguard.{command[0]}", *command[1:])
    PROVOKED.add((command[0], done.returncode))
    assert (done.returncode, len(done.stdout.splitlines()), "Traceback" in done.stderr) == (1, 1, False)


def test_what_cannot_be_done_on_a_node_is_one(fleet):
    errors = [
        *(
            (function, ["nowhere"])
            for function in ("apply", "check", "diff", "ping", "record", "rotate_prepare", "show")
        ),
        *((function, ["a/b"]) for function in ("keypair", "public_key")),
        *((function, ["no list"]) for function in ("enrollment", "gone")),
        ("apply_interface", ["wg7", "no list"]),
        ("clean", []),
        ("metrics", ["/nowhere/node.prom"]),
        ("move", [["no networks"]]),
        ("reaches", ["nowhere", "question1", {}]),
        ("watch", ["no number"]),
        ("adopt", ["nowhere"]),
        ("unadopt", []),
        ("leave", ["nowhere"]),
    ]
    assert node_exits(fleet, *errors) == [1] * len(errors)
    with file_of_node1(fleet, "wg7.conf", "[Interface]\n"):
        assert node_exits(fleet, ("remove", ["wg7"])) == [1]


def test_whoever_does_not_get_done_what_was_asked_exits_with_one(fleet, one_off):
    assert master_exits(fleet, "reconcile", "everybody=True", "timeout=2") == 1
    assert master_exits(fleet, "rotate", "node2", "timeout=2") == 1
    assert master_exits(fleet, "revoke", "node1", "timeout=2") == 1
    assert master_exits(fleet, "dropped", "node1", "timeout=2") == 1
    assert master_exits(fleet, "wait", "timeout=1") == 1
    assert master_exits(fleet, "why", "node1", "node2", "timeout=2") == 1
    assert master_exits(fleet, "hold") == 0
    assert master_exits(fleet, "readmit", "node1") == 1
    assert master_exits(fleet, "admit", "node1") == 1
    assert master_exits(fleet, "rotate_secret") == 1
    assert master_exits(fleet, "release") == 1


def test_a_failure_on_a_node_is_one(fleet):
    """A failed sync, delta or step of a rotation was a success to Salt."""
    with file_of_node1(fleet, "wg0.conf", "[Interface]\n"):
        assert node_exits(fleet, ("sync", [])) == [1]
        assert fleet.salt("node1", "wireguard.sync").returncode == 1
        assert fleet.exec("node1", "salt-call", "wireguard.sync").returncode == 1
    with file_of_node1(fleet, "wg0.key.previous", "another\n"):
        assert node_exits(fleet, ("rotate_abort", ["backbone"])) == [1]
    outdated = [{"backbone": [steps.public_key(fleet, "node2")]}, False, 1]
    rotation = [("rotate_switch", ["backbone"]), ("rotate_follow", ["backbone", "a", "b"])]
    assert node_exits(fleet, ("delta", outdated), *rotation) == [1, 1, 1]
    with without_wg(fleet):
        calls = [(function, []) for function in NEED_WG]
        calls.append(("examine", ["backbone", {"node1": {"node2": ["10.42.0.2"]}}]))
        assert node_exits(fleet, *calls) == [1] * len(calls)


def test_a_key_that_was_due_and_was_not_rotated_is_one(fleet):
    with steps.other_mesh(fleet, steps.mesh(NODES, rotate_every="1h")), without_wg(fleet):
        steps.age_keys(fleet)
        assert master_exits(fleet, "rotate_due") == 1


def test_the_table_in_docs_is_complete(fleet):
    assert {row for row in PROVOKED if row[1]} | {("any function", 130)} == rows_of_docs()
