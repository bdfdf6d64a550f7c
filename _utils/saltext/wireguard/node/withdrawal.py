"""
Removal that only moves forward.

A view, and a job that drops peers, carry the registry's generation. Anything older than what the interface has is
refused, so that nothing late, cached or in memory brings a removed peer back. Peers that are no longer trusted are
removed first, on their own and without a trial: from the device, then from the files that it boots from. So neither a
rollback nor a power cut brings them back, and an error about other peers does not keep them.

Callers of functions that change something hold the interface's lock.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Collection

from ..device import guard
from ..device.operations import wg_set
from ..device.routes import route_removal
from ..errors import NodeError, OutdatedError
from ..formats import wg_quick
from ..model.peer import Peer
from ..model.view import View
from ..system import files
from ..system.commands import run
from . import boot_files, config_files, devices
from .boot.managers import Manager
from .notes import Journal


def is_outdated(view: View, journal: Journal) -> bool:
    """Whether something newer was applied to this interface already."""
    return 0 < view.generation < journal.generation()


def refuse_outdated(view: View, journal: Journal) -> None:
    """Raise OutdatedError for a view that is older than what was applied to this interface already."""
    if is_outdated(view, journal):
        has = journal.generation()
        raise OutdatedError(
            f"{view.interface}: this pillar is older than what was applied here already, and nothing was changed."
            f" `wireguard.sync` on this minion fetches a newer one. If that says the same, the master gives out old"
            f" pillars: `pillar_cache` must be off in its configuration (generation {view.generation}, here {has})"
        )


def withdraw(view: View, journal: Journal, boot: Manager | None, share: float) -> tuple[Peer, ...]:
    """
    Remove the peers that the view names as no longer trusted, and refuse anything older from now on.

    If the guard would refuse to remove so many at once, they are left to the change itself, which it then refuses.

    :param share: of the peers that are up, which may be removed at once
    :return: those that the configuration file had, for the change to name them
    :raises NodeError: or OSError, if a command fails or a file cannot be written
    """
    journal.reach_generation(view.generation)
    written = config_files.written(view.interface)
    removed = tuple(peer for peer in written.peers if peer.public_key in view.withdrawn) if written else ()
    if not view.withdrawn or _objections(view, written, share):
        return ()
    _remove_from_device(view.interface, view.withdrawn)
    if written and removed:
        _remove_routes(view.interface, written.routes - written.without_peers(view.withdrawn).routes)
        text = files.read(config_files.config_file(view.interface))
        boot_files.rewrite(view.interface, wg_quick.without_peers(text, view.interface, view.withdrawn), boot)
    return removed


def _objections(view: View, written: View | None, share: float) -> tuple[str, ...]:
    device = devices.read(view.interface)
    if written is None or device is None or len(written.peers) < guard.MIN_PEERS_UP:
        return ()
    return guard.objections(written, device, written.without_peers(view.withdrawn), int(time.time()), share)


def _remove_from_device(interface: str, public_keys: Collection[str]) -> None:
    if not devices.exists(interface):
        return
    present = sorted(devices.peers(interface).keys() & set(public_keys))
    for command in wg_set(interface, [("peer", key, "remove") for key in present]):
        run(command)


def _remove_routes(interface: str, networks: Collection[str]) -> None:
    """The file is about to lose them. Some may be gone already, for example moved to another peer."""
    for network in sorted(networks):
        with contextlib.suppress(NodeError):
            run(route_removal(network, interface))
