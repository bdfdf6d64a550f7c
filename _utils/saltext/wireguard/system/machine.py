"""
The machine that this is, apart from its files: its programs and its network devices. The tests of flows have one that
is made up in its place, which is held to what programs and kernel really do.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from typing import Protocol

COMMAND_SECONDS = 60.0

# With any of these, wireguard-go stays in the foreground or on our pipes, or takes over descriptors of somebody else.
_NOT_FOR_COMMANDS = {"LOG_LEVEL", "WG_PROCESS_FOREGROUND", "WG_TUN_FD", "WG_UAPI_FD"}


class Machine(Protocol):
    """What ``commands`` and the code of nodes need of it."""

    def execute(
        self, command: Sequence[str], stdin: str | None, files: Sequence[int]
    ) -> subprocess.CompletedProcess[str]:
        """Run a program to its end, with these descriptors open. Raises OSError or TimeoutExpired."""

    def program(self, name: str) -> str | None:
        """The path of a program; None where it is not installed."""

    def has_device(self, name: str) -> bool:
        """Whether there is a network device of this name, of whatever kind."""

    def mtu(self, device: str) -> int | None:
        """That of a network device; None where it has just gone."""


class ThisMachine:
    """The real one."""

    def execute(
        self, command: Sequence[str], stdin: str | None, files: Sequence[int]
    ) -> subprocess.CompletedProcess[str]:
        """The environment is such that messages are English, and that wireguard-go goes into the background."""
        return subprocess.run(
            list(command),
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=COMMAND_SECONDS,
            pass_fds=files,
            env={name: value for name, value in os.environ.items() if name not in _NOT_FOR_COMMANDS} | {"LC_ALL": "C"},
        )

    def program(self, name: str) -> str | None:
        """By PATH."""
        return shutil.which(name)

    def has_device(self, name: str) -> bool:
        """By sysfs, which costs no process."""
        return os.path.exists(f"/sys/class/net/{name}")

    def mtu(self, device: str) -> int | None:
        """By sysfs."""
        try:
            with open(f"/sys/class/net/{device}/mtu", encoding="ascii") as handle:
                return int(handle.read())
        except (OSError, ValueError):
            return None


here: Machine = ThisMachine()
