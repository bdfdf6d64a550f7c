"""How labs and hosts may be called, and where a lab keeps its state, which one command at a time changes."""

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from . import saltconf
from .report import LabError, progress

MASTER = "master"
SWITCH = "switch"
LAB_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
HOST_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?")


def check_lab_name(name: str) -> str:
    """Accept 1 to 12 of [a-z0-9-]. Single dashes inside only: the double one ends the name in that of a namespace."""
    if len(name) > 12 or not LAB_NAME.fullmatch(name):
        raise LabError(f"'{name}' is no name for a lab: use 1 to 12 of a-z, 0-9 and single dashes inside")
    return name


def check_host_name(name: str) -> str:
    """Accept what is both a host name and a minion id without glob characters."""
    if not HOST_NAME.fullmatch(name) or name in (MASTER, SWITCH):
        raise LabError(f"'{name}' is no name for a new host: use a-z, 0-9, dots and dashes; not {MASTER} or {SWITCH}")
    return name


def state_dir(name: str) -> Path:
    """Return where the lab of this name keeps its state."""
    return Path(os.environ.get("WGLAB_DIR") or f"/tmp/wglab-{name}").absolute()  # noqa: S108 - sockets need short paths


@contextmanager
def locked(name: str, make: bool = False) -> Iterator[None]:
    """Let one command at a time change a lab. The lock is a file in the state directory and goes away with it."""
    root = state_dir(name)
    if make:
        _make_root(root)
    path = root / "lock"
    while root.is_dir():
        with path.open("a+") as lock:
            _flock(lock.fileno(), name)
            if path.exists() and os.path.samestat(path.stat(), os.fstat(lock.fileno())):
                yield
                return
        if make:
            _make_root(root)
    yield  # no directory, nothing to change: the command itself says so


def _make_root(root: Path) -> None:
    if root.resolve().is_relative_to(saltconf.CHECKOUT):
        raise LabError(f"WGLAB_DIR={root} is inside the checkout, which minions are served; choose one outside")
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    if root.stat().st_uid != os.geteuid() or root.is_symlink():
        raise LabError(f"{root} belongs to somebody else; choose another directory with WGLAB_DIR")
    known = (root / "lab.json").exists() or not {entry.name for entry in root.iterdir()} - {"lock"}
    if not known:
        raise LabError(f"{root} has other things in it; remove them ('down'), or choose an empty WGLAB_DIR")


def _flock(descriptor: int, name: str) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        progress(f"another command is changing lab {name}; waiting for it")
        fcntl.flock(descriptor, fcntl.LOCK_EX)
