"""The lab does what it says: every other integration test rests on that."""

import json
import signal
import subprocess
import time
from pathlib import Path

import pytest

from wglab import daemons, fleet

pytestmark = pytest.mark.slow

MINIONS = ["node1", "node2"]
HOST_COMMANDS = ["add", "clone", "off", "on", "reinstall", "remove"]
COMMANDS = ["up", *HOST_COMMANDS, "site", "forward", "point", "salt", "salt-run", "salt-key", "exec", "ping", "status"]


def machine_state():
    """Return what the machine's own namespaces hold that a lab could leave something in."""
    show = [["ip", "-json", "link"], ["ip", "-4", "route"], ["ip", "-6", "route"], ["ip", "rule"], ["hostname"]]
    shown = {" ".join(command): subprocess.run(command, capture_output=True, text=True).stdout for command in show}
    links = sorted(link["ifname"] for link in json.loads(shown.pop("ip -json link")))
    places = ["/run/wireguard", "/etc/wireguard", "/run/salt", "/etc/salt", "/etc/netns"]
    files = {place: sorted(map(str, Path(place).rglob("*"))) for place in places}
    return links, shown, files, Path("/etc/hosts").read_text()


def namespaces(lab):
    """Return the namespaces of a lab."""
    return sorted(place.name for place in Path("/run/netns").glob(f"wglab-{lab.name}-*"))


