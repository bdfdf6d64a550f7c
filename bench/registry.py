#!/usr/bin/env python3
"""
What a registration costs the registry: in a network of many nodes, compared with one of few.

Registrations with new addresses are stored one after the other in a file of their own. Signatures, Salt and the network
are not part of it; ``burst.py`` measures the whole. A ratio of 1 means that a registration does not care how many there
are. Where PostgreSQL is installed, some are stored there as well, in a server of its own. Needs no root.

    bench/registry.py --nodes 5000 --json
"""

from __future__ import annotations

import base64
import hashlib
import statistics
import sys
import tempfile
import time

from report import Comparison, Measured, Size, run
from saltext.wireguard.fleet.membership import Membership
from saltext.wireguard.meshfile.parse import parse_mesh
from saltext.wireguard.model.statements import Registration
from saltext.wireguard.registry.registry import Registry
from saltext.wireguard.registry.salt_keys import AcceptedKey
from wglab.postgresql import Server, programs

MESH = "networks: {net: {subnets: [10.42.0.0/16, 'fd42::/64'], nodes: {'*': {}}}}"
SAMPLE = 200


def registration(number: int) -> Registration:
    """Of a node that nobody knows."""
    raw = bytearray(hashlib.sha256(str(number).encode()).digest())
    raw[31] &= 0x3F
    key = base64.b64encode(bytes(raw)).decode()
    return Registration(f"n{number}", "net", key, ("192.0.2.1",), 51820, 1)


def store(registry: Registry, members: Membership, count: int) -> list[float]:
    """Milliseconds of so many registrations, one after the other."""
    taken = []
    for number in range(count):
        started = time.perf_counter()
        registry.register(registration(number), "key", members)
        taken.append(1000 * (time.perf_counter() - started))
    return taken


def in_postgresql(members: Membership, directory: str) -> float:
    server = Server(durable=True).start()
    try:
        return round(statistics.median(store(Registry(server.uri(), directory), members, SAMPLE)), 3)
    finally:
        server.remove()


def measure(nodes: int) -> Measured:
    """Medians in milliseconds of the first and the last registrations, and of a settling of all."""
    (network,) = parse_mesh([("mesh.yml", MESH)]).networks
    keys = {f"n{number}": AcceptedKey(b"", "key") for number in range(nodes)}
    members = Membership(network, keys, {}, 0.0, {})
    with tempfile.TemporaryDirectory() as directory:
        registry = Registry(f"{directory}/registry.db")
        with registry.held():
            taken = store(registry, members, nodes)
            started = time.perf_counter()
            registry.settle(members)
            settled = 1000 * (time.perf_counter() - started)
    first, last = (round(statistics.median(part), 3) for part in (taken[:SAMPLE], taken[-SAMPLE:]))
    early = f"one of the first {SAMPLE}"
    compared = [Comparison(f"one of the last {SAMPLE} registrations", last, first, early, "ms")]
    if programs():
        with tempfile.TemporaryDirectory() as directory:
            there = in_postgresql(members, directory)
        compared.append(Comparison(f"{early} in PostgreSQL", there, first, "in a file", "ms"))
    return {"settle_ms": round(settled, 1)}, compared


if __name__ == "__main__":
    sys.exit(run(__doc__, measure, nodes=Size(5000, 500, "registrations")))
