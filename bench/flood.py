#!/usr/bin/env python3
"""
What a flood by one hostile member costs the master, beyond what Salt itself spends on its events.

A lab with a mesh of three nodes and the engine. The master knows so many more, which are made up and in sync; nobody
answers for them. The first node sends so many events a second, for so many seconds: under a tag that nobody acts on,
which is the baseline; registrations in the name of another node, which are refused; its own, which say the same each
time; that another node has started; and, once it has used up the changes that it may make, its own, each with another
endpoint. All CPU is that of all processes of the master, from the first event until three seconds after the last. Jobs
are those that ask other nodes to change. Needs root.

    bench/flood.py --rate 50 --seconds 20 --nodes 2000 --json
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from mesh_lab import PATIENCE, MeshLab, mesh_lab
from registry import registration
from report import REPO, BenchError, Comparison, Measured, Size, run
from saltext.wireguard.fleet.membership import Membership
from saltext.wireguard.master.master import Master
from saltext.wireguard.model.statements import REGISTER_TAG, Registration, Report, sign
from saltext.wireguard.registry.salt_keys import load_salt_keys

LIAR, VICTIM = "node1", "node2"
NETWORK = "backbone"
# Made up: nobody has the private key.
KEY = "bKEaZsQvEI1sLm2s/MXW+j8D3hP9W+BHV4BoGGUt53k="
SETTLING_SECONDS = 3

SENDER = """
import json, os, sys, time
import salt.config
from salt.channel.client import ReqChannel

opts = salt.config.minion_config(os.path.join(os.environ["SALT_CONFIG_DIR"], "minion"))
opts.update(master_ip=opts["master"], master_uri="tcp://%s:4506" % opts["master"])
rate, events = json.load(sys.stdin)
with ReqChannel.factory(opts) as channel:
    began = time.monotonic()
    for number, event in enumerate(events):
        time.sleep(max(began + number / rate - time.monotonic(), 0))
        channel.send({"id": opts["id"], "cmd": "_minion_event", **event}, tries=1, timeout=60)
"""

CPU = f"import sys; sys.path[:0] = ['{REPO}/lab', '{REPO}/_utils']; from load import master_cpu; print(master_cpu())"

Kind = Callable[[bytes, str, int], dict[str, object]]


def endpoints(number: int) -> tuple[str, ...]:
    """Others for each number."""
    return (f"10.99.{number // 250}.{number % 250 + 1}",)


def plain(pem: bytes, key: str, number: int) -> dict[str, object]:
    """Of the same size, and nobody's business."""
    return {**forged(pem, key, number), "tag": "bench/plain"}


def forged(pem: bytes, key: str, number: int) -> dict[str, object]:
    """In the name of another."""
    statement = Registration(VICTIM, NETWORK, KEY, endpoints(number), 51820, time.time_ns())
    return {"tag": REGISTER_TAG, "data": {"signed": sign(statement, pem)}}


def unchanged(pem: bytes, key: str, number: int) -> dict[str, object]:
    """Its own, and no news but for the first."""
    statement = Registration(LIAR, NETWORK, key, endpoints(0), 51820, time.time_ns())
    return {"tag": REGISTER_TAG, "data": {"signed": sign(statement, pem)}}


def started(pem: bytes, key: str, number: int) -> dict[str, object]:
    """Anybody can say so of anybody."""
    return {"events": [{"tag": f"salt/minion/{VICTIM}/start", "data": {"id": VICTIM}}]}


def true(pem: bytes, key: str, number: int) -> dict[str, object]:
    """Its own, with another endpoint each time."""
    statement = Registration(LIAR, NETWORK, key, endpoints(number), 51820, time.time_ns())
    return {"tag": REGISTER_TAG, "data": {"signed": sign(statement, pem)}}


KINDS: dict[Kind, str] = {
    forged: "forged registrations",
    unchanged: "registrations that are no news",
    started: "events of a start",
    true: "true registrations",
}


@dataclass(frozen=True)
class Flood:
    """``share`` of a core, in per cent, that the master used meanwhile; ``jobs`` that it published for other nodes."""

    share: float
    jobs: int