def processes(lab):
    """Return the processes that bear a lab's name in their command line, not counting its commands that run now."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_bytes()
        except OSError:
            continue
        if f"/wglab-{lab.name}/".encode() in line:
            found.append(line)
    return found


def wait_until(check, seconds=30):
    """Poll, for what happens by itself after some time."""
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.2)


def hand_made_mesh(lab, names):
    """Configure a full mesh with nothing but wg, so that these tests need no module of ours."""
    keys = {name: lab.must("exec", name, "wg", "genkey").strip() for name in names}
    public = {name: lab.must("exec", name, "wg", "pubkey", input=key).strip() for name, key in keys.items()}
    for number, name in enumerate(names, 1):
        address = f"10.42.0.{number}/16, fd42:42::{number}/64"
        parts = [f"[Interface]\nPrivateKey = {keys[name]}\nListenPort = 51820\nAddress = {address}\n"]
        for other, peer in enumerate(names, 1):
            if peer != name:
                allowed = f"10.42.0.{other}/32, fd42:42::{other}/128"
                parts.append(f"[Peer]\nPublicKey = {public[peer]}\nAllowedIPs = {allowed}\nEndpoint = {peer}:51820\n")
        lab.must("exec", name, "sh", "-c", "umask 077; cat > /etc/wireguard/wg0.conf", input="".join(parts))


@pytest.fixture(scope="module")
def before():
    """The machine as it was before the first lab."""
    return machine_state()


@pytest.fixture(scope="module")
def two(lab, before):
    """A lab with two nodes."""
    lab.up(2, synced=False)
    return lab


def test_up_returns_when_all_minions_answer(two):
    assert two.salt_json("*", "test.ping") == dict.fromkeys(MINIONS, True)


def test_nothing_is_made_in_the_machines_own_namespaces(two, before):
    assert machine_state() == before


def test_every_namespace_begins_with_the_labs_name(two):
    assert len(namespaces(two)) == len(MINIONS) + 2


@pytest.mark.parametrize("name", ["master", *MINIONS])
def test_a_host_has_a_name_and_files_of_its_own(two, name):
    two.must("exec", name, "sh", "-c", "echo $0 > /etc/wireguard/own; echo $0 > /run/own", name)
    assert two.must("exec", name, "hostname").strip() == name
    assert two.must("exec", name, "sh", "-c", "cat /etc/wireguard/own /run/own").split() == [name, name]
    assert two.must("exec", name, "sh", "-c", "ls -d /run/wireguard; ls -d /run/systemd || true").split() == [
        "/run/wireguard"
    ]
    assert not Path("/etc/wireguard/own").exists()
    assert not Path("/run/own").exists()


@pytest.mark.parametrize("family", ["-4", "-6"])
def test_hosts_reach_each_other_by_name_on_the_underlay(two, family):
    for sender, receiver in [("node1", "node2"), ("node2", "master"), ("master", "node1")]:
        two.must("exec", sender, "ping", family, "-n", "-c1", "-W2", receiver)


def test_a_minion_sees_no_processes_but_its_own(two):
    pids = two.must("exec", "node1", "sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
    assert "hosts/node1" in pids
    assert "hosts/node2" not in pids


@pytest.mark.parametrize("code", [0, 1, 42])
def test_exec_passes_the_exit_code_through(two, code):
    assert two.exec("node1", "sh", "-c", f"exit {code}").returncode == code


def test_exec_passes_stdio_and_options_through(two):
    done = two.exec("node1", "sh", "-c", 'cat; echo "$@" >&2', "sh", "--name", "-h", "--", input="in")
    assert (done.stdout, done.stderr) == ("in", "--name -h --\n")


def test_salt_passes_arguments_and_the_exit_code_through(two):
    assert two.salt_json("-L", "node2", "test.arg", "--", "-x", "a b")["node2"]["args"] == ["-x", "a b"]
    assert two.salt_run("--no-such-option").returncode == 64
    assert two.salt("node1", "test.no_such_function").returncode not in (0, 64)
    assert set(two.salt_key("--out=json", "-L").stdout.split('"')) >= set(MINIONS)


def test_the_lab_has_a_file_root_of_its_own(two):
    (two.dir / "srv" / "own.sls").write_text("own:\n  test.nop: []\n")
    assert "own" in two.salt_json("node1", "cp.list_states")["node1"]


def test_salt_call_works_on_a_host(two):
    assert json.loads(two.must("exec", "node2", "salt-call", "--out=json", "grains.get", "id")) == {"local": "node2"}


def test_a_daemon_that_dies_is_started_again(two):
    two.must("exec", "node1", "sh", "-c", "kill -9 $(ps -C salt-minion -o pid=)")
    wait_until(lambda: "starting it again" in (two.dir / "hosts/node1/var/log/console").read_text())
    wait_until(lambda: two.salt_json("node1", "test.ping") == {"node1": True})


def test_a_minion_that_does_not_connect_is_started_again_and_the_end_of_its_log_shown(two, monkeypatch):
    """After an error that it does not expect, a minion gives up without ending: one of four never connected."""
    config = two.dir / "hosts/node2/etc/salt/minion"
    right = config.read_text()
    said = []

    def listen(text):
        said.append(text)
        if "starting its Salt again" in text:
            config.write_text(right)

    monkeypatch.setattr(daemons, "progress", listen)
    monkeypatch.setattr(daemons, "REVIVE_SECONDS", 4.0)
    two.off("node2")
    config.write_text(right.replace('master: "10.66.0.1"', 'master: "10.66.0.250"'))
    fleet.Lab.load(two.name).on("node2")
    told = next(text for text in said if "starting its Salt again" in text)
    assert told.startswith("no connection to the master from node2; starting its Salt again. Its log ends with: ")
    assert "salt" in told.partition("ends with: ")[2]


def test_a_master_with_a_worker_that_could_not_load_is_started_again(two, monkeypatch):
    """Such a worker refuses everything for ever: no minion's answer reached the master in 180 s."""
    said = []
    monkeypatch.setattr(daemons, "progress", said.append)
    lab = fleet.Lab.load(two.name)
    two.off("node1")
    lab._daemons.wait_master()
    with lab.master.console_log.open("a") as log:
        log.write(f"[ERROR   ] MWorker-default-0 failed to load modules, {daemons.BROKEN_WORKER}\n")
    lab.on("node1")
    assert "a worker of the master could not load its modules; starting the master again" in said


def test_a_power_cut_leaves_the_disk_and_nothing_else(two):
    two.must(
        "exec", "node1", "sh", "-c", "echo kept > /etc/wireguard/mark; touch /run/mark; sleep 1000 >/dev/null 2>&1 &"
    )
    two.off("node1")
    assert two.status()["node1"]["power"] == "off"
    assert two.status()["node1"]["pids"] == []
    assert not [line for line in processes(two) if b"hosts/node1/" in line]
    done = two.exec("node1", "true")
    assert done.returncode == 1
    assert done.stderr == "lab: error: node1 is off; boot it with 'on node1'\n"
    two.on("node1")
    assert two.salt_json("node1", "test.ping") == {"node1": True}
    assert two.must("exec", "node1", "cat", "/etc/wireguard/mark") == "kept\n"
    assert two.exec("node1", "test", "-e", "/run/mark").returncode == 1


