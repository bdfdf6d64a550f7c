"""What Salt's own tools make of our runner: orchestration, job events, RunnerClient and salt-api, and who it was."""

import json
import re
import subprocess

import pytest

import steps

NODES = ["node1", "node2"]
ROLES = (steps.HERE.parents[1] / "examples/master.d/wireguard-roles.conf").read_text()
PASSWORD = "only in this lab"
API = {
    "sharedsecret": PASSWORD,
    "netapi_enable_clients": ["local", "runner"],
    "rest_cherrypy": {"host": "127.0.0.1", "port": 8000, "disable_ssl": True},
}

GOOD = """\
{% for name in ('validate', 'plan', 'nodes', 'addresses', 'reconcile', 'history', 'pending') %}
wireguard.{{ name }}:
  salt.runner: []
{% endfor %}
wireguard.view:
  salt.runner:
    - node: node1
wireguard.revoke:
  salt.runner:
    - node: node2
    - reason: an orchestration
"""

BAD = """\
wireguard.validate:
  salt.runner:
    - mesh: /no/such/mesh.yml
wireguard.view:
  salt.runner:
    - node: nobody
"""

RUNNER_CLIENT = """
import json, os, sys, salt.config, salt.runner
client = salt.runner.RunnerClient(salt.config.master_config(os.path.join(os.environ["SALT_CONFIG_DIR"], "master")))
calls = json.load(sys.stdin)
json.dump([client.cmd(fun, kwarg=kw, full_return=True, print_event=False) for fun, kw in calls], sys.stdout)
"""

REQUEST = """
import json, sys, urllib.request, urllib.error
request = urllib.request.Request("http://127.0.0.1:8000/run", sys.stdin.buffer.read())
request.add_header("Content-Type", "application/json")
try:
    with urllib.request.urlopen(request, timeout=60) as answer:
        print(json.dumps([answer.status, json.load(answer)["return"][0]]))
except urllib.error.HTTPError as error:
    print(json.dumps([error.code, None]))
"""


@pytest.fixture(scope="module")
def fleet(lab):
    """A mesh of two nodes, an API for a viewer and an operator, and files for an orchestration."""
    lab.up(len(NODES), mesh=steps.mesh(NODES), trigger="none")
    roles = ROLES.replace("pam:", "sharedsecret:").replace("-viewers%", "-viewer").replace("-operators%", "-operator")
    master_d = lab.dir / "hosts/master/etc/salt/master.d"
    (master_d / "wireguard-roles.conf").write_text(roles)
    (master_d / "api.conf").write_text(json.dumps(API))
    for name, text in {"good": GOOD, "bad": BAD}.items():
        (lab.dir / "srv" / f"{name}.sls").write_text(text)
    lab.off("master")
    lab.on("master")
    lab.recorder = steps.Recorder(lab)
    assert steps.state_apply(lab).keys() == set(NODES)
    assert steps.reconcile(lab)[0] == 0
    return lab


@pytest.fixture(scope="module")
def api(fleet):
    """Ask salt-api for what a person wants; gives the HTTP status and the answer."""
    # it ends with the master's host
    log = (fleet.dir / "api.log").open("w")
    subprocess.Popen(fleet.argv("exec", "master", "salt-api", "-l", "warning"), stdout=log, stderr=log)

    def ask(role, client, fun, **fields):
        who = {"username": f"wireguard-{role}", "password": PASSWORD, "eauth": "sharedsecret"}
        low = {"client": client, "fun": fun, **who, **fields}
        return json.loads(fleet.must("exec", "master", "python3", "-c", REQUEST, input=json.dumps([low])))

    def answers():
        done = fleet.exec("master", "python3", "-c", "import socket; socket.create_connection(('127.0.0.1', 8000))")
        return done.returncode == 0

    steps.wait_until("salt-api answers", answers)
    return ask


def orchestrate(fleet, name, *args):
    """Run an orchestration; gives its exit code and, by name of the runner function, result and return."""
    command = ["salt-run", "--out=json", "state.orchestrate", name, *args]
    done = fleet.run("exec", "master", "env", "SUDO_USER=carol", *command)
    (states,) = steps.documents(done.stdout)[-1]["data"].values()
    return done.returncode, {each["name"]: (each["result"], each["changes"]["return"]) for each in states.values()}


