"""The search for secrets proves itself: a key that is leaked on purpose is found in whatever it was leaked into."""

import base64
import os

import pytest

import evidence
import life
import steps

pytestmark = pytest.mark.slow

NODES = ["node1", "node2"]


@pytest.fixture(scope="module")
def seen(lab):
    """What a mesh of two nodes emits."""
    lab.up(len(NODES), mesh=steps.mesh(NODES), trigger="engine")
    with evidence.Evidence(lab) as seen:
        steps.build(lab, len(NODES))
        for node in NODES:
            steps.spy_on(lab, node)
        yield seen


def by_event(lab, key):
    steps.send_events(lab, "node1", [("test/leak", {"key": key})])


def by_return(lab, key):
    lab.must("exec", "node1", "sh", "-c", "umask 077; cat > /run/leak", input=key)
    assert lab.salt_json("node1", "cmd.run", "cat /run/leak") == {"node1": key}


def by_process(lab, key):
    lab.must("exec", "node2", "sh", "-c", "sleep 1; exit 0", key)


def by_environment(lab, key):
    lab.must("exec", "node2", "env", f"LEAK={key}", "sleep", "1")


def by_short_process(lab, key):
    lab.exec("node2", "wg", "show", key)


def by_environment_of_short_process(lab, key):
    lab.must("exec", "node2", "env", f"LEAK={key}", "wg", "show", "interfaces")


def by_history(lab, key):
    life.ask(lab, "revoke", "node2", f"reason={key}")
    life.ask(lab, "readmit", "node2")


def by_pillar(lab, key):
    phone = {"phone": {"public_key": key, "addresses": ["10.42.9.1"]}}
    with steps.other_mesh(lab, steps.mesh(NODES, peers=phone)):
        lab.must("salt", "node1", "saltutil.refresh_pillar", "wait=True")


def by_file(place, shown=lambda key: key.encode(), mode=0o600):
    def leak(lab, key):
        path = lab.dir / place
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"before " + shown(key) + b" after")
        path.chmod(mode)
        return path

    return leak


def raw(key):
    return base64.b64decode(key)


def by_own_key_file(place, mode):
    """A key of node1, known as such, at a place where keys are."""

    def leak(lab, key):
        lab.evidence.owners[key] = {"node1"}
        return by_file(place, mode=mode)(lab, key)

    return leak


HOST = "hosts/node1"
LEAKS = {
    "an event": (by_event, ["events.jsonl"]),
    "a return": (
        by_return,
        [
            "events.jsonl",
            "evidence/answers/",
            *[
                f"evidence/outputters/{name}"
                for name in ("nested", "json", "yaml", "raw", "pprint", "txt", "highstate")
            ],
            "evidence/run/",
            "hosts/master/var/cache/salt/master/jobs/",
            f"{HOST}/var/log/salt/minion",
        ],
    ),
    "a process": (by_process, ["evidence/processes"]),
    "an environment": (by_environment, ["evidence/processes"]),
    "a short process": (by_short_process, ["evidence/run/"]),
    "the environment of a short process": (by_environment_of_short_process, ["evidence/run/"]),
    "the history": (by_history, ["hosts/master/var/cache/salt/master/wireguard/registry.db", "events.jsonl"]),
    "the pillar": (by_pillar, ["hosts/master/var/cache/salt/master/pillar/"]),
    "/var": (by_file(f"{HOST}/var/leak"), [f"{HOST}/var/leak"]),
    "/srv": (by_file("srv/leak"), ["srv/leak"]),
    "/tmp": (by_file(f"/tmp/leak-{os.getpid()}"), [f"/tmp/leak-{os.getpid()}"]),
    "a backup": (by_own_key_file(f"{HOST}/etc/wireguard/wg0.conf~", 0o600), [f"{HOST}/etc/wireguard/wg0.conf~"]),
    "a key file that others can read": (
        by_own_key_file(f"{HOST}/etc/wireguard/wg7.key", 0o640),
        [f"{HOST}/etc/wireguard/wg7.key"],
    ),
    "another node's key file": (
        by_own_key_file("hosts/node2/etc/wireguard/wg7.key", 0o600),
        ["hosts/node2/etc/wireguard/wg7.key"],
    ),
    "its bytes": (by_file("srv/leak", raw), ["srv/leak"]),
    "hexadecimal": (by_file("srv/leak", lambda key: raw(key).hex().encode()), ["srv/leak"]),
    "HEXADECIMAL": (by_file("srv/leak", lambda key: raw(key).hex().upper().encode()), ["srv/leak"]),
    "without padding": (by_file("srv/leak", lambda key: key.rstrip("=").encode()), ["srv/leak"]),
    "as in an URL": (by_file("srv/leak", lambda key: base64.urlsafe_b64encode(raw(key))), ["srv/leak"]),
    "as in JSON": (by_file("srv/leak", lambda key: key.replace("/", "\\/").encode()), ["srv/leak"]),
}


