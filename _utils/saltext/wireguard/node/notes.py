"""What a node remembers, in the folder ``wireguard`` of the minion's cachedir."""

from __future__ import annotations

import json
import os
import time
from typing import Any

from ..model.statements import MAX_AHEAD_NS
from ..system import files
from . import config_files


class _JsonFile:
    """One JSON object in a file, which only its owner can read."""

    def __init__(self, path: str) -> None:
        self._path = path

    def read(self) -> dict[str, Any]:
        """The notes; empty if the file is damaged."""
        try:
            notes = json.loads(files.read(self._path) or "{}")
        except ValueError:
            return {}
        return notes if isinstance(notes, dict) else {}

    def add(self, **values: Any) -> None:
        """Add these values to the notes. Raises NodeError or OSError."""
        os.makedirs(os.path.dirname(self._path), mode=0o700, exist_ok=True)
        files.replace(self._path, json.dumps({**self.read(), **values}))


class Notes:
    """Notes on each network. Nothing breaks if they are lost."""

    def __init__(self, cachedir: str) -> None:
        self._dir = os.path.join(cachedir, "wireguard")

    def networks(self) -> list[str]:
        """The networks with notes: all that this node has been in."""
        return [os.path.splitext(name)[0] for name in files.names(self._dir) if name.endswith(".json")]

    def read(self, network: str) -> dict[str, Any]:
        """The notes on a network; empty if they are damaged."""
        return self._of(network).read()

    def add(self, network: str, **values: Any) -> None:
        """Add these values to the notes on a network."""
        self._of(network).add(**values)

    def next_serial(self, network: str, last_serial: int) -> int:
        """
        A serial larger than any before, even if this node's clock or cache was set back: the master knows the last one.

        Serials that were used while this node's clock was days ahead do not count: the master has refused them.
        """
        least = max(time.time_ns(), last_serial + 1)
        used = self.read(network).get("serial", 0)
        serial: int = least if used > least + MAX_AHEAD_NS else max(least, used + 1)
        self.add(network, serial=serial)
        return serial

    def _of(self, network: str) -> _JsonFile:
        return _JsonFile(os.path.join(self._dir, f"{os.path.basename(network)}.json"))


class Journal:
    """
    Notes on an interface: the change on trial, the last rollback, and the newest generation that was applied.

    A change is on trial from before its first write until it is found to work or was rolled back. If its process dies
    in between, the watchdog and the next run read here what to do.
    """

    def __init__(self, cachedir: str, interface: str) -> None:
        self._file = _JsonFile(os.path.join(cachedir, "wireguard", f"{os.path.basename(interface)}.journal"))

    def trial(self) -> dict[str, Any] | None:
        """
        The notes of ``begin`` on the change on trial. None if there is none, or if the machine has booted since: a boot
        sets the device up from the last good state.
        """
        trial = self._file.read().get("trial")
        return trial if trial and trial["boot"] == config_files.boot_id() else None

    def begin(self, **trial: Any) -> None:
        """Note that a change is about to begin. Raises NodeError or OSError."""
        self._file.add(trial={**trial, "boot": config_files.boot_id()})

    def end(self) -> None:
        """Note that the change works."""
        self._file.add(trial=None)

    def generation(self) -> int:
        """The generation of the newest view or job that was applied here, 0 if there was none."""
        generation = self._file.read().get("generation")
        return generation if isinstance(generation, int) else 0

    def reach_generation(self, generation: int) -> None:
        """Refuse older generations from now on. Raises NodeError or OSError."""
        if generation > self.generation():
            self._file.add(generation=generation)

    def rollback(self) -> dict[str, Any] | None:
        """
        The last rollback: ``digest`` of the view that was tried, ``reason``, ``at``, and ``retry_at``, the time of the
        next try; both in Unix seconds. None if there is none, or if the master knows of it and a later apply worked.
        """
        return self._file.read().get("rollback")

    def record_rollback(self, digest: str, reason: str, retry_seconds: int) -> None:
        """End the trial: its change was rolled back, and will not be tried again for so many seconds."""
        now = int(time.time())
        rollback = {"digest": digest, "reason": reason, "at": now, "retry_at": now + retry_seconds}
        self._file.add(trial=None, rollback=rollback)

    def forget_rollback(self) -> None:
        """A later apply worked, and the master is about to hear of both."""
        if self.rollback():
            self._file.add(rollback=None)
