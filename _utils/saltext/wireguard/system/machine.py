"""
The programs and network devices of this machine.

Unit tests put a made-up machine in its place, and functional tests compare that with real programs and a real kernel.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from typing import Protocol

COMMAND_SECONDS = 60.0

# Each of these keeps wireguard-go in the foreground or on our pipes, or lets it take over foreign descriptors.
_NOT_FOR_COMMANDS = {"LOG_LEVEL", "WG_PROCESS_FOREGROUND", "WG_TUN_FD", "WG_UAPI_FD"}


_MODULES = "/lib/modules"
_CAP_NET_ADMIN = 12  # linux/capability.h


class Machine(Protocol):
    """What ``commands`` and ``node`` need of a machine."""

    def execute(
        self, command: Sequence[str], stdin: str | None, files: Sequence[int]
    ) -> subprocess.CompletedProcess[str]:
        """Run a program to its end, with these descriptors open. Raises OSError or TimeoutExpired."""

    def program(self, name: str) -> str | None:
        """The path of a program, None if it is not installed."""

    def has_device(self, name: str) -> bool:
        """Whether there is a network device of this name, of whatever kind."""

    def mtu(self, device: str) -> int | None:
        """The MTU of a network device, None if it is gone."""

    def has_ipv6(self, device: str) -> bool:
        """Whether a network device of this name can have IPv6 addresses; it need not be there yet."""

    def is_writable(self, path: str) -> bool:
        """Whether a setting of the kernel can be written, or there is none."""

    def has_module(self, name: str) -> bool | None:
        """Whether the kernel has a module, or can load it. None if that cannot be known, as in many containers."""

    def may_make_devices(self) -> bool:
        """Whether this process may make and change network devices."""


class ThisMachine:
    """The real one."""

    def execute(
        self, command: Sequence[str], stdin: str | None, files: Sequence[int]
    ) -> subprocess.CompletedProcess[str]:
        """In an environment in which messages are English and wireguard-go goes into the background."""
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

    def has_ipv6(self, device: str) -> bool:
        """By the device's own setting, or else by that which a new one gets. There are none without IPv6."""
        for name in (device, "default"):
            try:
                with open(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6", encoding="ascii") as handle:
                    return handle.read().strip() == "0"
            except OSError:
                continue
        return os.path.exists("/proc/net/if_inet6")

    def is_writable(self, path: str) -> bool:
        """In containers, they are often read-only."""
        return os.access(path, os.W_OK) or not os.path.exists(path)

    def has_module(self, name: str) -> bool | None:
        """By sysfs and the kernel's lists of modules, as modprobe does. A container may have no such lists."""
        if os.path.isdir(f"/sys/module/{name}"):
            return True
        folder = os.path.join(_MODULES, os.uname().release)
        found = [_text(os.path.join(folder, each)) for each in ("modules.dep", "modules.builtin")]
        return None if not any(found) else any(f"/{name}.ko" in text for text in found)

    def may_make_devices(self) -> bool:
        """By its capabilities; where these are not told, it may."""
        held = re.search(r"^CapEff:\s*([0-9a-f]+)$", _text("/proc/self/status"), re.MULTILINE)
        return held is None or bool(int(held[1], 16) >> _CAP_NET_ADMIN & 1)


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as handle:
            return handle.read()
    except OSError:
        return ""


here: Machine = ThisMachine()