@pytest.mark.parametrize(("leak", "places"), LEAKS.values(), ids=LEAKS)
def test_a_key_that_is_leaked_on_purpose_is_found(seen, leak, places):
    key = base64.b64encode(b"\xff\xff\xfe" + os.urandom(28) + b"\1").decode()  # with signs that not every form has
    seen.lab.evidence = seen
    try:
        file = leak(seen.lab, key)
        if "evidence/run/" in places:
            seen.keep_run("node1")
            seen.keep_run("node2")
        if "events.jsonl" in places:
            steps.wait_until("the event is written down", lambda: key in seen.recorder.file.read_text())
            seen.render_returns()
        found = seen.leaks([key])
        if file:
            file.unlink()
    finally:
        seen.owners.pop(key, None)
    for place in places:
        assert [name for name in found if name.startswith(place)], f"not found below {place}: {found}"


def test_a_key_file_of_a_node_itself_is_no_leak(seen):
    assert seen.leaks([steps.wireguard_files(seen.lab, "node1")["wg0.key"].strip()]) == []


def test_a_preshared_key_is_known_as_soon_as_a_device_has_it(seen):
    key = base64.b64encode(os.urandom(32)).decode()
    peer = steps.public_key(seen.lab, "node2")
    seen.lab.must("exec", "node1", "wg", "set", "wg0", "peer", peer, "preshared-key", "/dev/stdin", input=key)
    seen.keep_run("node1")
    assert seen.owners[key] == {"node1"}
    assert seen.leaks([key]) == []


@pytest.mark.parametrize(("node", "found"), [("node1", False), ("node2", True)])
def test_a_preshared_key_may_be_in_the_cached_pillar_of_a_node_that_has_it_and_in_no_other(seen, node, found):
    key = base64.b64encode(b"\xff\xff\xfe" + os.urandom(28) + b"\1").decode()
    place = f"hosts/master/var/cache/salt/master/pillar/{node}.p"
    before = (seen.lab.dir / place).read_bytes()
    seen.owners[key] = {"node1"}
    seen.shared.add(key)
    try:
        by_file(place)(seen.lab, key)
        assert (place in seen.leaks([key])) == found
    finally:
        (seen.lab.dir / place).write_bytes(before)
        del seen.owners[key]


def test_the_secret_of_the_master_may_be_in_its_file_alone(seen):
    key = base64.b64encode(b"\xff\xff\xfe" + os.urandom(28) + b"\1").decode()
    file = by_file("hosts/master/var/cache/salt/master/wireguard/preshared.secret")(seen.lab, key)
    copy = by_file("hosts/master/var/cache/salt/master/wireguard/preshared.secret~")(seen.lab, key)
    seen.owners[key] = {"master"}
    try:
        assert seen.leaks([key]) == [seen.name(copy)]
    finally:
        file.unlink()
        copy.unlink()
        del seen.owners[key]
