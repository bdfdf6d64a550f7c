"""
A fleet goes through all of its life, well and badly, and no secret is ever anywhere but where it belongs: private keys,
preshared keys, and what these come from.

That the search would find one is tested in ``test_secrets_search``.
"""

import contextlib
import json
import subprocess

import pytest

import evidence
import life
import steps

pytestmark = pytest.mark.slow

NODES = ["node1", "node2", "node3"]
JOINING = "node4"
ALL = [*NODES, JOINING]

# A `wg` that fails to change anything, and says all it was given, as a real one quotes a key that it cannot read.
TALKATIVE = r"""
case "$1" in
set | setconf | syncconf | addconf)
    for word in "$@"; do [ ! -f "$word" ] && [ ! -p "$word" ] || cat "$word" >&2; done
    echo "Key is not the correct length or format" >&2
    exit 1 ;;
esac
"""
SHIFTED = 'case "$*" in *dump) /run/spy/wg "$@" | cut -f 2-; exit ;; esac\n'
CRASHING = 'case "$1" in set) kill -SEGV $$ ;; esac\n'
HALF_WAY = (
    'case "$*" in *" add "* | *"link set"*) echo "RTNETLINK answers: Operation not permitted" >&2; exit 2 ;; esac\n'
)

EXCEPTION = """\
wg9:
  wireguard.present:
    - addresses: 5
wg8:
  wireguard.present:
    - addresses: [10.9.0.1/24]
    - peers: [1]
"""


@pytest.fixture(scope="module", params=["well", "badly"])
def seen(request, labs):
    """What a fleet with the engine emitted in its life."""
    lab = labs()
    try:
        mesh = steps.mesh(ALL, preshared_keys=request.param == "badly")
        lab.up(len(NODES), mesh=mesh, trigger="engine", synced=False)
        with evidence.Evidence(lab) as seen:
            for chapter in LIVES[request.param]:
                chapter(lab, seen)
            for host in ["master", *ALL]:
                seen.keep_run(host)
            seen.render_returns()
            seen.life = request.param
            yield seen
    finally:
        lab.down()


# -- the life


def call(lab, *calls):
    """Call functions of minions, or runners where the target is None. Returns what they return by minion."""
    wanted = [[target, function, [*arguments]] for target, function, *arguments in calls]
    script = str(steps.HERE / "call.py")
    answers = json.loads(lab.must("exec", "master", "python3", script, input=json.dumps(wanted)).splitlines()[-1])
    return [
        answer if target is None else {node: each["ret"] for node, each in answer.items()}
        for answer, (target, *_) in zip(answers, wanted, strict=True)
    ]


def first_runs(lab, seen):
    for node in NODES:
        steps.spy_on(lab, node)
    steps.state_apply(lab, "*", "wireguard", "test=True")
    steps.build(lab, len(NODES))
    lab.add(JOINING)
    life.settle(lab, *ALL)
    steps.spy_on(lab, JOINING)
    assert lab.ping()


def all_that_can_be_asked(lab, seen):
    call(
        lab,
        *[
            ("*", f"wireguard.{function}")
            for function in ("version", "managed", "show", "public_key", "diff", "keypair")
        ],
        ("*", "wireguard.record", "backbone"),
        ("*", "wireguard.apply", "test=True"),
        ("*", "wireguard.sync", "signed=True"),
        ("*", "wireguard.sync"),
        ("*", "wireguard.gone", ["backbone"]),
        *[("*", function) for function in ("pillar.items", "pillar.raw", "grains.items", "saltutil.running")],
        ("*", "state.show_sls", "wireguard"),
        *[(None, f"wireguard.{function}") for function in ("nodes", "validate", "history", "pending")],
        (None, "wireguard.view", "node1"),
        *[(None, function) for function in ("cache.pillar", "cache.grains", "jobs.list_jobs", "manage.status")],
    )
    steps.edit_mesh(lab, steps.mesh(ALL, mtu=1380))
    said = lab.exec("node1", "salt-call", "-l", "debug", "state.apply", "wireguard")
    assert "[DEBUG" in said.stderr
    lab.salt_run("-l", "debug", "wireguard.reconcile", "everybody=True")
    life.settle(lab, *ALL)


def rotation(lab, seen):
    before = steps.public_key(lab, "node1")
    assert life.ask(lab, "rotate", "node1")[0] == 0
    assert steps.public_key(lab, "node1") != before
    call(lab, *[("node2", f"wireguard.rotate_{what}", "backbone") for what in ("prepare", "abort")])
    lab.off("node3")  # a peer that does not follow
    assert life.ask(lab, "rotate", "node2", "timeout=5")[0] == 0
    lab.on("node3", boot=True)
    steps.spy_on(lab, "node3")
    life.settle(lab, *ALL)