def test_people_see_tables_of_nodes_and_programs_data(fleet):
    """`wireguard.ping` of a fleet was nested dictionaries."""
    table = fleet.salt("--static", "--out=wireguard", "*", "wireguard.ping").stdout.splitlines()
    assert table[:2] == ["pings:", "  node   network   asked  silent  mtu   narrow"]
    assert [line.split()[:4] for line in table[2:]] == [[node, steps.NETWORK, "1", "-"] for node in NODES]
    assert sorted(fleet.salt("*", "wireguard.ping").stdout.splitlines()) == sorted([*table, *table[:2]])
    assert fleet.salt_json("*", "wireguard.ping")["node1"][steps.NETWORK]["asked"] == 1
    shown = fleet.must("exec", "node1", "salt-call", "wireguard.show").splitlines()
    assert [line.split()[:2] for line in shown if line.startswith("  local")] == [["local", "wg0"]] * 2


def test_what_succeeds_is_a_success_in_an_orchestration(fleet):
    """Every runner function that succeeded was failed to Salt, which judged its answer as results of states."""
    code, ran = orchestrate(fleet, "good")
    assert len(ran) == 9
    assert {name: answer for name, (result, answer) in ran.items() if result is not True} == {}
    assert code == 0
    assert ran["wireguard.validate"][1]["valid"] is True
    assert {row["node"] for row in ran["wireguard.nodes"][1]["nodes"]} == set(NODES)


def test_what_fails_is_a_failure_in_an_orchestration(fleet):
    code, ran = orchestrate(fleet, "bad")
    assert {name: result for name, (result, _) in ran.items()} == {
        "wireguard.validate": False,
        "wireguard.view": False,
    }
    assert "not an accepted minion" in ran["wireguard.view"][1]
    assert code != 0


def test_an_orchestration_in_test_mode_runs_nothing(fleet):
    before = len(fleet.salt_run_json("wireguard.history")["history"])
    code, ran = orchestrate_in_test_mode(fleet)
    assert (code, ran) == (0, {None})
    assert len(fleet.salt_run_json("wireguard.history")["history"]) == before


def orchestrate_in_test_mode(fleet):
    done = fleet.salt_run("--out=json", "state.orchestrate", "good", "test=True")
    (states,) = steps.documents(done.stdout)[-1]["data"].values()
    return done.returncode, {each["result"] for each in states.values()}


def test_an_argument_with_an_unknown_name_is_an_error_in_an_orchestration_too(fleet):
    """Salt dropped it, and ran the rest: a reconcile of all nodes for one with a mistyped canary."""
    (fleet.dir / "srv" / "mistyped.sls").write_text("wireguard.reconcile:\n  salt.runner:\n    - cannary: node1\n")
    code, ran = orchestrate(fleet, "mistyped")
    assert (code, ran["wireguard.reconcile"][0]) == (1, False)
    assert "got an unexpected keyword argument 'cannary'" in ran["wireguard.reconcile"][1]


def test_the_job_event_says_whether_it_succeeded(fleet):
    assert fleet.salt_run("wireguard.nodes").returncode == 0
    assert fleet.salt_run("wireguard.validate", "mesh=/no/such/mesh.yml").returncode == 1
    assert fleet.salt_run("wireguard.view", "nobody").returncode == 1
    returns = [
        (data["fun"], data["success"])
        for tag, data in fleet.recorder.all()
        if tag.startswith("salt/run/") and tag.endswith("/ret")
    ]
    assert returns[-3:] == [
        ("runner.wireguard.nodes", True),
        ("runner.wireguard.validate", False),
        ("runner.wireguard.view", False),
    ]


def test_a_runner_client_is_told_the_same_and_no_failure_lasts_beyond_its_run(fleet):
    calls = [
        ("wireguard.nodes", {}),
        ("wireguard.validate", {"mesh": "/no/such/mesh.yml"}),
        ("wireguard.view", {"node": "node1"}),
        ("wireguard.view", {"node": "nobody"}),
        ("wireguard.history", {}),
    ]
    done = fleet.must("exec", "master", "python3", "-c", RUNNER_CLIENT, input=json.dumps(calls))
    answers = json.loads(done)
    assert [answer["success"] for answer in answers] == [True, False, True, False, True]
    assert answers[1]["return"]["retcode"] == 1
    assert "outputter" not in answers[0]["return"]


def test_a_plan_that_would_change_something_exits_with_two_and_is_a_success(fleet):
    with steps.other_mesh(fleet, steps.mesh(NODES, mtu=1380)):
        done = fleet.must("exec", "master", "python3", "-c", RUNNER_CLIENT, input=json.dumps([("wireguard.plan", {})]))
        assert fleet.salt_run("wireguard.plan").returncode == 2
    (answer,) = json.loads(done)
    assert (answer["success"], answer["return"]["retcode"]) == (True, 2)


