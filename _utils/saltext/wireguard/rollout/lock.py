"""At most one reconcile runs and one waits: any number of triggers during a run cause one more."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def reconcile_lock(directory: str, wait: bool = True) -> Iterator[bool]:
    """
    Hold the lock within the ``with`` block. Yields True if it is ours.

    With ``wait=False``, yields False if another process waits already: that run will begin later than now, so it will
    see what triggered this one. The kernel releases both locks when their holder dies.
    """
    os.makedirs(directory, mode=0o700, exist_ok=True)
    with _open(directory, "reconcile.waiting") as waiting, _open(directory, "reconcile.running") as running:
        if not _lock(waiting, wait):
            yield False
            return
        _lock(running, wait=True)
        fcntl.flock(waiting, fcntl.LOCK_UN)
        yield True


@contextmanager
def _open(directory: str, name: str) -> Iterator[int]:
    descriptor = os.open(os.path.join(directory, name), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _lock(descriptor: int, wait: bool) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
