"""
Faults at every point of a function. A child process runs it under strace, which kills it at one of its system calls, or
lets that one fail: those that change files, and those that start commands.
"""

import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections import Counter
from dataclasses import dataclass

from isolation import Fork

FILES = ("mkdir", "fchmod", "chmod", "chown", "fsync", "link", "rename", "unlink")
COMMANDS = ("vfork",)  # which is how `subprocess` starts them
_CALL = re.compile(r"(?m)^(\w+)\((.*)")


def why_not():
    """Why there can be no faults here; None if there can."""
    if not shutil.which("strace"):
        return "needs strace"
    done = subprocess.run(["strace", "-qq", "-o", "/dev/null", "true"], capture_output=True, text=True, check=False)
    return f"strace cannot trace here: {done.stderr.strip()}" if done.returncode else None


@dataclass(frozen=True)
class Point:
    """The n-th call of its kind."""

    call: str
    n: int


@dataclass(frozen=True)
class Outcome:
    """``hit``: what the fault did to the call; None where the function did not get there. No result: it was killed."""

    hit: str | None
    result: object = None
    error: str | None = None


def points(function, below):
    """Run a function without a fault. Returns its points, in order: of file calls, those in a directory."""
    seen = Counter()
    found = []
    for call, arguments in _CALL.findall(_traced(function, f"trace={','.join(FILES + COMMANDS)}")[0]):
        seen[call] += 1
        elsewhere = '"' in arguments and below not in arguments
        if not elsewhere:
            found.append(Point(call, seen[call]))
    return found


def killed(function, point):
    """Run a function up to a point, and no further."""
    return _injected(function, point, "signal=KILL")


def failed(function, point, error):
    """Run a function with one call that fails with an error, such as ``EIO``."""
    return _injected(function, point, f"error={error}")


def _injected(function, point, fault):
    trace, result, error = _traced(function, f"inject={point.call}:{fault}:when={point.n}")
    calls = [line for line in trace.splitlines() if line.startswith(point.call)]
    hit = calls[point.n - 1] if len(calls) >= point.n else None
    return Outcome(hit, result, error)


def _traced(function, expression):
    """The trace, and what the function returned or raised; neither if it was killed."""
    child = Fork(_stopped, function)
    os.waitpid(child.pid, os.WUNTRACED)
    with tempfile.NamedTemporaryFile("r") as trace:
        argv = ["strace", "-o", trace.name, "-e", expression, "-e", "signal=none", "-p", str(child.pid)]
        strace = subprocess.Popen(argv, stderr=subprocess.PIPE, text=True)
        assert "attached" in strace.stderr.readline()
        os.kill(child.pid, signal.SIGCONT)
        try:
            result, error = child.result(120), None
        except RuntimeError as exc:
            result, error = None, None if "died" in str(exc) else str(exc)
        strace.communicate()
        return trace.read(), result, error


def _stopped(function):
    os.kill(os.getpid(), signal.SIGSTOP)
    return function()
