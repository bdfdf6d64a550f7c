"""
What processes of the master count and time: reconciles and pillars.

A small file of sums, since a schedule's metrics come from a process of their own. It may be lost: Prometheus takes sums
that begin again for what they are.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import IO

# Without a suffix: where a master and a minion share a cachedir, a `.json` beside it is taken for a network's notes.
_FILE = "counters"


def add(directory: str, **amounts: float) -> None:
    """Add to these sums. What is counted must not fail because it is, so nothing is raised."""
    with contextlib.suppress(OSError), _opened(directory, os.O_RDWR | os.O_CREAT, fcntl.LOCK_EX) as file:
        text = json.dumps(Counter(_parsed(file.read())) + Counter(amounts))
        file.seek(0)
        file.write(text)
        file.truncate()


def read(directory: str) -> Mapping[str, float]:
    """All sums, 0 for what was never counted."""
    with contextlib.suppress(OSError), _opened(directory, os.O_RDONLY, fcntl.LOCK_SH) as file:
        return Counter(_parsed(file.read()))
    return Counter()


@contextlib.contextmanager
def _opened(directory: str, flags: int, lock: int) -> Iterator[IO[str]]:
    descriptor = os.open(os.path.join(directory, _FILE), flags, 0o600)
    with os.fdopen(descriptor, "r+" if flags & os.O_RDWR else "r", encoding="utf-8") as file:
        fcntl.flock(descriptor, lock)
        yield file


def _parsed(text: str) -> dict[str, float]:
    """Empty where it was damaged, as by a power cut."""
    try:
        data = json.loads(text or "{}")
    except ValueError:
        return {}
    sums = data.items() if isinstance(data, dict) else ()
    return {name: value for name, value in sums if isinstance(value, int | float) and not isinstance(value, bool)}