def other_keys(lab, seen):
    lab.must("exec", "node2", "rm", "/etc/wireguard/wg0.key")
    steps.state_apply(lab, "node2")
    seen.keep_run("node3")
    lab.reinstall("node3")
    life.settle(lab, *ALL)
    steps.spy_on(lab, "node3")


def removal(lab, seen):
    assert life.ask(lab, "revoke", "node2", "reason=stolen")[0] == 0
    steps.wait_until("node2 took it down", lambda: not steps.has_device(lab, "node2"))
    assert life.ask(lab, "readmit", "node2")[0] == 0
    life.settle(lab, *ALL)
    with steps.other_mesh(lab, steps.mesh(NODES, mtu=1380)):
        steps.wait_until(f"{JOINING} took it down", lambda: not steps.has_device(lab, JOINING))
    life.settle(lab, *ALL)
    call(
        lab,
        ("node3", "wireguard.apply_interface", "wg1", ["10.9.0.1/24"], "port=51821"),
        ("node3", "wireguard.remove", "wg1"),
    )


def preshared_keys(lab, seen):
    """After all that asks for pillars: whoever does gets them into the job cache, by Salt's own hand."""
    steps.edit_mesh(lab, steps.mesh(ALL, preshared_keys=True))
    steps.wait_until("all have preshared keys", lambda: len(seen.shared) >= len(ALL) * (len(ALL) - 1) / 2)
    life.settle(lab, *ALL)
    before = set(seen.shared)
    assert life.ask(lab, "rotate_secret")[0] == 0
    assert life.ask(lab, "rotate", "node1")[0] == 0
    call(
        lab,
        *[("*", f"wireguard.{function}") for function in ("show", "diff", "drift", "apply", "sync")],
        ("*", "wireguard.sync", "test=True"),
        ("*", "state.show_sls", "wireguard"),
        *[(None, f"wireguard.{function}") for function in ("nodes", "plan", "validate", "history")],
        (None, "wireguard.view", "node1"),
    )
    lab.must("exec", "node2", "rm", "/etc/wireguard/wg0.conf")
    said = lab.exec("node2", "salt-call", "-l", "debug", "state.apply", "wireguard")
    assert "[DEBUG" in said.stderr
    assert len(seen.shared) > len(before)
    lab.salt_run("-l", "debug", "wireguard.reconcile", "everybody=True")
    life.settle(lab, *ALL)


def errors(lab, seen):
    for tool, words in (("wg", TALKATIVE), ("wg", SHIFTED), ("wg", CRASHING), ("ip", HALF_WAY)):
        with broken(lab, tool, words):
            call(lab, *TRIED)
    steps.reconcile(lab, "everybody=True")
    life.settle(lab, *ALL)
    files = steps.wireguard_files(lab, "node1")
    key, config = files["wg0.key"].strip(), files["wg0.conf"]
    for content in (key[:-1], f"{key}\n{key}\n", f"PrivateKey = {key}\n", key[1:] + "?"):
        with other_file(lab, "wg0.key", content):
            call(lab, *TRIED[:3])
    for content in (config[1:], config.replace(key, key[:-2]), config[: config.index(key) + 20]):
        with other_file(lab, "wg0.conf", content):
            call(lab, *TRIED[:3])
    (lab.dir / "hosts/node1/etc/wireguard/wg0.conf").write_text(config + "Nonsense = 1\n")
    seen.keep_run("node1")
    lab.off("node1")
    lab.on("node1", boot=True)
    steps.spy_on(lab, "node1")
    lab.must("exec", "node1", "mount", "-o", "remount,bind,ro", "/etc/wireguard")
    assert steps.failures(steps.state_apply(lab, "node1"))
    call(lab, *TRIED, (None, "wireguard.reconcile", "timeout=5"))
    lab.must("exec", "node1", "mount", "-o", "remount,bind,rw", "/etc/wireguard")
    steps.reconcile(lab, "everybody=True")
    life.settle(lab, *ALL)


# What an operator may try while something is wrong with node1. Not all of it has to fail.
TRIED = [
    ("node1", "state.single", "wireguard.present", "backbone"),
    ("node1", "wireguard.sync"),
    ("node1", "wireguard.diff"),
    ("node1", "wireguard.show"),
    ("node1", "wireguard.rotate_prepare", "backbone"),
    ("node1", "wireguard.rotate_switch", "backbone", "wait=1"),
    ("node1", "wireguard.rotate_abort", "backbone"),
]


