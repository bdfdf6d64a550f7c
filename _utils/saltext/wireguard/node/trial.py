"""
Changes on trial: what does not work is rolled back, by the apply itself or, if that died, by the watchdog.

The configuration file is the last good state. It is replaced only after the change on the device was found to work. So
a rollback leads to what the file says, whatever happened, and a reboot does the same by itself.

What a trial checks is decided in ``device.trial``.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from ..device import guard, rotation, trial
from ..device.operations import Operation
from ..device.rollback import RollbackState, as_view
from ..errors import RolledBackError
from ..model.device import Device, DevicePeer
from ..model.view import View
from ..system import files
from ..wording import some, when
from . import config_files, devices, reach
from .notes import Journal

CONFIRM_SECONDS = 30.0

# Peers that answer within this time before the change must answer after it.
ANSWER_SECONDS = 2.0

# How long a change that did not work is not tried again.
RETRY_SECONDS = 600


@dataclass(frozen=True)
class Safety:
    """
    How careful an apply is.

    ``cachedir``: of the minion. ``confirm_seconds``: how long a change may take to work, 0 for no trial at all.
    ``share``: the share of the peers that may be removed at once, or not answer after a change. ``master``: address and
    port of the Salt master, if there is one. ``forced``: the reason for refusing nothing, if that is wanted.
    ``caller``: the address of the ssh client that applies this, if it comes by ssh. ``at``: when the device is to
    change, in Unix seconds, with many others; 0 for as soon as possible.
    """

    cachedir: str
    confirm_seconds: float = CONFIRM_SECONDS
    share: float = guard.DEFAULT_SHARE
    master: tuple[str, int] | None = None
    forced: str | None = None
    caller: str = ""
    at: float = 0.0

    def journal(self, interface: str) -> Journal:
        """The notes on the interface."""
        return Journal(self.cachedir, interface)


def refuse_retry(safety: Safety, view: View) -> None:
    """Raise RolledBackError for a view that was rolled back a short time ago, unless it is forced."""
    last = safety.journal(view.interface).rollback()
    if not last or last["digest"] != view.digest or safety.forced:
        return
    if 0 < last["retry_at"] - time.time() <= RETRY_SECONDS:
        source = "a different mesh file" if view.network else "a different configuration"
        raise RolledBackError(
            f"{view.interface}: the same change was rolled back at {when(last['at'])}: {last['reason']}. It will not"
            f" be tried again before {when(last['retry_at'])}; {source} is applied at once, and so is this one with"
            " `force=True reason=...`"
        )


class Trial:
    """
    One change, from before its first write until it is found to work.

    :param view: the wanted one, with two peers for one that announced a next key
    :param digest: that of the wanted view as it came
    :param operations: those that lead there
    :param device: as it is before them
    :param former: the interface that this one follows, whose device that is
    """

    def __init__(
        self,
        safety: Safety,
        view: View,
        digest: str,
        key_file: str,
        operations: Sequence[Operation],
        device: Device | None,
        former: str | None = None,
    ) -> None:
        self._safety = safety
        self._view = view
        self._digest = digest
        self._key_file = key_file
        self._device = device
        self._before = former or view.interface
        self._journal = safety.journal(view.interface)
        self._unfinished = self._journal.trial()
        self._affected = trial.affected(operations, view, device, int(time.time()))
        self._exit = trial.new_exit(config_files.written(self._before), view, device)
        state = replace(RollbackState.of(device, operations, view), former=former)
        if self._unfinished:
            state = RollbackState.from_dict(self._unfinished["rollback_state"]).before(state)
        self.rollback_state = state

    def begin(self) -> None:
        """
        Check what works now, and make sure that a rollback is possible. Raises NodeError or OSError, in which case
        nothing was changed.
        """
        self._deadline = time.monotonic() + self._safety.confirm_seconds
        master = self._safety.master
        self._master = master if master and reach.accepts(*master, ANSWER_SECONDS) else None
        self._must_answer = self._answering(self._affected, ANSWER_SECONDS)
        self._ensure_last_good_state()
        name = uuid.uuid4().hex
        state = self.rollback_state.to_dict()
        self._journal.begin(id=name, digest=self._digest, key_file=self._key_file, rollback_state=state)
        self._watchdog = _start_watchdog(self._safety.cachedir, self._view.interface, name, max(self._left(), 1))

    def _ensure_last_good_state(self) -> None:
        """Write a configuration file of the device as it is, if its own file is missing or damaged."""
        interface = self._before
        if self._device is None or self._unfinished or config_files.written(interface):
            return
        last_good = as_view(self._device, self._view.network, devices.preshared_keys(interface))
        kept = {peer.public_key for peer in self._view.peers if peer.preshared_key and not peer.preshared}
        peers = (replace(peer, preshared=peer.preshared and peer.name not in kept) for peer in last_good.peers)
        last_good = replace(last_good, kept=self._view.kept, peers=tuple(peers))
        files.replace(config_files.config_file(interface), config_files.config_text(last_good, self._key_file, {}))

    # -- whether it works

    def failure(self) -> str | None:
        """Wait until the change is found to work or the time is up. Returns what does not work; None if all does."""
        since = devices.peers(self._view.interface)
        waiting = {*self._must_answer, *([self._exit] if self._exit else [])}
        master = self._master
        pause = reach.POLL_SECONDS
        while True:
            if master and reach.accepts(*master, max(min(self._left(), ANSWER_SECONDS), 0.1)):
                master = None
            waiting -= self._answered(waiting, since, self._view.interface)
            if not master and not waiting:
                return None
            if self._left() < 0:
                return self._reasons(master, waiting)
            time.sleep(pause)
            pause = min(pause * 1.5, 1.0)

    def _left(self) -> float:
        return self._deadline - time.monotonic()

    def _reasons(self, master: tuple[str, int] | None, missing: Collection[str]) -> str | None:
        reasons = []
        if master:
            reasons.append(f"the Salt master ({master[0]}, port {master[1]}) can no longer be reached")
        if self._exit in missing:
            reasons.append(f"the exit node {self._view.via} did not answer")
        silent = self._must_answer.intersection(missing)
        if trial.too_many_missing(len(silent), len(self._must_answer), self._safety.share):
            names = some(peer.name for peer in self._view.peers if peer.public_key in silent)
            reasons.append(f"{len(silent)} of {len(self._must_answer)} peers did not come back ({names})")
        return " and ".join(reasons) or None

    def _answering(self, keys: Collection[str], seconds: float) -> frozenset[str]:
        """Those of the peers that answer in time."""
        if not keys:
            return frozenset()
        since = devices.peers(self._before)
        waiting = set(keys)

        def have_all_answered() -> bool:
            waiting.difference_update(self._answered(waiting, since, self._before))
            return not waiting

        reach.wait_until(have_all_answered, seconds)
        return frozenset(keys) - waiting

    def _answered(self, keys: Collection[str], since: Mapping[str, DevicePeer], interface: str) -> set[str]:
        """Those of the peers from which something came since then; the others are sent an echo request."""
        if not keys:
            return set()
        now = devices.peers(interface)
        answered = {key for key in keys if key not in since or trial.has_answered(since[key], now.get(key))}
        for address in rotation.echo_addresses(now[key] for key in keys if key in now and key not in answered):
            reach.send_echo(interface, address)
        return answered

    # -- the end of it

    def succeed(self) -> None:
        """The change works."""
        _stop(self._watchdog)
        self._journal.end()

    def roll_back(self, reason: str, retry_seconds: int) -> None:
        """The change did not work, and the device was rolled back."""
        _stop(self._watchdog)
        self._journal.record_rollback(self._digest, reason, retry_seconds)


# -- the watchdog


def _start_watchdog(cachedir: str, interface: str, name: str, seconds: float) -> subprocess.Popen[bytes]:
    """
    A process of its own that outlives the minion: a shell that sleeps until Python is needed. It imports our modules
    from where this process does.
    """
    python = [sys.executable, "-m", f"{__package__}.watchdog", cachedir, interface, name]
    return subprocess.Popen(
        ["/bin/sh", "-c", 'sleep "$0" && exec "$@"', str(int(seconds) + 1), *python],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        cwd="/",
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )


def _stop(watchdog: subprocess.Popen[bytes]) -> None:
    """The shell and what it runs. Nobody waited for it yet, so its process id is still its own."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(watchdog.pid, signal.SIGKILL)
    watchdog.wait()
