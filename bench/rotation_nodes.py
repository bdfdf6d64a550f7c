"""
A few machines on this one, each with WireGuard and the execution module, and no Salt daemons: what a key rotation is
measured and tested with.

Each machine is a process in namespaces of its own (network, mounts, processes), joined to the others by a bridge. This
file is both sides: ``Nodes`` starts the machines and plays the master; run as a program, it is one machine that takes
requests, one JSON object a line, and works on several at once. When ``Nodes`` goes, in whatever way, so do they.
"""

from __future__ import annotations

import importlib.util
import itertools
import json
import os
import queue
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

REPO = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPO / "_utils"))

from saltext.wireguard.formats import wg_quick
from saltext.wireguard.model import preshared
from saltext.wireguard.model.keys import PrivateKey
from saltext.wireguard.model.view import Peer, View
from saltext.wireguard.node import config_files, rotation
from saltext.wireguard.system import files

NETWORK = "backbone"
INTERFACE = "wg0"
PORT = 51820
UDP_ECHO = REPO / "bench" / "udp_echo.py"
STATE_DIR = "/run/wireguard/minion"  # on a file system that each machine has for itself
PROGRAMS = ("unshare", "nsenter", "mount", "ip", "wg", "wg-quick")


def why_not() -> str | None:
    """Why there can be no such machines here; None if there can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    return f"needs {', '.join(missing)}" if missing else None


# -- the side of the master


class NodeError(Exception):
    """A machine could not do what it was asked for."""


class Node:
    """One machine. ``events`` are those that its module sent; ``job_seconds`` is what a call takes to get there."""

    job_seconds = 0.0

    def __init__(self, number: int) -> None:
        self.number = number
        self.name = f"node{number}"
        self.address = f"10.42.0.{number}"
        self.endpoint = f"192.0.2.{number}:{PORT}"
        self.events: queue.Queue[list[Any]] = queue.Queue()
        self._pending: dict[int, Future[Any]] = {}
        argv = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
        argv += [sys.executable, __file__, self.name]
        self._process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.pid = self._process.pid
        assert self._process.stdout is not None
        if self._process.stdout.readline() != "ready\n":
            raise NodeError(f"{self.name} does not start")
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            answer = json.loads(line)
            if "event" in answer:
                self.events.put(answer["event"])
            elif "error" in answer:
                self._pending.pop(answer["id"]).set_exception(NodeError(f"{self.name}: {answer['error']}"))
            else:
                self._pending.pop(answer["id"]).set_result(answer["result"])
        for future in self._pending.values():
            future.set_exception(NodeError(f"{self.name} is gone"))

    def begin(self, what: str, *args: Any, **kwargs: Any) -> Future[Any]:
        """Ask for something, without waiting. ``what`` is a method of ``Machine``."""
        future: Future[Any] = Future()
        number = id(future)
        self._pending[number] = future
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"id": number, "do": what, "args": args, "kwargs": kwargs}) + "\n")
        self._process.stdin.flush()
        return future

    def do(self, what: str, *args: Any, **kwargs: Any) -> Any:
        return self.begin(what, *args, **kwargs).result(90)

    def begin_call(self, function: str, *args: Any, **kwargs: Any) -> Future[Any]:
        """A function of the execution module."""
        return self.begin("call", function, args, kwargs, self.job_seconds)

    def call(self, function: str, *args: Any, **kwargs: Any) -> Any:
        return self.begin_call(function, *args, **kwargs).result(90)

    def run(self, *argv: str, seconds: float = 60) -> str:
        return str(self.begin("run", *argv, seconds=seconds).result(seconds + 30))

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)


class Nodes:
    """
    The machines, and a master that knows of each node its ``keys`` and announced ``next_keys``, and the ``secret`` that
    preshared keys come from.
    """

    def __init__(self, count: int, secret: str | None = None) -> None:
        self.keys: dict[str, str] = {}
        self.next_keys: dict[str, str] = {}
        self.secret = secret
        self._serials: dict[str, int] = {}
        self._bridge = _bridge()
        self.all = [Node(number) for number in range(1, count + 1)]
        for node in self.all:
            self._connect(node)

    def __enter__(self) -> Nodes:
        return self

    def __exit__(self, *_: object) -> None:
        for node in self.all:
            node.close()
        self._bridge.communicate()

    def _connect(self, node: Node) -> None:
        at_bridge = ["nsenter", f"--net=/proc/{self._bridge.pid}/ns/net", "ip", "link"]
        port = f"port{node.number}"
        _run([*at_bridge, "add", port, "type", "veth", "peer", "name", "eth0", "netns", str(node.pid)])
        _run([*at_bridge, "set", port, "master", "bridge", "up"])
        node.run("ip", "address", "add", f"192.0.2.{node.number}/24", "dev", "eth0")
        node.run("ip", "link", "set", "eth0", "up")

    def view(self, node: Node) -> View:
        peers = tuple(
            Peer(
                each.name,
                self.keys[each.name],
                (f"{each.address}/32",),
                each.endpoint,
                next_key=self.next_keys.get(each.name),
                preshared=bool(self.secret),
            )
            for each in self.all
            if each is not node and each.name in self.keys
        )
        key = self.keys.get(node.name)
        serial = self._serials.get(node.name, 0)
        addresses = (f"{node.address}/24",)
        view = View(INTERFACE, addresses, peers, network=NETWORK, port=PORT, public_key=key, serial=serial)
        if self.secret is None:
            return view
        secret = preshared.secret(self.secret)
        return preshared.with_secrets(replace(view, preshared=secret.name), secret, self.next_keys.get(node.name))

    def sync(self, *nodes: Node) -> None:
        """As after a reconcile: all nodes fetch their views and apply them at once; registrations are taken in."""
        while nodes:
            for node in nodes:
                node.do("set_view", self.view(node).to_dict())
            jobs = [node.begin_call("sync", signed=True) for node in nodes]
            results = [(node, job.result(90)) for node, job in zip(nodes, jobs, strict=True)]
            for node, result in results:
                self.take_in(result["wireguard/register"])
                if not result["networks"][NETWORK]["result"]:
                    raise NodeError(f"{node.name}: {result['networks'][NETWORK]['comment']}")
            nodes = tuple(node for node, result in results if result["wireguard/register"])

    def take_in(self, signed: list[dict[str, str]]) -> None:
        for each in signed:
            statement = json.loads(each["statement"])
            node = statement["node"]
            self.keys[node] = statement["public_key"]
            self._serials[node] = statement["serial"]
            if self.next_keys.get(node) == statement["public_key"]:
                del self.next_keys[node]

    def set_up(self) -> None:
        self.sync(*self.all)
        self.sync(*self.all)

    def peers_of(self, node: Node) -> list[Node]:
        return [each for each in self.all if each is not node]

    def announce(self, node: Node) -> str:
        """The node makes its next key, and the registry takes it in; its own pillar shows that, not yet the peers'."""
        node.do("set_view", self.view(node).to_dict())
        statement = json.loads(node.call("rotate_prepare", NETWORK)["statement"])
        self.next_keys[node.name] = statement["next_key"]
        node.do("set_view", self.view(node).to_dict())
        return str(statement["next_key"])

    def follow(self, node: Node, *peers: Node, seconds: float = 20) -> list[Future[Any]]:
        """Let the peers watch for the node's next key; returns when they do."""
        keys = [self.keys[node.name], self.next_keys[node.name]]
        following = [peer.begin_call("rotate_follow", NETWORK, *keys, seconds=seconds) for peer in peers]
        for peer in peers:
            peer.events.get(timeout=10)
        return following

    def rotate(self, node: Node, **switch: Any) -> dict[str, Any]:
        """The whole protocol. Returns what ``rotate_switch`` returned, and under ``followed`` what each peer did."""
        self.announce(node)
        peers = self.peers_of(node)
        self.sync(*peers)
        following = self.follow(node, *peers)
        result: dict[str, Any] = node.call("rotate_switch", NETWORK, **switch)
        result["followed"] = [each.result(30) for each in following]
        if result["switched"]:
            self.take_in(result["wireguard/register"])
            self.sync(node, *peers)
        return result

    def rotate_naively(self, node: Node) -> None:
        """As without a protocol: another key on the node, and then on its peers."""
        self.keys[node.name] = node.do("replace_key")
        self.sync(*self.peers_of(node))
        self.sync(node)

    def ping(self, one: Node, other: Node, seconds: float = 10) -> None:
        """Until an answer comes."""
        deadline = time.monotonic() + seconds
        while not one.do("echoes", other.address, 0.1)["received"]:
            if time.monotonic() > deadline:
                raise NodeError(f"{one.name} does not reach {other.name}")