def test_the_master_can_lose_power_too(two):
    two.off("master")
    assert two.salt("*", "test.ping").returncode == 1
    two.off("node2")
    two.on("node2")
    two.on("master")
    assert two.salt_json("*", "test.ping") == dict.fromkeys(MINIONS, True)


def test_ping_tells_pair_by_pair(two):
    silent = two.ping_json(wait=0)
    assert not silent["ok"]
    assert silent["pairs"][0] == {"from": "node1", "to": "node2", "address": None, "ok": False, "ms": None}
    hand_made_mesh(two, MINIONS)
    two.must("exec", "node1", "wg-quick", "up", "wg0")
    two.must("exec", "node2", "wg-quick", "up", "wg0")
    assert two.ping()
    told = two.ping_json()
    assert told["ok"]
    assert {(pair["from"], pair["to"], pair["address"]) for pair in told["pairs"]} == {
        ("node1", "node2", "10.42.0.2"),
        ("node1", "node2", "fd42:42::2"),
        ("node2", "node1", "10.42.0.1"),
        ("node2", "node1", "fd42:42::1"),
    }
    assert all(pair["ms"] > 0 for pair in told["pairs"])
    assert "IPv6" in two.must("ping")


def test_a_boot_brings_tunnels_up_only_when_asked(two):
    hand_made_mesh(two, MINIONS)
    for boot, interfaces in ((False, ""), (True, "wg0")):
        two.off("node2")
        two.on("node2", boot=boot)
        assert two.must("exec", "node2", "wg", "show", "interfaces").strip() == interfaces


def test_a_tunnel_that_cannot_come_up_does_not_stop_a_boot(two):
    two.must("exec", "node2", "sh", "-c", "umask 077; echo '[Nonsense]' > /etc/wireguard/broken.conf")
    two.off("node2")
    done = two.run("on", "node2", "--boot")
    assert done.returncode == 0
    assert "wg-quick up broken" in done.stderr
    two.must("exec", "node2", "rm", "/etc/wireguard/broken.conf")


def test_reinstall_changes_the_key_and_empties_the_disk(two):
    def fingerprint():
        return json.loads(two.salt_key("--out=json", "-f", "node2").stdout)["minions"]["node2"]

    two.must("exec", "node2", "touch", "/etc/wireguard/mark")
    before = fingerprint()
    two.reinstall("node2")
    assert fingerprint() != before
    assert two.must("exec", "node2", "ls", "/etc/wireguard") == ""
    assert two.salt_json("*", "test.ping") == dict.fromkeys(MINIONS, True)


def boot_id(lab, name):
    return lab.must("exec", name, "cat", "/proc/sys/kernel/random/boot_id").strip()


def test_every_boot_of_a_host_has_an_id_of_its_own(two):
    seen = {Path("/proc/sys/kernel/random/boot_id").read_text().strip(), *(boot_id(two, name) for name in MINIONS)}
    two.off("node2")
    two.on("node2")
    seen.add(boot_id(two, "node2"))
    assert len(seen) == 4


def test_a_clone_runs_beside_its_original_with_the_same_keys_and_minion_id(two):
    two.must("exec", "node2", "sh", "-c", "echo secret > /etc/wireguard/mark")
    two.clone("node2", "copy")
    assert two.must("exec", "copy", "cat", "/etc/wireguard/mark") == "secret\n"
    assert two.must("exec", "copy", "hostname").strip() == "copy"
    assert boot_id(two, "copy") != boot_id(two, "node2")
    for host in ("node2", "copy"):
        assert json.loads(two.must("exec", host, "salt-call", "--out=json", "grains.get", "id")) == {"local": "node2"}
    assert two.salt_json("node2", "test.ping") == {"node2": True}
    two.must("exec", "copy", "rm", "/etc/wireguard/mark")
    assert two.must("exec", "node2", "cat", "/etc/wireguard/mark") == "secret\n"
    two.off("copy")
    two.on("copy")


