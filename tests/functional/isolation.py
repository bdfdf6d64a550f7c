"""
A child process with network, mounts and processes of its own, in which a test may do to the machine what it likes.

The child is the first process of its PID namespace: when it ends, in whatever way, the kernel ends everything that was
started in it, and the devices and mounts go with the last process that could see them.
"""

import ctypes
import json
import os
import select
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWNET = 0x00020000, 0x20000000, 0x40000000
MS_RDONLY, MS_NOSUID, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 1, 2, 32, 0x1000, 0x4000, 1 << 18
PR_SET_PDEATHSIG = 1

_libc = ctypes.CDLL(None, use_errno=True)


def mount(what: str, where: str, kind: str | None, flags: int = 0, options: str | None = None) -> None:
    """See mount(2)."""
    words = [None if word is None else os.fsencode(word) for word in (what, where, kind, options)]
    source, target, filesystem, data = words
    if _libc.mount(source, target, filesystem, ctypes.c_ulong(flags), data):
        raise OSError(ctypes.get_errno(), f"mount {where}: {os.strerror(ctypes.get_errno())}")


class Fork:
    """A function at work in a child process; its result comes back as JSON."""

    def __init__(self, function: Callable[..., Any], *args: Any) -> None:
        reader, writer = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(reader)
            _work(writer, function, args)
        os.close(writer)
        self._reader = reader

    def result(self, timeout: float = 60) -> Any:
        """What the function returned. Raises RuntimeError for what it raised, and TimeoutError."""
        try:
            return self._outcome(time.monotonic() + timeout)
        finally:
            os.close(self._reader)
            os.kill(self.pid, signal.SIGKILL)  # it may be dead, but nobody has waited for it yet
            os.waitpid(self.pid, 0)

    def _outcome(self, deadline: float) -> Any:
        text = b""
        while True:
            if not select.select([self._reader], [], [], max(deadline - time.monotonic(), 0))[0]:
                raise TimeoutError("the child process took too long")
            if not (chunk := os.read(self._reader, 1 << 16)):
                break
            text += chunk
        if not text:
            raise RuntimeError("the child process died")
        outcome = json.loads(text)
        if "error" in outcome:
            raise RuntimeError(outcome["error"])
        return outcome["result"]


def _work(writer: int, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
    """Never returns: what belongs to the parent, such as its ``finally`` blocks, must not run here as well."""
    try:
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        try:
            outcome = {"result": function(*args)}
        except BaseException:
            outcome = {"error": traceback.format_exc()}
        text = json.dumps(outcome).encode()
        while text:
            text = text[os.write(writer, text) :]
    finally:
        os._exit(0)


@contextmanager
def disk() -> Iterator[str]:
    """An empty directory for ``isolated`` to put a file system on."""
    with tempfile.TemporaryDirectory(prefix="wg-") as path:
        yield path


def isolated(function: Callable[[], Any], disk_path: str, timeout: float) -> Any:
    """Run ``function`` in namespaces of its own, and return what it returns."""
    # A process stays in its PID namespace; only its children are in the new one. Hence two forks.
    return Fork(_in_namespaces, function, disk_path, timeout).result(timeout + 5)


def _in_namespaces(function: Callable[[], Any], disk_path: str, timeout: float) -> Any:
    if _libc.unshare(CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWPID):
        raise OSError(ctypes.get_errno(), f"unshare: {os.strerror(ctypes.get_errno())}")
    return Fork(_first_process, function, disk_path).result(timeout)


def _first_process(function: Callable[[], Any], disk_path: str) -> Any:
    mount("none", "/", None, MS_REC | MS_PRIVATE)
    mount("proc", "/proc", "proc")
    mount("sysfs", "/sys", "sysfs")  # or /sys/class/net shows the interfaces of where it was mounted
    for path in ("/etc/wireguard", "/run/wireguard", disk_path):
        mount("tmpfs", path, "tmpfs", MS_NOSUID, "mode=0700")
    names = os.path.join(disk_path, "etc-hosts")
    with open(names, "w") as handle:
        handle.write("127.0.0.1 localhost\n")
    mount(names, "/etc/hosts", None, MS_BIND)
    return function()