@contextlib.contextmanager
def broken(lab, tool, words):
    """Let node1 have a tool that does not work, and much to do for it."""
    real = f'"$(readlink -f "$(command -v {tool})")"'
    peer = steps.public_key(lab, "node2")
    script = f"""
        {{ echo '#!/bin/sh'; cat; echo 'exec /run/spy/{tool} "$@"'; }} > /run/broken
        chmod +x /run/broken
        mount --bind /run/broken {real}
        /run/spy/wg set wg0 private-key /dev/null peer {peer} remove
        /run/spy/ip link set wg0 mtu 1290
    """
    lab.must("exec", "node1", "sh", "-c", script, input=words)
    try:
        yield
        lab.must("exec", "node1", "/run/spy/ip", "link", "delete", "wg0")
        call(lab, ("node1", "wireguard.apply"), ("node1", "wireguard.sync"))
    finally:
        lab.must("exec", "node1", "umount", lab.must("exec", "node1", "sh", "-c", f"echo {real}").strip())


@contextlib.contextmanager
def other_file(lab, name, content):
    """Have something else in a file of node1 for a while."""
    file = lab.dir / "hosts/node1/etc/wireguard" / name
    before = file.read_text()
    file.write_text(content)
    try:
        yield
    finally:
        file.write_text(before)


def crashes(lab, seen):
    """What raises an exception that nobody expected, and daemons that are asked for a stack trace, or killed."""
    (lab.dir / "srv/exception.sls").write_text(EXCEPTION)
    call(
        lab,
        ("node1", "wireguard.rotate_follow", "backbone", "x", "y", "seconds=z"),
        ("node1", "wireguard.apply_interface", "wg9", ["10.9.0.1/24"], "peers=[1]"),
        ("node1", "state.apply", "exception"),
        *[
            ("node1", "state.apply", "wireguard", "pillar=" + json.dumps({"wireguard": {"networks": networks}}))
            for networks in (5, {"backbone": {"interface": "wg0", "addresses": 5}})
        ],
    )
    for host, daemon in (("master", "[s]alt-master"), ("node1", "[s]alt-minion")):  # and not the shell of this command
        lab.must("exec", host, "sh", "-c", f"kill -USR1 $(pgrep -o -f '{daemon}')")
    applying = subprocess.Popen(lab.argv("salt", "node1", "state.apply", "wireguard"), stdout=subprocess.DEVNULL)
    lab.must("exec", "node1", "sh", "-c", "sleep 1; kill -9 $(ps -C salt-minion -o pid=)")
    applying.wait(timeout=120)
    life.await_answer(lab, "node1")
    life.settle(lab, *ALL)


LIVES = {
    "well": (first_runs, all_that_can_be_asked, rotation, other_keys, removal, preshared_keys),
    "badly": (first_runs, errors, crashes),
}


# -- what it emitted

TRACES = [
    ("events.jsonl", b"wireguard/register"),
    ("events.jsonl", b"was changed"),
    ("evidence/processes", b"salt-minion"),
    ("evidence/processes", b"LANG="),
    ("evidence/run/node1-*/spy/log", b"wg set wg0"),
    ("evidence/run/node1-*/spy/environ", b"PATH="),
    ("evidence/outputters/highstate", b"Total states run"),
    ("evidence/outputters/nested", b"wireguard"),
    ("hosts/master/var/cache/salt/master/jobs/*/*/*/return.p", b"wireguard"),
    ("hosts/node1/var/log/salt/minion", b"[DEBUG"),
    ("hosts/master/var/log/salt/master", b"[DEBUG"),
]
TRACES_OF = {
    "well": [("evidence/answers/*", b"[DEBUG")],
    "badly": [
        ("evidence/answers/*", b"Traceback"),
        ("hosts/master/var/cache/salt/master/pillar/*", b"preshared_key"),
        ("hosts/node1/var/log/console", b"init:"),
    ],
}


def test_the_keys_of_the_whole_life_are_known(seen):
    assert len(seen.owners) >= {"well": 10, "badly": 5}[seen.life]
    assert {host for owners in seen.owners.values() for host in owners} == {"master", *ALL}
    assert len(seen.shared) >= len(ALL) * (len(ALL) - 1) / 2


def test_what_is_searched_has_in_it_what_it_should(seen):
    traces = TRACES + TRACES_OF[seen.life]
    missing = [
        (place, text)
        for place, text in traces
        if not any(text in path.read_bytes() for path in seen.lab.dir.glob(place))
    ]
    assert missing == []


def test_no_secret_is_anywhere_but_where_it_belongs(seen):
    assert seen.leaks() == []
