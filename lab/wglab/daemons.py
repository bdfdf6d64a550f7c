"""The Salt daemons of a lab: keys are accepted, and everything waits until they answer."""

import json
import math
import os
import time
from collections.abc import Callable
from pathlib import Path

from .host import Host
from .places import MASTER
from .report import LabError, progress

PUBLISH_PORT, REQUEST_PORT = 4505, 4506
REVIVE_SECONDS = 60.0
ESTABLISHED, LISTEN = "01", "0A"

# What Salt 3008 says of a worker whose two threads were in each other's way while it started: it refuses all for ever.
BROKEN_WORKER = "worker will be non-functional"


class Daemons:
    """The daemon of the master, and by ``host`` those of the others, who are named by their names in the lab."""

    def __init__(self, master: Host, host: Callable[[str], Host]) -> None:
        self._master = master
        self._host = host
        self._broken_workers = self._count_broken_workers()  # in the log of a master that runs already

    @property
    def _pki(self) -> Path:
        """The master's key store."""
        return self._master.conf_dir / "pki" / MASTER

    def accept(self, names: list[str]) -> None:
        """Wait until the keys of all these nodes are pending, and accept them together."""
        if not names:
            return
        progress(f"waiting for the keys of {len(names)} minions")
        self._wait(
            lambda: [name for name in names if self.key_state(name) is None], "no key has come from", REVIVE_SECONDS
        )
        self._wait(lambda: self._pending_still(names), "no key could be accepted of")

    def _pending_still(self, names: list[str]) -> list[str]:
        """Accept what is pending, and look again: a key that the master is just writing may stay pending."""
        pending = [name for name in names if self.key_state(name) == "minions_pre"]
        if pending:
            self._salt_key("-y", "-a", ",".join(pending))
        return [name for name in pending if self.key_state(name) == "minions_pre"]

    def key_state(self, name: str) -> str | None:
        """
        Return the directory of the key store with the node's key: looking is 100 times faster than asking Salt.

        A key may be in two of them (see ``_not_connected``). Then the first one counts, in Salt's own order.
        """
        states = ("minions_rejected", "minions_pre", "minions", "minions_denied")
        return next((state for state in states if (self._pki / state / name).exists()), None)

    def delete_key(self, name: str) -> None:
        """Delete a node's key, if there is one."""
        if self.key_state(name) is not None:
            self._salt_key("-y", "-d", name)

    def _salt_key(self, *args: str) -> None:
        done = self._master.run([str(self._master.salt_bin / "salt-key"), "-c", str(self._master.conf_dir), *args])
        if done.returncode:
            said = " ".join((done.stderr or done.stdout).split())
            raise LabError(f"salt-key {' '.join(args)} failed with {done.returncode}: {said}")

    def wait_master(self) -> None:
        """Wait until the master takes requests and publishes jobs."""
        ports = [PUBLISH_PORT, REQUEST_PORT]
        self._wait(
            lambda: [MASTER] if any(_sockets(self._master, port, LISTEN, "local") == 0 for port in ports) else [],
            f"no open ports {PUBLISH_PORT} and {REQUEST_PORT} at",
        )

    def wait_minions(self, names: list[str]) -> None:
        """Wait until minions answer. Asking one that does not listen yet costs seconds: look at its sockets first."""
        if not names:
            return
        progress(f"waiting for {len(names)} minions to connect and answer")
        self._wait(lambda: self._not_connected(names), "no connection to the master from", REVIVE_SECONDS)
        self._wait(lambda: self._silent(names), "no answer to test.ping from")

    def _not_connected(self, names: list[str]) -> list[str]:
        """
        Return the minions without a connection, and accept their keys once more where that was lost.

        Salt 3008 reads and writes the state of a key in several steps. A minion that signs in while its key is being
        accepted makes it pending again, after salt-key has reported success, and waits for ever.
        """
        left = [name for name in names if not self._subscribed(name)]
        self._pending_still([self._host(name).minion_id for name in left])
        return left

    def _subscribed(self, name: str) -> bool:
        return _sockets(self._host(name), PUBLISH_PORT, ESTABLISHED, "remote") > 0

    def _silent(self, names: list[str]) -> list[str]:
        """Return the minions that do not answer test.ping. Of two with one id, either may answer for both."""
        self._revive_master()
        ids = {name: self._host(name).minion_id for name in names}
        command = [str(self._master.salt_bin / "salt"), "-c", str(self._master.conf_dir), "--out=json", "--static"]
        done = self._master.run([*command, "--timeout=10", "-L", ",".join(ids.values()), "test.ping"])
        try:
            answers = json.loads(done.stdout)
        except ValueError:
            return names
        return [name for name, minion_id in ids.items() if answers.get(minion_id) is not True]

    def _revive_master(self) -> None:
        """Start the master again if one of its workers is broken."""
        broken = self._count_broken_workers()
        if broken > self._broken_workers:
            self._broken_workers = broken
            progress("a worker of the master could not load its modules; starting the master again")
            self._master.kill_salt()
            self.wait_master()

    def _count_broken_workers(self) -> int:
        log = self._master.console_log
        return log.read_text(errors="replace").count(BROKEN_WORKER) if log.exists() else 0

    def _wait(self, missing: Callable[[], list[str]], problem: str, revive_after: float = math.inf) -> None:
        """
        Poll until nobody is missing; who still is when the time is over gets named, with the log to read.

        From time to time, the Salt of who is missing is started again: after any error that it did not expect while it
        connects for the first time, a minion gives up for ever, and does not end.
        """
        seconds = float(os.environ.get("WGLAB_TIMEOUT", "180"))
        started = revived = time.monotonic()
        while left := missing():
            if off := [name for name in left if not self._host(name).is_on()]:
                raise LabError(f"{', '.join(off)} lost power meanwhile; see {self._host(off[0]).console_log}")
            if time.monotonic() > started + seconds:
                host = self._host(left[0])
                raise LabError(
                    f"{problem} {', '.join(left)} in {seconds:g} s (WGLAB_TIMEOUT); read the logs in"
                    f" {host.disk / 'var/log'}, which end with: {host.end_of_log()}"
                )
            if time.monotonic() > revived + revive_after:
                revived = time.monotonic()
                for host in map(self._host, left):
                    progress(f"{problem} {host.name}; starting its Salt again. Its log ends with: {host.end_of_log()}")
                    host.kill_salt()
            time.sleep(0.1)


def _sockets(host: Host, port: int, state: str, end: str) -> int:
    """Count the host's TCP sockets in a state with this port at one end, from /proc: it costs no process."""
    init = host.init_pid()
    if init is None:
        return 0
    try:
        lines = Path(f"/proc/{init}/net/tcp").read_text().splitlines()[1:]
    except OSError:
        return 0
    column = 1 if end == "local" else 2
    rows = [line.split() for line in lines]
    return sum(row[3] == state and row[column].endswith(f":{port:04X}") for row in rows)
