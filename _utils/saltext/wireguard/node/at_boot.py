"""Who brings an interface up at boot, if somebody else than we set it up: found in the files of the usual programs."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass

from ..system import files
from . import other_managers

# systemd and OpenRC, by links; and scripts that run wg-quick.
_UNIT = "/etc/systemd/system/*.wants/wg-quick@{}.service"
_OPENRC = ("/etc/runlevels/*/wg-quick.{}", "/etc/runlevels/*/net.{}")
_SCRIPTS = {
    "rc.local": (("/etc/rc.local",), r"[^#]*\bwg-quick up\b.*\b{}(\s|$)"),
    "cron": (
        ("/etc/crontab", "/etc/cron.d/*", "/var/spool/cron/crontabs/*"),
        r"\s*@reboot\b.*\bwg-quick up\b.*\b{}(\s|$)",
    ),
}

# It has files for devices, and files that match many: whose device it is, ``inventory`` finds out.
_NETWORKD = "systemd-networkd"


@dataclass(frozen=True)
class Starter:
    """``program`` brings the interface up, as this line of the file says; 0 for the file as a whole."""

    program: str
    file: str
    line: int = 0

    def __str__(self) -> str:
        return f"{self.program} ({self.file}:{self.line})" if self.line else f"{self.program} ({self.file})"


def starters(interface: str) -> list[Starter]:
    """All that are found."""
    return [*_links(interface), *_managers(interface), *_scripts(interface)]


def _links(interface: str) -> Iterator[Starter]:
    for unit in other_managers.paths(_UNIT.format(interface)):
        yield Starter("systemd", unit)
    for path in other_managers.paths(*(pattern.format(interface) for pattern in _OPENRC)):
        yield Starter("OpenRC", path)


def _managers(interface: str) -> Iterator[Starter]:
    named = re.compile(rf"[^#]*(?<![\w-]){re.escape(interface)}(?![\w-])")
    for program, paths in other_managers.files_naming(interface).items():
        if program != _NETWORKD:
            yield from (Starter(program, path, _line(path, named)) for path in paths)


def _scripts(interface: str) -> Iterator[Starter]:
    for program, (patterns, words) in _SCRIPTS.items():
        wanted = re.compile(words.format(re.escape(interface)))
        found = ((path, _line(path, wanted)) for path in other_managers.paths(*patterns) if os.path.isfile(path))
        yield from (Starter(program, path, line) for path, line in found if line)


def _line(path: str, words: re.Pattern[str]) -> int:
    """The number of the first line that begins so, 0 for none."""
    lines = enumerate(files.read(path).splitlines(), 1)
    return next((number for number, text in lines if words.match(text)), 0)
