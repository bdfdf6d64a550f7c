#!/usr/bin/env python3
"""
What one change costs the master of a large network in which everybody is everybody's peer.

A registry and a directory of accepted keys with so many nodes, all of which have reported that they are in sync. Then
one of them changes its port, which concerns all. "From scratch" is what a process that knows nothing yet does: it reads
all, joins all, and computes all digests. "After one change" is the same in a process that did so before. All times are
those of the processor. The memory is that of a process that has compiled one pillar. Needs no root.

    bench/large_fleet.py --nodes 10000 --json
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from registry import registration
from report import BenchError, Comparison, Measured, Size, run
from saltext.wireguard.fleet.membership import Membership
from saltext.wireguard.master.deltas import Earlier, step_arguments
from saltext.wireguard.master.master import Master
from saltext.wireguard.master.pillar import views_for
from saltext.wireguard.master.settling import settle
from saltext.wireguard.master.status import statuses
from saltext.wireguard.model.statements import Report

MESH = "networks: {net: {subnets: [10.0.0.0/8, 'fd42::/64'], nodes: {'*': {}}}}\n"
FEW = 10
ROUNDS = 5


class Fleet:
    """A master with registered nodes."""

    def __init__(self, directory: Path) -> None:
        mesh, self._keys = directory / "mesh.yml", directory / "pki" / "minions"
        pillar = [{"wireguard": {"mesh": str(mesh)}}]
        self._opts = {"cachedir": str(directory), "pki_dir": str(self._keys.parent), "ext_pillar": pillar}
        self.master = Master.from_opts(self._opts)

    def make(self, nodes: int) -> None:
        """Have so many nodes, all of which have reported that they are in sync."""
        self._keys.mkdir(parents=True)
        Path(self.master.mesh_path).write_text(MESH)
        os.utime(self.master.mesh_path, (1e9, 1e9))  # nobody is writing it any more
        for number in range(nodes):
            (self._keys / f"n{number}").write_text(str(number))
        with self.master.registry.held():
            for number in range(nodes):
                self.register(number, 51820)
            settle(self.master)
            keys = self.master.accepted()
            for (network, node), digest in self.master.moment().fleet().digests().items():
                report = Report(node, network, digest, time.time_ns())
                self.master.registry.report(report, keys[node].fingerprint)

    def register(self, number: int, port: int) -> None:
        """A new or changed registration."""
        keys = self.master.salt_keys()
        members = Membership(self.master.mesh().networks[0], keys, {}, time.time(), {})
        record = replace(registration(number), port=port, serial=time.time_ns(), endpoints=(f"198.18.0.{port % 256}",))
        self.master.registry.register(record, keys[record.node].fingerprint, members)

    def out_of_date(self) -> int:
        """Of all nodes, those to ask."""
        return sum(status.reason is not None for status in statuses(self.master.moment()))

    def pillar(self) -> None:
        """Our share of a pillar."""
        found = views_for(self._opts, self.master.mesh_path, "n0")
        assert found
        for view in found[0].values():
            view.to_dict()

    def tell(self, known: Earlier, nodes: int) -> None:
        """Find out what each node lacks, and make the jobs that say so."""
        moment = self.master.moment()
        found = known.steps(moment, [member.node for _, member in moment.fleet().members()])
        assert len(found) >= nodes - 2  # all but the one that changed
        for steps in {id(steps): steps for steps in found.values()}.values():
            json.dumps(step_arguments(moment, steps))

    def costs(self) -> dict[str, float]:
        """In a process that knows nothing of the fleet yet."""
        scratch = _spent(self.out_of_date)
        known, nodes = Earlier(), len(self.master.accepted())
        known.add(self.master.moment().fleet())
        after, told, first, pillars = [], [], [], []
        for round_ in range(ROUNDS):
            self.register(1, 51821 + round_)
            after.append(_spent(self.out_of_date))
            told.append(_spent(partial(self.tell, known, nodes)))
            first.append(_spent(self.pillar))
            pillars.append(_spent(self.pillar))
        found = {"after": after, "told": told, "first_pillar": first, "pillar": pillars}
        return {"scratch": scratch, **{name: statistics.median(each) for name, each in found.items()}}

    def worker(self) -> dict[str, float]:
        """The memory of a process that compiles pillars, in MB."""
        self.pillar()
        with open("/proc/self/statm", encoding="ascii") as handle:
            pages = int(handle.read().split()[1])
        return {"memory": pages * os.sysconf("SC_PAGE_SIZE") / 2**20}


def _spent(work: Callable[[], object]) -> float:
    """Milliseconds of the processor."""
    started = time.process_time()
    work()
    return 1000 * (time.process_time() - started)


def in_a_process(work: Callable[[], object]) -> Any:
    """What the work returns, by a process of its own, whose memory and caches are its own too."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException), open(writer, "w", encoding="ascii") as pipe:
            json.dump(work(), pipe)
        os._exit(0)
    os.close(writer)
    with open(reader, encoding="ascii") as pipe:
        answer = pipe.read()
    os.waitpid(child, 0)
    if not answer:
        raise BenchError("a process of the benchmark ended early")
    return json.loads(answer)


def measure(nodes: int) -> Measured:
    logging.disable()
    in_memory = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: S108 - only the preparation is faster there
    with tempfile.TemporaryDirectory(dir=in_memory) as directory:
        few, many = Fleet(Path(directory, "few")), Fleet(Path(directory, "many"))
        for fleet, size in ((few, FEW), (many, nodes)):
            in_a_process(partial(fleet.make, size))
        low, high = in_a_process(few.costs), in_a_process(many.costs)
        small, large = in_a_process(few.worker), in_a_process(many.worker)
    who, first, share = "after one change, who is out of date", "the first pillar after a change", "one more pillar"
    cases = [(who, high["after"], high["scratch"], "from scratch")]
    cases += [(first, high["first_pillar"], high["scratch"], "who is out of date, from scratch")]
    cases += [(share, high["pillar"], low["pillar"], f"{FEW} nodes")]
    cases += [
        ("all nodes told of a change by jobs, our share", high["told"], nodes * high["pillar"], "by a pillar each")
    ]
    compared = [Comparison(what, round(ours, 1), round(base, 1), against, "ms") for what, ours, base, against in cases]
    memory = (round(each["memory"], 1) for each in (large, small))
    return {}, [*compared, Comparison("memory of a worker", *memory, f"{FEW} nodes", "MB")]


if __name__ == "__main__":
    sys.exit(run(__doc__, measure, nodes=Size(10_000, 300, "nodes")))