def flood(lab: MeshLab, kind: Kind, rate: int, seconds: int) -> Flood:
    pem = (lab.dir / "hosts" / LIAR / "etc/salt/pki/minion/minion.pem").read_bytes()
    key = lab.run("exec", LIAR, "wg", "show", "wg0", "public-key").strip()
    events = [kind(pem, key, number) for number in range(rate * seconds)]
    jobs = jobs_for_others(lab)
    before, began = float(lab.run("exec", "master", "python3", "-c", CPU)), time.monotonic()
    words = lab.argv("exec", LIAR, "python3", "-c", SENDER)
    sent = subprocess.run(words, input=json.dumps([rate, events]), capture_output=True, text=True, check=False)
    if sent.returncode:
        raise BenchError(f"the flood ended: {sent.stderr[-500:]}")
    time.sleep(SETTLING_SECONDS)
    used = float(lab.run("exec", "master", "python3", "-c", CPU)) - before
    share = 100 * used / (time.monotonic() - began)
    return Flood(round(share, 1), jobs_for_others(lab) - jobs)


def jobs_for_others(lab: MeshLab) -> int:
    """How many jobs so far made, or asked, other nodes to change something."""
    jobs = json.loads(lab.run("salt-run", "--out=json", "jobs.list_jobs")).values()
    pushes = ("wireguard.sync", "wireguard.delta", "state.apply")
    return sum(job["Function"] in pushes and job["Target"] != [LIAR] for job in jobs)


class Crowd:
    """So many more nodes that the master knows, all with one Salt key."""

    def __init__(self, lab: MeshLab, nodes: int) -> None:
        self._lab = lab
        salt = lab.dir / "hosts/master"
        keys = salt / "etc/salt/pki/master/minions"
        self._master = Master(str(lab.dir / "mesh.yml"), str(keys), str(salt / "var/cache/salt/master/wireguard"))
        self._records = [replace(registration(number), network=NETWORK) for number in range(nodes)]
        public = (keys / LIAR).read_bytes()
        for record in self._records:
            (keys / record.node).write_bytes(public)
        accepted = load_salt_keys(str(keys))
        self._key = accepted[LIAR].fingerprint
        members = Membership(self._master.mesh().networks[0], accepted, {}, 0.0, {})
        with self._master.registry.held():
            for record in self._records:
                self._master.registry.register(record, self._key, members)

    def settle(self) -> None:
        """Wait until the lab's nodes have what they must have, and let the master believe that of the others."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            self._confirm()
            self._lab.run("salt-run", "wireguard.reconcile", check=False)
            if all(row["in_sync"] for row in self._lab.rows().values()):
                return
        raise BenchError(f"not in sync after {PATIENCE:g} s")

    def _confirm(self) -> None:
        digests = self._master.moment().unguarded.digests()
        with self._master.registry.held():
            for record in self._records:
                report = Report(record.node, NETWORK, digests[NETWORK, record.node], time.time_ns())
                self._master.registry.report(report, self._key)


def measure(rate: int, seconds: int, nodes: int) -> Measured:
    """Each kind once, after a short one of each that warms the master up."""
    with mesh_lab(3) as lab:
        crowd = Crowd(lab, nodes)
        crowd.settle()
        for kind in (plain, *KINDS):
            flood(lab, kind, rate, 1)
        crowd.settle()
        floods = {kind: flood(lab, kind, rate, seconds) for kind in (plain, *KINDS)}
    against, base = "events that nothing acts on", floods[plain]
    return {"beyond": {name: round(floods[kind].share - base.share, 1) for kind, name in KINDS.items()}}, [
        each
        for kind, name in KINDS.items()
        for each in (
            Comparison(f"CPU under {name}", floods[kind].share, base.share, against, "% of a core"),
            Comparison(f"jobs under {name}", floods[kind].jobs, base.jobs, against, ""),
        )
    ]


if __name__ == "__main__":
    sys.exit(
        run(
            __doc__,
            measure,
            rate=Size(50, 5, "events a second"),
            seconds=Size(20, 2, "how long each flood lasts"),
            nodes=Size(2000, 10, "nodes that the master knows besides"),
        )
    )
