"""One change at a time for each interface: a state run and a sync of the master may coincide."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from typing import IO

from ..errors import NodeError
from ..system import files
from . import config_files

# Another apply to the same interface takes a second or two.
LOCK_SECONDS = 120.0


@contextlib.contextmanager
def hold(cachedir: str, interface: str, seconds: float | None = None) -> Iterator[None]:
    """
    Wait for the lock, for 120 s by default, or raise NodeError. The kernel releases it when the holder dies.

    Only the holder writes files of the interface, so it first removes temporary files that an earlier one left.
    """
    directory = os.path.join(cachedir, "wireguard")
    os.makedirs(directory, mode=0o700, exist_ok=True)
    with open(os.path.join(directory, f"{os.path.basename(interface)}.lock"), "w", encoding="utf-8") as handle:
        _take(handle, interface, LOCK_SECONDS if seconds is None else seconds)
        files.remove_leftovers(*config_files.with_secrets(interface))
        yield


def _take(handle: IO[str], interface: str, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            return fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise NodeError(
                    f"another apply has been working on {interface} for {seconds:g} s; see `ps` on this minion"
                ) from None
            time.sleep(0.1)
