"""What the tests of a fleet do and look at, in the words that they use."""

import base64
import contextlib
import json
import os
import re
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from saltext.wireguard.master.master import Master
from saltext.wireguard.master.status import statuses

HERE = Path(__file__).parent
PATIENCE = 90.0
NETWORK = "backbone"
SUBNETS = ["10.42.0.0/16", "fd42:42::/64"]

T = TypeVar("T")


def wait_until(what: str, check: Callable[[], T], seconds: float = PATIENCE) -> T:
    """Poll until ``check`` returns something true, and return that."""
    deadline = time.monotonic() + seconds
    while True:
        result = check()
        if result:
            return result
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(0.3)


def age_keys(lab: Any) -> None:
    """Have the registry say that all keys are two hours older."""
    registry = lab.dir / "hosts/master/var/cache/salt/master/wireguard/registry.db"
    with contextlib.closing(sqlite3.connect(registry)) as connection, connection:
        connection.execute("UPDATE node SET keyed = keyed - 7200")
        connection.execute("UPDATE generation SET value = value + 1")


# -- the mesh file


def mesh(nodes: Any, **settings: Any) -> str:
    """The text of a mesh file with one network; ``nodes`` are names, or names with their settings."""
    entries = nodes if isinstance(nodes, dict) else {name: {} for name in nodes}
    network = {"subnets": SUBNETS, **settings, "nodes": entries}
    lines = ["networks:", f"  {NETWORK}:", *[f"    {name}: {json.dumps(value)}" for name, value in network.items()]]
    return "\n".join([*lines, ""])


def edit_mesh(lab: Any, text: str) -> None:
    """Replace the mesh file in one step, by one that was complete some time ago: what is new may still be written."""
    new = lab.mesh_file.with_suffix(".new")
    new.write_text(text)
    os.utime(new, (time.time() - 60, time.time() - 60))
    new.replace(lab.mesh_file)


@contextlib.contextmanager
def other_mesh(lab: Any, text: str) -> Iterator[None]:
    """Have another mesh file for a while."""
    before = lab.mesh_file.read_text()
    edit_mesh(lab, text)
    try:
        yield
    finally:
        edit_mesh(lab, before)


# -- what an operator does


def state_apply(lab: Any, target: str = "*", *args: str) -> dict[str, list[dict[str, Any]]]:
    """Run ``salt TARGET state.apply wireguard``; return the states of every minion in the order that they ran."""
    answers = lab.salt_json(target, "state.apply", *(args or ("wireguard",)), "--timeout=150")
    for node, states in answers.items():
        assert isinstance(states, dict), f"{node}: {states}"
    return {node: sorted(each.values(), key=lambda state: state["__run_num__"]) for node, each in answers.items()}


def failures(applied: dict[str, list[dict[str, Any]]]) -> list[str]:
    """The states that did not succeed."""
    return [
        f"{node}: {state['name']}: {state['comment']}"
        for node, states in applied.items()
        for state in states
        if state["result"] is not True
    ]


