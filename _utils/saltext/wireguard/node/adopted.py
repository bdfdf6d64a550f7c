"""
The files of somebody else's interface, kept when it is taken over: beside each its copy, ``NAME.adopted-TIME``.

A file whose copy is there may be replaced. So a take-over that a power cut interrupted is finished by the next apply.
"""

from __future__ import annotations

import glob
import os
import re
import time
from collections.abc import Sequence

from ..system import files

_COPY = re.compile(r"(?P<path>.+)\.adopted-(?P<time>\d{8}-\d{6})")


def keep(paths: Sequence[str]) -> list[str]:
    """Copy those that have no copy yet, readable for root alone. Returns all copies. Raises NodeError or OSError."""
    now = time.strftime("%Y%m%d-%H%M%S")
    for path in paths:
        if not is_kept(path):
            files.add(f"{path}.adopted-{now}", files.read(path))
    return [copy for path in paths for copy in _copies(path)[-1:]]


def is_kept(path: str) -> bool:
    """Whether there is a copy of the file as it is now."""
    return any(files.read(copy) == files.read(path) for copy in _copies(path))


def latest(paths: Sequence[str]) -> dict[str, str]:
    """Path -> its copy, of the last take-over that kept any of these."""
    copies = {path: _copies(path)[-1] for path in paths if _copies(path)}
    last = max(map(_time, copies.values()), default="")
    return {path: copy for path, copy in copies.items() if _time(copy) == last}


def originals(folder: str) -> list[str]:
    """The paths in a folder of which there are copies."""
    found = (_COPY.fullmatch(os.path.join(folder, name)) for name in files.names(folder))
    return sorted({each["path"] for each in found if each})


def _copies(path: str) -> list[str]:
    return sorted(each for each in glob.glob(f"{glob.escape(path)}.adopted-*") if _COPY.fullmatch(each))


def _time(copy: str) -> str:
    match = _COPY.fullmatch(copy)
    return match["time"] if match else ""
