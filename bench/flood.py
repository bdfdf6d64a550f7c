#!/usr/bin/env python3
"""
What a flood by one hostile member costs the master, beyond what Salt itself spends on its events.

A lab with a mesh of three nodes and the engine. The first node sends so many events a second, for so many seconds:
under a tag that nobody acts on, which is the baseline; registrations in the name of another node, which are refused;
and its own, each with another endpoint, which are true. All CPU is that of all processes of the master, from the first
event until three seconds after the last. Needs root.

    bench/flood.py --rate 50 --seconds 20 --json
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable

from mesh_lab import MeshLab, mesh_lab
from report import REPO, BenchError, Comparison, Measured, Size, run
from saltext.wireguard.model.statements import REGISTER_TAG, Registration, sign

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
    for number, (tag, data) in enumerate(events):
        time.sleep(max(began + number / rate - time.monotonic(), 0))
        channel.send({"id": opts["id"], "cmd": "_minion_event", "tag": tag, "data": data}, tries=1, timeout=60)
"""

CPU = f"import sys; sys.path[:0] = ['{REPO}/lab', '{REPO}/_utils']; from load import master_cpu; print(master_cpu())"

Kind = Callable[[bytes, str, int], tuple[str, dict[str, object]]]


def endpoints(number: int) -> tuple[str, ...]:
    """Others for each number."""
    return (f"10.99.{number // 250}.{number % 250 + 1}",)


def plain(pem: bytes, key: str, number: int) -> tuple[str, dict[str, object]]:
    """Of the same size, and nobody's business."""
    return "bench/plain", forged(pem, key, number)[1]


def forged(pem: bytes, key: str, number: int) -> tuple[str, dict[str, object]]:
    """In the name of another."""
    statement = Registration(VICTIM, NETWORK, KEY, endpoints(number), 51820, time.time_ns())
    return REGISTER_TAG, {"signed": sign(statement, pem)}


def true(pem: bytes, key: str, number: int) -> tuple[str, dict[str, object]]:
    """Its own, with another endpoint each time."""
    statement = Registration(LIAR, NETWORK, key, endpoints(number), 51820, time.time_ns())
    return REGISTER_TAG, {"signed": sign(statement, pem)}


def flood(lab: MeshLab, kind: Kind, rate: int, seconds: int) -> float:
    """The share of a core, in per cent, that the master uses meanwhile."""
    pem = (lab.dir / "hosts" / LIAR / "etc/salt/pki/minion/minion.pem").read_bytes()
    key = lab.run("exec", LIAR, "wg", "show", "wg0", "public-key").strip()
    events = [kind(pem, key, number) for number in range(rate * seconds)]
    before, began = float(lab.run("exec", "master", "python3", "-c", CPU)), time.monotonic()
    words = lab.argv("exec", LIAR, "python3", "-c", SENDER)
    sent = subprocess.run(words, input=json.dumps([rate, events]), capture_output=True, text=True, check=False)
    if sent.returncode:
        raise BenchError(f"the flood ended: {sent.stderr[-500:]}")
    time.sleep(SETTLING_SECONDS)
    used = float(lab.run("exec", "master", "python3", "-c", CPU)) - before
    return 100 * used / (time.monotonic() - began)


def measure(rate: int, seconds: int) -> Measured:
    """Each kind once, after a short one of each that warms the master up."""
    with mesh_lab(3) as lab:
        for kind in (plain, forged, true):
            flood(lab, kind, rate, 1)
        shares = {kind: round(flood(lab, kind, rate, seconds), 1) for kind in (plain, forged, true)}
        lab.settle(3)
    against = "events that nothing acts on"
    return {"beyond": {kind.__name__: round(shares[kind] - shares[plain], 1) for kind in (forged, true)}}, [
        Comparison("CPU under forged registrations", shares[forged], shares[plain], against, "% of a core"),
        Comparison("CPU under true registrations", shares[true], shares[plain], against, "% of a core"),
    ]


if __name__ == "__main__":
    sys.exit(
        run(__doc__, measure, rate=Size(50, 5, "events a second"), seconds=Size(20, 2, "how long each flood lasts"))
    )
