"""Looks host names up, all at the same time, and within a time limit."""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
import time
from collections.abc import Iterable

# At most so many lookups run at once; further names wait for a free thread.
MAX_THREADS = 256


def resolve_names(hosts: Iterable[str], seconds: float) -> dict[str, tuple[str, ...]]:
    """
    Host name -> its addresses, the resolver's best first. A name that does not resolve in time is not in it.

    A lookup that takes too long goes on in its own thread, and nobody waits for it.
    """
    deadline = time.monotonic() + seconds
    found: dict[str, tuple[str, ...]] = {}
    names = sorted(set(hosts))
    waiting: queue.SimpleQueue[str] = queue.SimpleQueue()
    for name in names:
        waiting.put(name)
    threads = [
        threading.Thread(target=_work, args=(waiting, deadline, found), daemon=True)
        for _ in range(min(len(names), MAX_THREADS))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(deadline - time.monotonic(), 0))
    return dict(found)


def _work(waiting: queue.SimpleQueue[str], deadline: float, found: dict[str, tuple[str, ...]]) -> None:
    with contextlib.suppress(queue.Empty):
        while time.monotonic() < deadline:
            name = waiting.get_nowait()
            with contextlib.suppress(OSError, UnicodeError):
                infos = socket.getaddrinfo(name, None, type=socket.SOCK_DGRAM)
                found[name] = tuple(dict.fromkeys(str(info[4][0]) for info in infos))
