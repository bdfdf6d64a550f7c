"""The machines as seen from outside, and a master for them."""

from __future__ import annotations

import json
import os
import queue
import shutil
import subprocess
import sys
import threading
import time
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

from saltext.wireguard.model import preshared
from saltext.wireguard.model.view import Peer, View

from . import INTERFACE, NETWORK, PORT, REPO
from .commands import NodeError, run

PROGRAMS = ("unshare", "nsenter", "mount", "ip", "wg", "wg-quick")


def why_not() -> str | None:
    """Why there can be no such machines here; None if there can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    return f"needs {', '.join(missing)}" if missing else None


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
        argv += [sys.executable, "-m", f"{__package__}.machine", self.name]
        env = {**os.environ, "PYTHONPATH": str(REPO / "lab")}
        self._process = subprocess.Popen(argv, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
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
        run([*at_bridge, "add", port, "type", "veth", "peer", "name", "eth0", "netns", str(node.pid)])
        run([*at_bridge, "set", port, "master", "bridge", "up"])
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
