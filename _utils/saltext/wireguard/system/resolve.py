"""Names of machines looked up, all at the same time, and for no longer than there is time."""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
import time
from collections.abc import Iterable

# So many names that lead nowhere may be looked up before others have to wait for them.
MAX_THREADS = 256


def resolve_names(hosts: Iterable[str], seconds: float) -> dict[str, tuple[str, ...]]:
    """
    Host name -> its addresses, the resolver's best first. A name that does not resolve in time is not in it.

    A lookup that takes too long goes on by itself, and nobody waits for it.
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
