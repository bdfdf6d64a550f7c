"""Other programs of this machine that are configured to set up an interface of ours, and would undo or double it."""

from __future__ import annotations

import fnmatch
import glob
import os
import re
from collections.abc import Iterator

from ..device.findings import Finding
from ..formats import wg_quick
from ..model.view import View
from ..system import files
from ..wording import some
from . import config_files

# Before every path here.
ROOT = ""

# A file of these two counts where the program has run since the machine booted.
_RUNNING = {"NetworkManager": "/run/NetworkManager", "systemd-networkd": "/run/systemd/netif"}

_NETWORKD = ("/etc/systemd/network", "/run/systemd/network", "/usr/lib/systemd/network", "/lib/systemd/network")
_NETWORK_MANAGER = tuple(f"{each}/NetworkManager/system-connections/*" for each in ("/etc", "/run", "/usr/lib"))


def managing(view: View) -> Iterator[Finding]:
    """Who else manages the interface of a view, by the files of the usual programs."""
    for program, naming in files_naming(view.interface).items():
        found = [path for path in naming if not wg_quick.is_managed(files.read(path))]
        if found and (program not in _RUNNING or os.path.isdir(f"{ROOT}{_RUNNING[program]}")):
            yield Finding(
                f"{view.interface} alone",
                f"{program} has it in {some(found)}",
                f"Take {view.interface} out of there, or choose another `interface:`; both would change it",
            )


def files_naming(interface: str) -> dict[str, list[str]]:
    """Program -> its files that are about the interface."""
    name = re.escape(interface)
    scripts = ("network-scripts", "network")
    return {
        "NetworkManager": _containing(rf"^\s*interface-name\s*=\s*{name}\s*$", *_NETWORK_MANAGER),
        "netplan": _containing(
            rf"^\s+[\"']?{name}[\"']?:", *(f"/{each}/netplan/*.yaml" for each in ("etc", "run", "lib"))
        ),
        "ifupdown": _containing(
            rf"^\s*(iface|auto|allow-\S+)\s+(.*\s)?{name}(\s|$)",
            "/etc/network/interfaces",
            "/etc/network/interfaces.d/*",
        ),
        "ifcfg": _containing("", *(f"/etc/sysconfig/{each}/ifcfg-{interface}" for each in scripts)),
        "systemd-networkd": [
            path for path in paths(*(f"{each}/*.net*" for each in _NETWORKD)) if _is_for(files.read(path), interface)
        ],
    }


def _containing(words: str, *patterns: str) -> list[str]:
    return [path for path in paths(*patterns) if re.search(words, files.read(path), re.MULTILINE)]


def paths(*patterns: str) -> list[str]:
    """The files and links that match one of these patterns."""
    return sorted(path for each in patterns for path in glob.glob(f"{ROOT}{each}") if not os.path.isdir(path))


def _is_for(text: str, interface: str) -> bool:
    """Whether a file of networkd makes the interface, or sets it up: the first one that matches is its only one."""
    found = re.search(r"^\[(NetDev|Match)\]([^\[]*)", text, re.MULTILINE)
    settings = dict(re.findall(r"^\s*(\w+)\s*=\s*(.*?)\s*$", found[2], re.MULTILINE)) if found else {}
    if found and found[1] == "NetDev":
        return bool(settings.get("Name") == interface)
    kinds = settings.pop("Type", "").split()
    names = settings.pop("Name", "*" if kinds else "").split()
    # What else it may ask for, such as a driver, no tunnel has.
    if settings or (kinds and "wireguard" not in kinds):
        return False
    inverted = bool(names) and names[0].startswith("!")
    return inverted != any(fnmatch.fnmatchcase(interface, each.lstrip("!")) for each in names)


def same_port(view: View) -> Iterator[Finding]:
    """wg-quick files of others with the port of a view: at boot, one of the two interfaces does not come up."""
    with_port = re.compile(rf"^\s*ListenPort\s*=\s*{view.port}\s*$", re.MULTILINE | re.IGNORECASE)
    for name in files.names(config_files.CONFIG_DIR):
        path = os.path.join(config_files.CONFIG_DIR, name)
        text = files.read(path) if name.endswith(".conf") else ""
        if with_port.search(text) and not wg_quick.is_managed(text):
            yield Finding(
                f"UDP port {view.port} alone",
                f"{path} has it too",
                "Give one of the two another port, or remove that file: at boot, only one of them comes up",
            )
