#!/usr/bin/env python3
"""
What a statement costs the master that is refused, or that is no news: in a fleet of many nodes, compared with a few.

Each kind is measured in both fleets in turn, so that the ratio does not depend on how busy the machine is. ``all keys``
is the cost of looking at every key file, which came on top of each statement before. Salt and the network are not part
of it. Needs no root.

    bench/refusals.py --nodes 2000 --json
"""

from __future__ import annotations

import logging
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from registry import registration
from report import Comparison, Measured, Size, run
from saltext.wireguard.fleet.membership import Membership
from saltext.wireguard.master.intake import hear
from saltext.wireguard.master.master import Master
from saltext.wireguard.model.statements import REGISTER_TAG, REPORT_TAG, Registration, Report, sign
from saltext.wireguard.registry.salt_keys import load_salt_keys

MESH = "networks: {net: {subnets: [10.0.0.0/8], nodes: {'*': {}}}}"
FEW = 10
ROUNDS = 150


class Fleet:
    """A master with so many registered nodes, all with one Salt key, which makes no difference here."""

    def __init__(self, directory: Path, nodes: int, key: rsa.RSAPrivateKey) -> None:
        self._pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        keys = directory / "minions"
        keys.mkdir(parents=True)
        (directory / "mesh.yml").write_text(MESH)
        self.master = Master(str(directory / "mesh.yml"), str(keys), str(directory / "state"))
        for number in range(nodes):
            (keys / f"n{number}").write_bytes(public)
        accepted = load_salt_keys(str(keys))
        members = Membership(self.master.mesh().networks[0], accepted, {}, 0.0, {})
        with self.master.registry.held():
            for number in range(nodes):
                record = registration(number)
                self.master.registry.register(record, accepted[record.node].fingerprint, members)

    def hear(self, statement: Registration | Report, forged: bool = False) -> float:
        """Milliseconds for one event. The first refusals are written, the others counted."""
        signed = sign(statement, self._pem)
        if forged:
            signed["signature"] = "AAAA" + signed["signature"][4:]
        tag = REPORT_TAG if isinstance(statement, Report) else REGISTER_TAG
        started = time.perf_counter()
        hear(self.master, tag, {"id": "n1", "data": {"signed": signed}})
        return 1000 * (time.perf_counter() - started)

    def all_keys(self) -> float:
        """Milliseconds for a look at every key file."""
        started = time.perf_counter()
        load_salt_keys(self.master.keys_dir)
        return 1000 * (time.perf_counter() - started)


NEWER = replace(registration(1), serial=1000)

KINDS: dict[str, Callable[[Fleet, int], float]] = {
    "forged": lambda fleet, _: fleet.hear(registration(1), forged=True),
    "stranger": lambda fleet, _: fleet.hear(registration(10**6)),
    "no news": lambda fleet, _: fleet.hear(NEWER),
    "old": lambda fleet, round_: fleet.hear(replace(NEWER, serial=round_ + 1)),
    "report": lambda fleet, _: fleet.hear(Report("n1", "net", "digest", time.time_ns())),
    "all keys": lambda fleet, _: fleet.all_keys(),
}


def measure(nodes: int) -> Measured:
    """Medians in milliseconds of each kind in both fleets."""
    logging.disable()
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    compared = []
    with tempfile.TemporaryDirectory() as directory:
        few, many = Fleet(Path(directory, "few"), FEW, key), Fleet(Path(directory, "many"), nodes, key)
        with few.master.registry.held(), many.master.registry.held():
            for kind, cost in KINDS.items():
                pairs = [(cost(few, round_), cost(many, round_)) for round_ in range(ROUNDS)]
                low, high = (round(statistics.median(part), 3) for part in zip(*pairs, strict=True))
                compared.append(Comparison(f"{kind}, {nodes} nodes", high, low, f"{FEW} nodes", "ms"))
    return {}, compared


if __name__ == "__main__":
    sys.exit(run(__doc__, measure, nodes=Size(2000, 50, "nodes of the large fleet")))
