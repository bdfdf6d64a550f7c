"""
Changes on trial: what does not work is taken back, by the apply itself or, should that have died, by the watchdog.

The configuration file is the last good state. It is replaced only after the change on the device was found to work. So
whatever happens before that, the way back leads to what the file says, and a power cut takes it by itself.
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
from dataclasses import dataclass

from ..device import confirm, guard, rotation
from ..device.confirm import RollbackState
from ..device.operations import Operation
from ..errors import RolledBackError
from ..model.device import Device, DevicePeer
from ..model.view import View
from ..system import files
from ..wording import some
from . import config_files, devices, reach
from .notes import Journal

CONFIRM_SECONDS = 30.0

# How long peers that the change concerns may take to answer before it, to be waited for after it.
ANSWER_SECONDS = 2.0

# How long a change that did not work is not tried again.
PATIENCE_SECONDS = 600


@dataclass(frozen=True)
class Safety:
    """
    How careful an apply is.

    ``cachedir``: of the minion. ``confirm_seconds``: how long a change may take to work, 0 for no trial at all.
    ``share``: of the peers, which may be removed at once, or not come back. ``master``: address and port of the Salt
    master, if there is one. ``forced``: the reason why nothing is refused, if that was wanted. ``caller``: the address
    from which somebody does this by ssh, if so.
    """

    cachedir: str
    confirm_seconds: float = CONFIRM_SECONDS
    share: float = guard.DEFAULT_SHARE
    master: tuple[str, int] | None = None
    forced: str | None = None
    caller: str = ""

    def journal(self, interface: str) -> Journal:
        """What the node remembers of its changes of the interface."""
        return Journal(self.cachedir, interface)


def refuse_again(safety: Safety, view: View) -> None:
    """Raise RolledBackError for a view that was taken back a short time ago, unless it is forced."""
    last = safety.journal(view.interface).taken_back()
    if not last or last["tried"] != view.digest or safety.forced:
        return
    left = last["again"] - time.time()
    if 0 < left <= PATIENCE_SECONDS:
        raise RolledBackError(
            f"{view.interface}: the same change was rolled back at {_clock(last['at'])}: {last['why']}. It will not be"
            f" tried again before {_clock(last['again'])}; {_what_else(view)}"
        )


def _what_else(view: View) -> str:
    source = "a different mesh file" if view.network else "a different configuration"
    return f"{source} is applied at once, and so is this one with `force=True reason=...`"


def _clock(seconds: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(seconds))


class Trial:
    """
    One change from before its first write until it is found to work.

    :param view: the wanted one, with two peers for one that announced a next key
    :param digest: that of the wanted view as it came
    :param operations: those that lead there
    :param device: as it is before them
    """

    def __init__(
        self,
        safety: Safety,
        view: View,
        digest: str,
        key_file: str,
        operations: Sequence[Operation],
        device: Device | None,
    ) -> None:
        self._safety = safety
        self._view = view
        self._digest = digest
        self._key_file = key_file
        self._device = device
        self._journal = safety.journal(view.interface)
        self._unfinished = self._journal.trial()
        self._concerned = confirm.concerned(operations, view, device, int(time.time()))
        self._exit = confirm.new_exit(config_files.written(view.interface), view, device)
        kept = RollbackState.of(device, operations, view)
        self.kept = RollbackState.from_dict(self._unfinished["kept"]).before(kept) if self._unfinished else kept

    def begin(self) -> None:
        """
        Look what works now, and make sure that there is a way back. Raises NodeError or OSError, and then nothing was
        changed.
        """
        self._deadline = time.monotonic() + self._safety.confirm_seconds
        master = self._safety.master
        self._master = master if master and reach.accepts(*master, ANSWER_SECONDS) else None
        self._must_come_back = self._answering(self._concerned, ANSWER_SECONDS)
        self._ensure_last_good_state()
        name = uuid.uuid4().hex
        self._journal.begin(id=name, digest=self._digest, key_file=self._key_file, kept=self.kept.to_dict())
        left = max(self._deadline - time.monotonic(), 1)
        self._watchdog = _start_watchdog(self._safety.cachedir, self._view.interface, name, left)

    def _ensure_last_good_state(self) -> None:
        """A device whose configuration file is missing or damaged gets one of what it is now."""
        interface = self._view.interface
        if self._device is None or self._unfinished or config_files.written(interface):
            return
        last_good = confirm.as_view(self._device, self._view.network, devices.preshared_keys(interface))
        files.replace(config_files.config_file(interface), config_files.config_text(last_good, self._key_file))

    # -- whether it works

    def failure(self) -> str | None:
        """Wait until the change is found to work, or the time is over. Returns what does not work, None if all does."""
        since = devices.peers(self._view.interface)
        waiting = {*self._must_come_back, *([self._exit] if self._exit else [])}
        master = self._master
        pause = reach.POLL_SECONDS
        while True:
            if master and reach.accepts(*master, max(min(self._left(), ANSWER_SECONDS), 0.1)):
                master = None
            waiting -= self._back(waiting, since)
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
        gone = self._must_come_back.intersection(missing)
        if confirm.are_too_many(len(gone), len(self._must_come_back), self._safety.share):
            names = {peer.public_key: peer.name for peer in self._view.peers}
            who = some(names[key] for key in gone)
            reasons.append(f"{len(gone)} of {len(self._must_come_back)} peers did not come back ({who})")
        return " and ".join(reasons) or None

    def _answering(self, keys: Collection[str], seconds: float) -> frozenset[str]:
        """Those of the peers from which something comes in time."""
        if not keys:
            return frozenset()
        since = devices.peers(self._view.interface)
        waiting = set(keys)

        def have_all_answered() -> bool:
            waiting.difference_update(self._back(waiting, since))
            return not waiting

        reach.await_(have_all_answered, seconds)
        return frozenset(keys) - waiting

    def _back(self, keys: Collection[str], since: Mapping[str, DevicePeer]) -> set[str]:
        """Those of the peers from which something came since; the others are greeted."""
        if not keys:
            return set()
        now = devices.peers(self._view.interface)
        back = {key for key in keys if key not in since or confirm.is_back(since[key], now.get(key))}
        for address in rotation.greeting_addresses(now[key] for key in keys if key in now and key not in back):
            reach.greet(self._view.interface, address)
        return back

    # -- the end of it

    def end(self) -> None:
        """It works."""
        _stop(self._watchdog)
        self._journal.end()

    def taken_back(self, why: str, patience: int) -> None:
        """It did not work, and the last good state is there again."""
        _stop(self._watchdog)
        self._journal.take_back(self._digest, why, patience)


# -- the watchdog


def _start_watchdog(cachedir: str, interface: str, trial: str, seconds: float) -> subprocess.Popen[bytes]:
    """
    A process of its own, which outlives the minion. It is a shell that sleeps until Python is needed.

    It finds our modules where this process does, wherever that is.
    """
    python = [sys.executable, "-m", f"{__package__}.watchdog", cachedir, interface, trial]
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