def _bridge() -> subprocess.Popen[str]:
    script = "ip link add bridge type bridge && ip link set bridge up && echo ready && read -r _"
    argv = ["unshare", "--net", "sh", "-c", script]
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    if process.stdout.readline() != "ready\n":
        raise NodeError("a bridge cannot be made here")
    return process


def _run(argv: list[str], seconds: float = 60) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=seconds)
    if done.returncode:
        raise NodeError(f"{argv}: {done.stderr.strip()}")
    return done.stdout


# -- the side of a machine


class Machine:
    """What a request may ask for. It works with the module as it is loaded here, with stand-ins for Salt's parts."""

    def __init__(self, name: str, answer: Any) -> None:
        self._answer = answer
        for path in ("/etc/wireguard", "/run/wireguard"):
            os.makedirs(path, exist_ok=True)
            _run(["mount", "-t", "tmpfs", "-o", "mode=0700", "tmpfs", path])
        _run(["mount", "-t", "sysfs", "sysfs", "/sys"])
        _run(["ip", "link", "set", "lo", "up"])
        spec = importlib.util.spec_from_file_location("wireguard_module", REPO / "_modules" / "wireguard.py")
        assert spec is not None
        assert spec.loader is not None
        self.module: Any = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(self.module)
        self._pillar: dict[str, Any] = {"wireguard": {"networks": {}}}
        master = "tcp://192.0.2.254:4506"  # where it has a master, which is played by ``Nodes``
        self.module.__opts__ = {"id": name, "cachedir": STATE_DIR, "pki_dir": STATE_DIR, "master_uri": master}
        self.module.__pillar__ = self._pillar
        self.module.__context__ = {}
        self.module.__grains__ = {}
        self._settings: dict[str, Any] = {}
        self.module.__salt__ = {"event.send": self._send, "config.get": self._settings.get}
        self.module.Minion.fresh_pillar = lambda _: self._pillar
        os.mkdir(STATE_DIR)
        Path(STATE_DIR, "minion.pem").write_bytes(_salt_key())
        self._echo = subprocess.Popen([sys.executable, str(UDP_ECHO), "serve"])

    def _send(self, tag: str, data: Any) -> bool:
        self._answer({"event": [tag, data]})
        return True

    def call(self, function: str, args: list[Any], kwargs: dict[str, Any], delay: float) -> Any:
        time.sleep(delay)
        return getattr(self.module, function)(*args, **kwargs)

    def run(self, *argv: str, seconds: float) -> str:
        return _run(list(argv), seconds)

    def configure(self, settings: dict[str, Any], **opts: Any) -> None:
        """Settings as ``config.get`` finds them, and options of the minion."""
        self._settings.update(settings)
        self.module.__opts__.update(opts)

    def listen(self, port: int) -> None:
        """Accept TCP connections, as a Salt master does."""
        listener = socket.create_server(("", port))
        threading.Thread(target=lambda: [listener.accept()[0].close() for _ in itertools.count()], daemon=True).start()

    def set_view(self, view: dict[str, Any]) -> None:
        self._pillar["wireguard"]["networks"][NETWORK] = view

    def files(self) -> list[str]:
        return sorted(os.listdir("/etc/wireguard"))

    def key_of_config(self) -> str:
        """The public key with which this machine would come up after a power cut."""
        text = files.read(config_files.config_file(INTERFACE))
        (line,) = [line for line in text.splitlines() if line.startswith("PrivateKey = ")]
        done = subprocess.run(["wg", "pubkey"], input=line[13:], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def replace_key(self) -> str:
        """What a rotation without any protocol does. Returns the public key."""
        path = config_files.key_file(INTERFACE)
        files.replace(path, _run(["wg", "genkey"]))
        _run(["wg", "set", INTERFACE, "private-key", path])
        return str(self.module.public_key(INTERFACE))

    def syncconf(self, view: dict[str, Any]) -> None:
        """What scripts do: write the whole configuration, and let ``wg`` make the device like it."""
        self._write_config(view)
        path = f"{STATE_DIR}/stripped"
        Path(path).write_text(_run(["wg-quick", "strip", INTERFACE]))
        _run(["wg", "syncconf", INTERFACE, path])

    def restart(self, view: dict[str, Any]) -> None:
        """What others do."""
        _run(["wg-quick", "down", INTERFACE])
        self._write_config(view)
        _run(["wg-quick", "up", INTERFACE])

    def _write_config(self, view: dict[str, Any]) -> None:
        private = files.read(config_files.key_file(INTERFACE)).strip()
        text = wg_quick.render(View.from_dict(view, NETWORK), PrivateKey(private))
        files.replace(config_files.config_file(INTERFACE), text)

    def lose_power_before(self, function: str) -> None:
        """The next call of this step of a switch raises, once: what comes after it in the code never happens."""
        real = getattr(rotation, function)

        def die(*_args: Any, **_kwargs: Any) -> None:
            setattr(rotation, function, real)
            raise RuntimeError("power cut")

        setattr(rotation, function, die)

    def boot(self) -> None:
        """Everything that is not in a file is gone; wg-quick brings the interface up from its file."""
        _run(["ip", "link", "delete", "dev", INTERFACE])
        _run(["wg-quick", "up", INTERFACE])

    def echoes(self, address: str, seconds: float, rate: int = 1000) -> dict[str, Any]:
        """
        Send numbered packets to a machine that sends them back; see udp_echo.py.

        Returns how many were ``sent`` and ``received``, and the ``gap``: the longest time without an answer in seconds.
        """
        words = ["stream", address, str(seconds), str(rate)]
        return dict(json.loads(_run([sys.executable, str(UDP_ECHO), *words])))


def _salt_key() -> bytes:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )


def main(name: str) -> None:
    """Be a machine until the other side goes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    output = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what anything else prints must not get between the answers
    lock = threading.Lock()

    def answer(data: dict[str, Any]) -> None:
        with lock:
            output.write(json.dumps(data) + "\n")

    machine = Machine(name, answer)
    output.write("ready\n")

    def work(request: dict[str, Any]) -> None:
        try:
            result = getattr(machine, request["do"])(*request["args"], **request["kwargs"])
            answer({"id": request["id"], "result": result})
        except BaseException:
            answer({"id": request["id"], "error": traceback.format_exc()})

    for line in sys.stdin:
        threading.Thread(target=work, args=(json.loads(line),), daemon=True).start()


if __name__ == "__main__":
    main(sys.argv[1])
