"""Takes everything of ours off a machine: interfaces, what brings them up at boot, and, if so asked, keys."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from functools import partial

from ..device import offered_endpoints
from ..errors import GuardError
from ..model.changes import Change, Kind, united
from ..system import files
from ..system.commands import run
from . import apply, config_files, devices
from . import pillar as node_pillar
from .minion import Minion
from .outcome import Outcome

log = logging.getLogger(__name__)

# Keys, and files with keys in them that were there before an interface was taken over.
_KEPT_KEY = re.compile(r".+(\.key\.removed|\.adopted)-\d{8}-\d{6}")


def clean(minion: Minion, purge: bool, test: bool, force: bool, reason: str | None) -> Outcome:
    """
    :param purge: remove the keys of interfaces that are gone as well
    :raises GuardError: before anything is changed, for a machine that still belongs to a network
    :raises WireguardError: or OSError
    """
    _refuse(minion, minion.safety(force, reason).forced)
    ours = sorted(config_files.managed())
    removed = [apply.remove(minion, interface, test) for interface in ours]
    key_files = [*(filter(os.path.exists, map(config_files.key_file, ours))), *_kept_keys()] if purge else []
    for path in () if test else key_files:
        files.remove(path)
    gone = (Change(Kind.FILE, path, "present", None) for path in key_files)
    changes = united((*(change for each in removed for change in each.changes), *gone))
    said = [*(each.comment for each in removed), *_stays()]
    comment = "; ".join(said) or "This machine has nothing of a WireGuard network"
    return Outcome(changes, comment, pending=test and bool(changes))


def unmanaged() -> list[str]:
    """The WireGuard interfaces that are not ours, by device or by configuration file. Raises NodeError or OSError."""
    names = (os.path.splitext(name) for name in files.names(config_files.CONFIG_DIR))
    found = {name for name, extension in names if extension == ".conf"}
    return sorted({*found, *devices.names()} - {*config_files.managed()})


def _refuse(minion: Minion, forced: str | None) -> None:
    """Raise GuardError unless nothing speaks against it, or somebody has a reason."""
    if forced:
        log.warning("wireguard: everything is taken off this machine by force: %s", forced)
        return
    objections = tuple(_objections(minion))
    if objections:
        raise GuardError(
            f"refused, and nothing was changed: {'; '.join(objections)}. If that is meant: `force=True reason=...`"
        )


def _objections(minion: Minion) -> Iterator[str]:
    pillar = minion.fresh_pillar() if minion.has_master else minion.pillar
    for name in node_pillar.networks(pillar) or ():
        yield f"the mesh file still has this node in network {name}: take it out there first"
    for name in node_pillar.interfaces(pillar) or ():
        yield f"the pillar of this minion still has the interface {name}: take it out there first"
    for address in filter(None, {minion.route_target}):
        device = offered_endpoints.device(run(["ip", "-json", "route", "get", address], check=False))
        if device in config_files.managed():
            yield f"{address}, from where this machine is managed, is reached through {device}"


def _kept_keys() -> list[str]:
    names = filter(_KEPT_KEY.fullmatch, files.names(config_files.CONFIG_DIR))
    return sorted(map(partial(os.path.join, config_files.CONFIG_DIR), names))


def _stays() -> Iterator[str]:
    kept = _kept_keys()
    if kept:
        yield f"kept: {', '.join(kept)}"
    others = unmanaged()
    if others:
        yield f"not ours, and left alone: {', '.join(others)}"
