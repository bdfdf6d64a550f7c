"""Network namespaces and the processes in them.

Everything is found again from the kernel, by the name of a namespace: there are no pid files that could be stale, and
so nothing here can ever signal a process that the lab did not put into a namespace of its own.
"""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from .report import LabError

NETNS_DIR = Path("/run/netns")


def run_ip(*args: str, lines: list[str] | None = None) -> str:
    """Run ``ip``; several commands go to one process as a batch, because starting a process is what costs time."""
    batch = ["-batch", "-"] if lines is not None else []
    stdin = "\n".join(lines) + "\n" if lines is not None else None
    done = subprocess.run(["ip", *args, *batch], input=stdin, capture_output=True, text=True, check=False)
    if done.returncode:
        what = " ".join(args) + (f" ({'; '.join(lines)})" if lines else "")
        raise LabError(f"'ip {what}' failed: {' '.join(done.stderr.split())}")
    return done.stdout


def run_in(namespace: str, command: list[str], stdin: str | None = None) -> None:
    """Run a command in the namespace of a router, which has nothing else of its own."""
    argv = ["ip", "netns", "exec", namespace, *command]
    done = subprocess.run(argv, input=stdin, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LabError(f"'{' '.join(command)}' failed in {namespace}: {' '.join(done.stderr.split())}")


def exists(namespace: str) -> bool:
    """Say whether there is a namespace of this name."""
    return (NETNS_DIR / namespace).exists()


def names(prefix: str) -> list[str]:
    """Return all namespaces whose name begins with the prefix."""
    if not NETNS_DIR.is_dir():
        return []
    return sorted(entry.name for entry in NETNS_DIR.iterdir() if entry.name.startswith(prefix))


def pids(namespace: str) -> list[int]:
    """Return the processes that live in the namespace, as ``ip netns pids`` does."""
    try:
        wanted = (NETNS_DIR / namespace).stat()
    except FileNotFoundError:
        return []
    return [pid for pid in _all_pids() if _is_in(pid, wanted)]


def init_pid(namespace: str) -> int | None:
    """Return the process that is PID 1 of the host in this namespace, or None if the host is off."""
    return next((pid for pid in pids(namespace) if _is_init(pid)), None)


def kill_init(namespace: str, timeout: float = 5) -> None:
    """Cut the power: with its PID 1 everything of a host dies at once. Then sweep what had only entered its network."""
    init = init_pid(namespace)
    if init is not None:
        kill(init, namespace)
    deadline = time.monotonic() + timeout
    sweep_from = time.monotonic() + 0.5
    while left := pids(namespace):
        if time.monotonic() > deadline:
            raise LabError(f"processes {left} in namespace {namespace} survive SIGKILL; look at them with ps")
        if time.monotonic() > sweep_from or init is None:
            for pid in left:
                kill(pid, namespace)
        time.sleep(0.01)


def delete(namespace: str) -> None:
    """Delete the namespace and its devices. The link goes first: a namespace is taken apart later, in background."""
    if not exists(namespace):
        return
    subprocess.run(["ip", "-n", namespace, "link", "delete", "eth0"], capture_output=True, check=False)
    run_ip("netns", "delete", namespace)


def _all_pids() -> Iterator[int]:
    return (int(name) for name in os.listdir("/proc") if name.isdigit())


def _is_in(pid: int, namespace: os.stat_result) -> bool:
    try:
        return os.path.samestat(os.stat(f"/proc/{pid}/ns/net"), namespace)
    except OSError:
        return False


def _is_init(pid: int) -> bool:
    """PID 1 of a PID namespace just below ours: ``NSpid:`` lists the pid that a process has at every level."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    levels = next((line.split()[1:] for line in status.splitlines() if line.startswith("NSpid:")), [])
    return len(levels) == 2 and levels[1] == "1"


def kill(pid: int, namespace: str) -> None:
    """SIGKILL through a pidfd, checked after it is open: a pid that was reused meanwhile belongs to somebody else."""
    with contextlib.suppress(ProcessLookupError, FileNotFoundError):
        handle = os.pidfd_open(pid)
        try:
            if _is_in(pid, (NETNS_DIR / namespace).stat()):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
        finally:
            os.close(handle)