def test_salt_api_says_who_succeeded(fleet, api):
    status, answer = api("viewer", "runner", "wireguard.nodes", full_return=True)
    assert (status, answer["data"]["success"]) == (200, True)
    assert [row["node"] for row in answer["data"]["return"]["nodes"]] == ["node1"]  # the other one is revoked by now
    status, answer = api("operator", "runner", "wireguard.validate", mesh="/no/such/mesh.yml", full_return=True)
    assert (status, answer["data"]["success"]) == (200, False)


@pytest.mark.parametrize(
    ("client", "fun"),
    [
        ("runner", "wireguard.reconcile"),
        ("runner", "wireguard.rotate_secret"),
        ("runner", "wireguard.pending"),
        ("runner", "wireguard.plan"),
        ("local", "wireguard.remove"),
        ("local", "wireguard.delta"),
        ("local", "cmd.run"),
    ],
)
def test_a_viewer_may_change_nothing(api, client, fun):
    assert api("viewer", client, fun, tgt="*")[0] == 401


def test_an_argument_with_an_unknown_name_is_an_error_by_api(api):
    _, answer = api("operator", "runner", "wireguard.reconcile", cannary="node1", full_return=True)
    assert answer["data"]["success"] is False
    assert "got an unexpected keyword argument 'cannary'" in answer["data"]["return"]


def test_a_viewer_may_look_at_nodes(api):
    status, answer = api("viewer", "local", "wireguard.managed", tgt="node1")
    assert (status, answer) == (200, {"node1": {"wg0": steps.NETWORK}})


def test_an_operator_may_change_and_the_history_has_the_name(fleet, api):
    """The history said `root` for whoever came by API or orchestration."""
    status, answer = api("operator", "runner", "wireguard.readmit", node="node2", reason="found", full_return=True)
    assert status == 200, answer
    rows = fleet.salt_run_json("wireguard.history", "node2")["history"]
    decided = [(row["what"], row["who"], row["why"]) for row in rows if row["what"] in ("revoked", "readmitted")]
    assert decided == [
        ("revoked", "carol", "an orchestration"),
        ("readmitted", "wireguard-operator", "found"),
    ]


LOGIN = ["-a", "sharedsecret", f"--password={PASSWORD}"]


def test_on_the_command_line_the_roles_are_the_same(fleet):
    viewer, operator = ([*LOGIN, f"--username=wireguard-{role}"] for role in ("viewer", "operator"))
    assert fleet.salt(*viewer, "node1", "wireguard.version").returncode == 0
    assert "Authorization error" in fleet.salt(*viewer, "node1", "wireguard.sync").stdout
    assert fleet.salt(*operator, "node1", "wireguard.sync").returncode == 0
    assert "node1" in fleet.salt_run(*viewer, "wireguard.nodes").stdout
    forbidden = fleet.salt_run(*viewer, "wireguard.reconcile")
    assert 'failure of type "eauth" occurred for user wireguard-viewer' in forbidden.stdout
    assert forbidden.returncode == 0  # as the page on exit codes says
    refused = fleet.salt_run(*operator, "wireguard.export", "phone")
    assert "must not get to the event bus" in refused.stdout


def test_the_history_is_an_audit_trail_without_a_returner(fleet, tmp_path):
    """The command of docs/events.md, run twice."""
    page = (steps.HERE.parents[1] / "docs/events.md").read_text()
    (script,) = re.findall(r"```bash\n(.*?audit.*?)```", page, re.DOTALL)
    lines = []
    for _ in range(2):
        fleet.must("exec", "master", "sh", "-c", script.replace("/var/log/wireguard", str(tmp_path)))
        lines.append([json.loads(line) for line in (tmp_path / "audit.jsonl").read_text().splitlines()])
    assert lines[0] == lines[1]
    entries = fleet.salt_run_json("wireguard.history", "limit=100000")["history"]
    assert lines[0] == entries
    assert {"carol", "wireguard-operator"} <= {entry["who"] for entry in entries}


def test_nobody_exports_by_api(api):
    status, answer = api("operator", "runner", "wireguard.export", name="phone", full_return=True)
    assert (status, answer["data"]["success"]) == (200, False)
    assert "must not get to the event bus" in answer["data"]["return"]