def changes(applied: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """The changes that states made, by node."""
    made = {node: [state["changes"] for state in states if state["changes"]] for node, states in applied.items()}
    return {node: each for node, each in made.items() if each}


def build(lab: Any, count: int) -> None:
    """Make a mesh of all nodes by one ``state.apply``, and wait until the master knows that it is complete."""
    applied = state_apply(lab)
    assert len(applied) == count
    assert failures(applied) == []
    wait_until("every node in sync", lambda: in_sync(lab, *applied))


def reconcile(lab: Any, *args: str) -> tuple[int, dict[str, Any]]:
    """Run ``salt-run wireguard.reconcile``; return its exit code and what it says."""
    done = lab.salt_run("wireguard.reconcile", "--out=json", *args)
    return done.returncode, documents(done.stdout)[-1]


def documents(text: str) -> list[Any]:
    """All JSON documents of a text: salt-run prints progress as documents of their own."""
    found = []
    while text := text.strip():
        document, end = json.JSONDecoder().raw_decode(text)
        found.append(document)
        text = text[end:]
    return found


# -- what can be seen


def nodes(lab: Any) -> dict[str, dict[str, Any]]:
    """``salt-run wireguard.nodes`` by node."""
    return {row["node"]: row for row in lab.salt_run_json("wireguard.nodes")["nodes"]}


def refused(lab: Any) -> list[dict[str, Any]]:
    """The refusals of ``salt-run wireguard.nodes``."""
    return lab.salt_run_json("wireguard.nodes")["refused"]


def in_sync(lab: Any, *names: str) -> bool:
    """
    Whether these are the members, and each has what it must have.

    Asked again and again, so it looks for itself before it starts a salt-run, which costs a second of a processor that
    the fleet needs.
    """
    salt = lab.dir / "hosts/master"
    opts = {
        "ext_pillar": [{"wireguard": {"mesh": str(lab.mesh_file)}}],
        "pki_dir": str(salt / "etc/salt/pki/master"),
        "cachedir": str(salt / "var/cache/salt/master"),
    }
    found = {status.member.node: status for status in statuses(Master.from_opts(opts).moment())}
    if set(found) != set(names) or any(status.reason for status in found.values()):
        return False
    rows = nodes(lab)
    return set(rows) == set(names) and all(row["in_sync"] for row in rows.values())


def peers(lab: Any, node: str, interface: str = "wg0") -> dict[str, dict[str, Any]]:
    """The peers of a node's device by public key, as the device has them."""
    found = {}
    for line in lab.must("exec", node, "wg", "show", interface, "dump").splitlines()[1:]:
        key, _, endpoint, allowed, handshake, _, _, keepalive = line.split("\t")
        found[key] = {
            "endpoint": endpoint,
            "allowed_ips": sorted(allowed.split(",")),
            "handshake": int(handshake),
            "keepalive": keepalive,
        }
    return found


def configured(lab: Any, node: str, interface: str = "wg0") -> dict[str, Any]:
    """What of a node's device only a change of its configuration changes."""
    found = {key: (peer["allowed_ips"], peer["keepalive"]) for key, peer in peers(lab, node, interface).items()}
    show = lab.must("exec", node, "ip", "-json", "address", "show", "dev", interface)
    addresses = sorted(info["local"] for info in json.loads(show)[0]["addr_info"])
    index = json.loads(show)[0]["ifindex"]
    return {"peers": found, "addresses": addresses, "index": index}


def public_key(lab: Any, node: str, interface: str = "wg0") -> str:
    """The public key of a node's device."""
    return lab.must("exec", node, "wg", "show", interface, "public-key").strip()


def has_device(lab: Any, node: str, interface: str = "wg0") -> bool:
    """Whether a node has this device."""
    return interface in lab.must("exec", node, "wg", "show", "interfaces").split()


def wireguard_files(lab: Any, node: str) -> dict[str, str]:
    """The files of a node's /etc/wireguard."""
    directory = lab.dir / "hosts" / node / "etc/wireguard"
    return {path.name: path.read_text() for path in sorted(directory.iterdir())}


def unique_addresses(lab: Any) -> bool:
    """Whether no two nodes have an address in common, and every node has one of each IP version."""
    given = [address for row in nodes(lab).values() for address in row["addresses"]]
    return len(set(given)) == len(given) == 2 * len(nodes(lab))


# -- a stream of packets through a tunnel


@contextlib.contextmanager
def stream(lab: Any, sender: str, receiver: str) -> Iterator[dict[str, Any]]:
    """
    Send 100 numbered packets a second through the mesh, and have them echoed, as long as the block runs.

    Gives a dictionary that is filled afterwards: ``sent``, ``lost`` (their numbers), ``longest_gap`` in seconds.
    """
    address = nodes(lab)[receiver]["addresses"][0]
    script = [sys.executable, "-I", "-S", str(HERE / "udp_stream.py")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    seen: dict[str, Any] = {}
    with _ended(subprocess.Popen(lab.argv("exec", receiver, *script, "echo", address), **pipes)) as echo:
        assert echo.stdout.readline() == "ready\n"
        with _ended(subprocess.Popen(lab.argv("exec", sender, *script, "send", address), **pipes)) as send:
            assert send.stdout.readline() == "ready\n"
            yield seen
            seen.update(json.loads(send.communicate(timeout=30)[0]))


@contextlib.contextmanager
def _ended(process: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    """Both scripts end when their standard input does."""
    try:
        yield process
    finally:
        with contextlib.suppress(ValueError, OSError):
            process.stdin.close()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
        process.stdout.close()


# -- which commands a node runs

SPY = r"""
set -e
mkdir /run/spy
for tool in ip wg wg-quick wireguard-go; do
    real=$(readlink -f "$(command -v "$tool")")
    touch "/run/spy/$tool"
    mount --bind "$real" "/run/spy/$tool"
    {
        echo '#!/bin/sh'
        echo "echo \"$tool \$*\" >> /run/spy/log"
        echo "export -p >> /run/spy/environ"
        echo "exec /run/spy/$tool \"\$@\""
    } > "/run/spy/$tool.sh"
    chmod +x "/run/spy/$tool.sh"
    mount --bind "/run/spy/$tool.sh" "$real"
done
"""
READING = re.compile(
    r"wg show( .*)?|wg pubkey|ip( -\w+)* (address|link|route|rule) (show|get)( .*)?|ip -[46] -json -force -batch -"
)


def spy_on(lab: Any, node: str) -> None:
    """Record until it is off what commands of WireGuard and iproute2 anything on a node runs, by whatever path."""
    lab.must("exec", node, "sh", "-c", SPY)


def commands(lab: Any, node: str) -> list[str]:
    """The commands since the last look."""
    return lab.must("exec", node, "sh", "-c", "cat /run/spy/log 2>/dev/null; rm -f /run/spy/log").splitlines()


def writing(found: Iterable[str]) -> list[str]:
    """Those of the commands that may change something."""
    return [command for command in found if not READING.fullmatch(command)]


# -- events


class Recorder:
    """Writes down every event of the master's bus, from the moment that it is made."""

    def __init__(self, lab: Any) -> None:
        earlier = [*lab.dir.glob("events*.jsonl")]  # each goes on until its master's host goes off
        self.file = lab.dir / f"events{len(earlier) or ''}.jsonl"
        script = ["python3", str(HERE.parents[1] / "lab" / "record_events.py"), str(self.file)]
        process = subprocess.Popen(lab.argv("exec", "master", *script), stdout=subprocess.PIPE, text=True)
        assert process.stdout.readline() == "listening\n"
        process.stdout.close()  # it ends with the master's host

    def all(self) -> list[tuple[str, Any]]:
        """Tag and data of all events so far."""
        return [tuple(json.loads(line)) for line in self.file.read_text().splitlines()]

    def events(self, tag: str) -> list[Any]:
        """The data of all events with this tag so far."""
        return [data for each, data in self.all() if each == tag]


def send_events(lab: Any, node: str, events: list[tuple[str, Any]]) -> None:
    """Let a minion send events as they are, one after the other, in one process: salt-call takes seconds for each."""
    lab.must("exec", node, "python3", str(HERE / "send_events.py"), input=json.dumps(events))


# -- private keys


def private_keys(lab: Any) -> set[str]:
    """All private keys that the nodes have now, those that were put aside too."""
    files = lab.dir.glob("hosts/*/etc/wireguard/*.key*")
    return {path.read_text().strip() for path in files}


def leaks(lab: Any, keys: Iterable[str]) -> list[str]:
    """The files of the lab, other than those that a node keeps its keys in, that hold one of the keys in any form."""
    wanted = {form for key in keys for form in forms(key)}
    assert wanted
    pattern = re.compile(b"|".join(map(re.escape, sorted(wanted))))
    return [str(path.relative_to(lab.dir)) for path in _searched(lab.dir) if pattern.search(path.read_bytes())]


def _searched(root: Path) -> Iterator[Path]:
    for path in sorted(root.rglob("*")):
        own = path.relative_to(root).parts[2:4] == ("etc", "wireguard")
        if path.is_file() and not own:
            yield path


def forms(key: str) -> list[bytes]:
    """All that a key may look like where it should not be."""
    raw = base64.b64decode(key, validate=True)
    assert len(raw) == 32
    text = key.rstrip("=")
    return [
        raw,
        raw.hex().encode(),
        raw.hex().upper().encode(),
        text.encode(),
        text.replace("+", "-").replace("/", "_").encode(),
        text.replace("/", "\\/").encode(),
    ]
