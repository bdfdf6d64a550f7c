#!/usr/bin/env python3
"""
Many registrations at once, as from real minions: real Salt keys, sign-in at a real master, records that are signed.

Makes a key pair for each minion (kept in ``--keys``), accepts the public keys at the master, signs in as each minion
over Salt's request channel, and then sends all registrations within ``--seconds``. A share of the minions misbehaves as
well: the same record twice, an old record once more, an older record that comes too late, a record in the name of
another minion, a record that was changed after it was signed. Prints what it did, and what the master must make of it,
as JSON, and the CPU seconds of the master when it runs on the
master's host.

Runs on a host of the lab; the key directory must be for this only:

    lab exec master lab/load.py --keys /tmp/load-keys --count 300 --seconds 5 --wait 60
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import json
import multiprocessing
import os
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "_utils"))

import salt.config
import salt.crypt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from salt.channel.client import ReqChannel
from salt.exceptions import SaltException

from saltext.wireguard.master.master import Master
from saltext.wireguard.model.statements import REGISTER_TAG, REPORT_TAG, Registration, Report, sign
from saltext.wireguard.registry.registry import Registry

FORK = multiprocessing.get_context("fork")
WORKERS = 4
# What minions that misbehave do, and which of it the master must refuse.
GOOD, DUPLICATE, REPLAY, LATE, FORGED, CHANGED = "good", "duplicate", "replay", "late", "forged", "changed"
BAD = (DUPLICATE, REPLAY, LATE, FORGED, CHANGED)
REFUSED = (REPLAY, LATE, FORGED, CHANGED)
# How long after the first attempt a registration that the registry does not show is sent again.
RESEND_SECONDS = 3.0
# The longest that signing in, or sending, may take.
PHASE_SECONDS = 900.0
# What is on the event bus when the last event was sent belongs to what it cost.
SETTLE_SECONDS = 2.0


@dataclass(frozen=True)
class Minion:
    """One minion that registers: by number, so that a seed always gives the same."""

    name: str
    directory: Path
    behaviour: str
    seed: int
    network: str

    @property
    def pem(self) -> bytes:
        return (self.directory / "minion.pem").read_bytes()

    def record(self, serial: int) -> Registration:
        """What it says of itself; with another serial, it says the same."""
        raw = bytearray(random.Random(f"{self.seed} {self.name}").randbytes(32))  # noqa: S311 - nobody uses these keys
        raw[31] &= 0x3F
        number = int(self.name.removeprefix("load"))
        endpoint = f"198.18.{number // 250}.{number % 250 + 1}"
        key = base64.b64encode(bytes(raw)).decode()
        return Registration(self.name, self.network, key, (endpoint,), 51820, serial)

    def statements(self, serial: int, other: str) -> list[dict[str, str]]:
        """The signed records to send, in this order."""
        record = self.record(serial)
        pem = self.pem
        good = sign(record, pem)
        if self.behaviour == GOOD:
            return [good]
        if self.behaviour == DUPLICATE:
            return [good, good]
        if self.behaviour == FORGED:
            return [good, sign(replace(record, node=other, serial=serial + 1), pem)]
        if self.behaviour == CHANGED:
            return [good, {**good, "statement": good["statement"].replace(f": {serial}", f": {serial + 1}")}]
        older = sign(replace(record, serial=serial - 1), pem)
        return [older, good, older] if self.behaviour == REPLAY else [good, older]


# -- key pairs


def make_key(directory: Path) -> None:
    """A minion's key pair, where there is none."""
    if (directory / "minion.pub").exists():
        return
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    with open(os.open(directory / "minion.pem", os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "wb") as handle:
        handle.write(private)
    (directory / "minion.pub").write_bytes(public)


def accept(minions: list[Minion], pki_dir: Path) -> None:
    """As `salt-key -a` does, without an event for each."""
    for minion in minions:
        key = salt.crypt.clean_key((minion.directory / "minion.pub").read_text())
        (pki_dir / "minions" / minion.name).write_text(key)


# -- sending


class Sender:
    """A minion's own way to the master."""

    def __init__(self, minion: Minion, master_opts: dict[str, Any]) -> None:
        self._id = minion.name
        # as in a new minion, which does not know a master yet: the last one may have been another
        (minion.directory / "minion_master.pub").unlink(missing_ok=True)
        opts = salt.config.DEFAULT_MINION_OPTS.copy()
        address = master_opts["interface"]
        opts.update(
            {
                "id": minion.name,
                "__role": "minion",
                "pki_dir": str(minion.directory),
                "master_ip": address,
                "master_uri": f"tcp://{address}:{master_opts['ret_port']}",
                "transport": master_opts["transport"],
                "auth_timeout": 5,
                "auth_tries": 1,
                "acceptance_wait_time": 1,
                "request_channel_timeout": 5,
            }
        )
        self._opts = opts
        self._channel = None

    def sign_in(self) -> None:
        """Raises SaltException while the master is away."""
        if self._channel is None:
            self._channel = ReqChannel.factory(self._opts)
            self.send("bench/load/here", {})

    def send(self, tag: str, data: Any) -> None:
        """As ``event.send`` does. Raises SaltException when the master does not confirm it."""
        load = {"id": self._id, "tag": tag, "data": data, "cmd": "_minion_event"}
        self._channel.send(load, tries=1, timeout=5)

    def insist(self, tag: str, data: Any, until: float) -> int:
        """Send until the master confirms it. Returns how often that failed."""
        failures = 0
        while True:
            try:
                self.sign_in()
                self.send(tag, data)
                return failures
            except (SaltException, OSError):
                failures += 1
                if time.monotonic() > until:
                    raise
                self._forget()
                time.sleep(0.3)

    def _forget(self) -> None:
        """The channel, and with it what was agreed with a master that has restarted since."""
        if self._channel is not None:
            self._channel.close()
        self._channel = None


class Worker:
    """Sends for a part of the minions, one event at a time."""

    def __init__(self, minions: list[Minion], names: list[str], options: argparse.Namespace, opts: dict[str, Any]):
        self._minions = minions
        self._names = names
        self._options = options
        self._opts = opts

    def run(self, together: Any, results: Any) -> None:
        """In a process of its own. All workers sign in, send, and report at the same time."""
        try:
            results.put(self._run(together))
        except BaseException as exc:
            together.abort()
            results.put(exc)
            raise

    def _run(self, together: Any) -> dict[str, Any]:
        options = self._options
        began = time.monotonic()
        deadline = began + 300 + options.seconds + options.wait
        senders = {minion: Sender(minion, self._opts) for minion in self._minions}
        plan = self._plan()
        for minion, sender in senders.items():
            make_key(minion.directory)
            sender.insist("bench/load/here", {}, deadline)
        signed_in = time.monotonic()
        together.wait(timeout=PHASE_SECONDS)
        began_sending = time.monotonic()
        sent: Counter[str] = Counter()
        failures = 0
        for moment, minion, kind, signed in plan:
            time.sleep(max(0.0, began_sending + moment - time.monotonic()))
            failures += senders[minion].insist(options.tag, {"signed": signed}, deadline)
            sent[kind] += 1
        ended = time.monotonic()
        again = self._until_stored(senders, began_sending, deadline) if options.wait else 0
        together.wait(timeout=PHASE_SECONDS)  # all is stored
        together.wait(timeout=PHASE_SECONDS)  # what it cost is known
        return {
            "sign_in": signed_in - began,
            "sent": sent,
            "sending": ended - began_sending,
            "failures": failures,
            "again": again,
            "nodes": {minion.name: self._truth(minion) for minion in self._minions},
            "reports": self._report(senders, deadline) if options.report else 0,
        }

    def _plan(self) -> list[tuple[float, Minion, str, dict[str, str]]]:
        """(moment, minion, kind, statement); what one minion sends keeps its order."""
        chance = random.Random(f"{self._options.seed} {self._minions[0].name}")  # noqa: S311
        plan = []
        for minion in self._minions:
            other = chance.choice([name for name in self._names if name != minion.name])
            statements = minion.statements(self._options.serial, other)
            kinds = {REPLAY: [GOOD, GOOD, REPLAY]}.get(minion.behaviour, [GOOD, minion.behaviour])
            moments = sorted(chance.uniform(0, self._options.seconds) for _ in statements)
            plan += [(moment, minion, *rest) for moment, *rest in zip(moments, kinds, statements, strict=False)]
        return sorted(plan, key=lambda entry: entry[0])

    def _truth(self, minion: Minion) -> dict[str, Any]:
        record = minion.record(self._options.serial)
        return {"public_key": record.public_key, "serial": record.serial, "endpoints": list(record.endpoints)}

    def _until_stored(self, senders: dict[Minion, Sender], since: float, deadline: float) -> int:
        """What the registry does not show is sent again, as nodes do in their next run. Returns how often."""
        registry = Registry(registry_path(self._opts))
        serial = self._options.serial
        again = 0
        last = time.monotonic()
        while True:
            rows = registry.snapshot().rows
            missing = [
                minion
                for minion in senders
                if not (row := rows.get((minion.network, minion.name))) or row.serial < serial
            ]
            if not missing:
                return again
            if time.monotonic() > since + self._options.seconds + self._options.wait:
                raise TimeoutError(f"{len(missing)} of {len(senders)} are not stored")
            if time.monotonic() > last + RESEND_SECONDS:
                for minion in missing:
                    signed = sign(minion.record(serial), minion.pem)
                    senders[minion].insist(self._options.tag, {"signed": signed}, deadline)
                again += len(missing)
                last = time.monotonic()
            time.sleep(0.1)

    def _report(self, senders: dict[Minion, Sender], deadline: float) -> int:
        """Say of each minion that it has applied its view; the master alone knows which that is."""
        digests = Master.from_opts(self._opts).moment().fleet().digests()
        for minion, sender in senders.items():
            report = Report(minion.name, minion.network, digests[minion.network, minion.name], time.time_ns())
            sender.insist(REPORT_TAG, {"signed": sign(report, minion.pem)}, deadline)
        return len(senders)


def master_cpu() -> float:
    """Seconds of CPU that the master on this host, if there is one, has used so far with all its children."""
    ticks = 0
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if b"salt-master" in (entry / "cmdline").read_bytes():
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                ticks += sum(int(field) for field in fields[11:15])
    return ticks / os.sysconf("SC_CLK_TCK")


def registry_path(opts: dict[str, Any]) -> str:
    """Where the master with these options keeps its registry."""
    return Master.from_opts(opts).registry.place


def crowd(options: argparse.Namespace) -> list[Minion]:
    """The minions, some of which misbehave."""
    chance = random.Random(options.seed)  # noqa: S311
    bad = set(chance.sample(range(options.count), round(options.count * options.bad_share)))
    kinds = iter(BAD * options.count)
    names = [f"load{number:04}" for number in range(options.count)]
    return [
        Minion(name, options.keys / name, next(kinds) if number in bad else GOOD, options.seed, options.network)
        for number, name in enumerate(names)
    ]


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Do all of it. Returns what came of it."""
    opts = salt.config.master_config(options.master_config)
    minions = crowd(options)
    with FORK.Pool(os.cpu_count()) as pool:
        pool.map(make_key, [minion.directory for minion in minions], chunksize=1)
    accept(minions, Path(opts["pki_dir"]))
    together, results = FORK.Barrier(min(WORKERS, len(minions)) + 1), FORK.Queue()
    names = [minion.name for minion in minions]
    workers = [Worker(minions[part::WORKERS], names, options, opts) for part in range(min(WORKERS, len(minions)))]
    processes = [FORK.Process(target=worker.run, args=(together, results)) for worker in workers]
    for process in processes:
        process.start()
    cpu = seconds = 0.0
    with contextlib.suppress(threading.BrokenBarrierError):  # a worker that failed says why
        together.wait(timeout=PHASE_SECONDS)
        cpu, seconds = master_cpu(), time.monotonic()
        together.wait(timeout=PHASE_SECONDS)
        seconds = time.monotonic() - seconds
        time.sleep(SETTLE_SECONDS)
        cpu = master_cpu() - cpu
        together.wait(timeout=PHASE_SECONDS)
    parts = [results.get() for _ in processes]
    for process in processes:
        process.join()
    for part in parts:
        if isinstance(part, BaseException):
            raise part
    cost = {"master_cpu_seconds": round(cpu, 2), "seconds": round(seconds, 2)}
    return {"count": len(minions), **summary(parts), **cost}


def summary(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The results of all workers as one."""
    sent = sum((part["sent"] for part in parts), Counter())
    return {
        "sent": dict(sent),
        "refused": sum(sent[kind] for kind in REFUSED),
        "failures": sum(part["failures"] for part in parts),
        "again": sum(part["again"] for part in parts),
        "reports": sum(part["reports"] for part in parts),
        "sign_in_seconds": round(max(part["sign_in"] for part in parts), 2),
        "sending_seconds": round(max(part["sending"] for part in parts), 2),
        "nodes": {name: node for part in parts for name, node in part["nodes"].items()},
    }


def arguments() -> argparse.Namespace:
    """From the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    config = os.path.join(os.environ.get("SALT_CONFIG_DIR", "/etc/salt"), "master")
    parser.add_argument("--master-config", default=config, help="the master's configuration file (%(default)s)")
    parser.add_argument("--keys", type=Path, required=True, help="directory with a key pair for each minion")
    parser.add_argument("--count", type=int, default=300, help="how many minions (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="for the choice of who misbehaves, and when (%(default)s)")
    parser.add_argument("--bad-share", type=float, default=0.05, help="share of those that misbehave (%(default)s)")
    parser.add_argument("--seconds", type=float, default=5, help="send everything within this time (%(default)s)")
    parser.add_argument("--network", default="backbone", help="register in this one (%(default)s)")
    parser.add_argument("--serial", type=int, default=time.time_ns(), help="of all records (the time)")
    parser.add_argument("--tag", default=REGISTER_TAG, help="of the events (%(default)s); with another, nobody hears")
    parser.add_argument("--wait", type=float, default=0, help="wait so many seconds until all is stored, sending again")
    parser.add_argument("--report", action="store_true", help="then report for each minion that it is in sync")
    return parser.parse_args()


def main() -> None:
    """Print the outcome."""
    print(json.dumps(run(arguments())))


if __name__ == "__main__":
    main()