def test_to_remove_a_clone_leaves_its_original_alone_and_to_reinstall_it_makes_it_another_minion(two):
    two.reinstall("copy")
    assert two.salt_json("*", "test.ping") == dict.fromkeys([*MINIONS, "copy"], True)
    two.remove("copy")
    two.clone("node2", "copy")
    two.remove("copy")
    assert two.salt_json("*", "test.ping") == dict.fromkeys(MINIONS, True)
    two.must("exec", "node2", "rm", "/etc/wireguard/mark")


def test_add_and_remove(two):
    two.add("db-1")
    assert two.salt_json("*", "test.ping") == dict.fromkeys([*MINIONS, "db-1"], True)
    two.must("exec", "node1", "getent", "hosts", "db-1")
    two.remove("db-1")
    assert "db-1" not in two.salt_key("-L").stdout
    assert "db-1" not in two.status()
    assert not (two.dir / "hosts" / "db-1").exists()
    assert len(namespaces(two)) == len(MINIONS) + 2


def test_two_labs_side_by_side(two, labs):
    other = labs()
    other.up(1, mesh="networks: {}\n")
    assert other.mesh_file.read_text() == "networks: {}\n"
    assert other.salt_json("*", "test.ping") == {"node1": True}
    assert two.salt_json("*", "test.ping") == dict.fromkeys(MINIONS, True)
    other.down()
    assert two.salt_json("*", "test.ping") == dict.fromkeys(MINIONS, True)
    assert namespaces(other) == []
    assert processes(other) == []


def test_down_clears_what_a_killed_up_left(labs, before):
    crashed = labs()
    up = subprocess.Popen(crashed.argv("up", "1"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until(lambda: any(b"hosts/node1/" in line for line in processes(crashed)))
    up.send_signal(signal.SIGKILL)
    up.wait()
    assert crashed.run("up", "1").returncode == 1
    crashed.down()
    crashed.down()
    assert namespaces(crashed) == []
    assert processes(crashed) == []
    assert not crashed.dir.exists()


def test_down_finds_a_lab_whose_state_is_lost(labs):
    lost = labs()
    lost.up(0)
    (lost.dir / "lab.json").unlink()
    lost.down()
    assert namespaces(lost) == []
    assert processes(lost) == []
    assert not lost.dir.exists()


@pytest.mark.parametrize("trigger", ["reactor", "engine"])
def test_the_master_gets_the_examples_with_the_labs_paths(labs, trigger):
    made = labs()
    made.up(0, trigger=trigger)
    master_d = made.dir / "hosts/master/etc/salt/master.d"
    assert {entry.name for entry in master_d.iterdir()} >= {"wireguard.conf", f"wireguard-{trigger}.conf"}
    assert not [entry for entry in master_d.iterdir() if "- /srv/" in entry.read_text()]
    assert f"mesh: {made.mesh_file}" in (master_d / "wireguard.conf").read_text()
    made.down()


@pytest.mark.parametrize(
    ("args", "hint"),
    [
        (["up", "1"], "'down'"),
        (["add", "node1"], "'reinstall'"),
        (["clone", "node1", "node2"], "'reinstall'"),
        (["clone", "nobody", "copy"], "node1, node2"),
        (["add", "Node_1"], "a-z"),
        (["on", "node1"], "'off node1'"),
        (["off", "nobody"], "node1, node2"),
        (["remove", "master"], "'down'"),
        (["exec", "node1"], "COMMAND"),
    ],
)
def test_an_error_is_one_line_that_says_what_to_do(two, args, hint):
    done = two.run(*args)
    assert done.returncode == 1
    assert done.stderr.startswith("lab: error: ")
    assert done.stderr.count("\n") == 1
    assert hint in done.stderr


@pytest.mark.parametrize("command", [*COMMANDS, "down"])
def test_every_command_has_a_help_text(labs, command):
    assert f"usage: lab {command}" in labs().must(command, "--help")


def test_down_leaves_nothing(two, before):
    two.down()
    assert namespaces(two) == []
    assert processes(two) == []
    assert not two.dir.exists()
    assert machine_state() == before
    assert two.run("status").returncode == 1
