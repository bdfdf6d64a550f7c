"""Looks at this machine's interfaces again and again, for the beacon."""

from __future__ import annotations

import grp
import os
import stat
import time
from collections.abc import Callable, MutableMapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from ..device.watch import Look, Watch
from ..errors import WireguardError
from ..model import fields
from ..model.live import LivePeer
from . import config_files, devices, drift
from .arguments import argument
from .boot.managers import Manager
from .boot.networkd import GROUP

# Where the memory of earlier looks is in what Salt keeps for a process.
_MEMORY = "wireguard.watch"


@dataclass
class _Memory:
    """``compared``: when drift was last looked for. ``unsure``: it was found just then, maybe while a change ran."""

    watch: Watch = field(default_factory=Watch)
    compared: float = field(default_factory=time.monotonic)
    unsure: bool = False


def watch(
    context: MutableMapping[str, Any], boot: Callable[[], Manager], looks: int, at_most: int, drift_seconds: int
) -> list[dict[str, Any]]:
    """
    The events since the last look.

    :param context: Salt's, which keeps what was seen
    :param boot: makes what brings interfaces up at boot, which is looked at for drift
    :param drift_seconds: how often to compare the interfaces with their files, 0 for never
    """
    looks = argument("looks", looks, fields.integer(1, 100))
    at_most = argument("at_most", at_most, fields.integer(1, 1000))
    drift_seconds = argument("drift", drift_seconds, fields.integer(0, 86400))
    memory: _Memory = context.setdefault(_MEMORY, _Memory())
    now = time.monotonic()
    changes: dict[str, int] = {}
    if drift_seconds and (memory.unsure or now >= memory.compared + drift_seconds):
        memory.compared = now
        changes = _changes(boot)
        memory.unsure = any(changes.values()) and not memory.unsure
    found = [_look(name, network, changes.get(name)) for name, network in sorted(config_files.managed().items())]
    return memory.watch.look(found, looks, at_most, now)


def _changes(boot: Callable[[], Manager]) -> dict[str, int]:
    """Interface -> how many changes applying its file again would make; who cannot say is missing."""
    interfaces = {network: name for name, network in config_files.managed().items() if network is not None}
    answers = drift.drift(boot(), ())["networks"]
    return {
        interfaces[network]: len(answer["changes"]) + answer["more"]
        for network, answer in answers.items()
        if network in interfaces and "changes" in answer
    }


def _look(name: str, network: str | None, changes: int | None) -> Look:
    exposed = _exposed(name)
    device = None
    with suppress(WireguardError, OSError):
        device = devices.read(name)
    if device is None or not device.up:
        return Look(name, network, up=False, exposed=exposed, drift=changes)
    now = int(time.time())
    view = config_files.written(name)
    names = {key: peer.name for peer in (view.peers if view else ()) for key in (peer.public_key, peer.next_key) if key}
    return Look(
        interface=name,
        network=network,
        up=True,
        peers={key: LivePeer.of(peer, now) for key, peer in device.peers.items()},
        kept_alive=frozenset(key for key, peer in device.peers.items() if peer.keepalive),
        names=names,
        exposed=exposed,
        drift=changes,
    )


def _exposed(interface: str) -> dict[str, str]:
    """Path -> mode of the files with a secret that somebody else than root, or networkd, can read or write."""
    found = {}
    for path in config_files.with_secrets(interface):
        with suppress(FileNotFoundError):
            status = os.stat(path)
            mode = stat.S_IMODE(status.st_mode)
            if mode & 0o037 or (mode & 0o040 and _group(status.st_gid) != GROUP):
                found[path] = f"{mode:04o}"
    return found


def _group(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return ""
