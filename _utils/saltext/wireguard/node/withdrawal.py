"""
Removal that only moves forward.

A view, and a job that drops peers, bear the registry's generation. What is older than what the interface has is
refused, so that nothing that was under way, cached or in memory brings a removed peer back. Peers that are trusted no
more go first, by themselves and on no trial: from the device, then from the files that it boots from. So neither a
change that does not work nor a power cut brings them back, and what is wrong about other peers does not keep them.

Whoever calls a function that changes something holds the interface's lock.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Collection
from dataclasses import replace

from ..device import guard
from ..device.operations import PEERS_PER_COMMAND
from ..errors import NodeError, OutdatedError
from ..formats import wg_quick
from ..model.view import Peer, View
from ..system import files
from ..system.commands import run
from . import config_files, devices, endpoints
from .boot.managers import Manager, Setup
from .notes import Journal


def is_outdated(view: View, journal: Journal) -> bool:
    """Whether this interface has something later already."""
    return 0 < view.generation < journal.generation()


def refuse_outdated(view: View, journal: Journal) -> None:
    """Raise OutdatedError for a view that is older than what this interface has already."""
    if is_outdated(view, journal):
        has = journal.generation()
        raise OutdatedError(
            f"{view.interface}: this pillar is older than what was applied here already, and nothing was changed."
            f" `wireguard.sync` on this minion fetches a newer one. If that says the same, the master gives out old"
            f" pillars: `pillar_cache` must be off in its configuration (generation {view.generation}, here {has})"
        )


def withdraw(view: View, journal: Journal, boot: Manager | None, share: float) -> tuple[Peer, ...]:
    """
    Let the peers go that the view names as trusted no more, and heed nothing older from now on.

    More of them at once than the guard lets pass are left to the change itself, which the guard refuses.

    :param share: of the peers that are up, which may be removed at once
    :return: those that the configuration file had, by which the change can name them
    :raises NodeError: or OSError, where a command fails or a file cannot be written
    """
    journal.reach_generation(view.generation)
    written = config_files.written(view.interface)
    had = tuple(peer for peer in written.peers if peer.public_key in view.withdrawn) if written else ()
    if not view.withdrawn or _objections(view, written, share):
        return ()
    _remove_from_device(view.interface, view.withdrawn)
    if written and had:
        _remove_routes(view.interface, written.routes - _without(written, had).routes)
        _remove_from_files(view.interface, view.withdrawn, boot)
    return had


def _without(view: View, peers: Collection[Peer]) -> View:
    return replace(view, peers=tuple(peer for peer in view.peers if peer not in peers))


def _objections(view: View, written: View | None, share: float) -> tuple[str, ...]:
    device = devices.read(view.interface)
    if written is None or device is None:
        return ()
    staying = replace(written, peers=tuple(peer for peer in written.peers if peer.public_key not in view.withdrawn))
    few = len(written.peers) < guard.MIN_PEERS_UP
    return () if few else guard.objections(written, device, staying, int(time.time()), share)


def _remove_from_device(interface: str, public_keys: Collection[str]) -> None:
    if not devices.exists(interface):
        return
    present = sorted(devices.peers(interface).keys() & set(public_keys))
    for start in range(0, len(present), PEERS_PER_COMMAND):
        words = [word for key in present[start : start + PEERS_PER_COMMAND] for word in ("peer", key, "remove")]
        run(["wg", "set", interface, *words])


def _remove_routes(interface: str, networks: Collection[str]) -> None:
    """The file is about to forget them. Some are not there, as when another peer has taken them over."""
    for network in sorted(networks):
        family = "-6" if ":" in network else "-4"
        with contextlib.suppress(NodeError):
            run(["ip", family, "route", "del", network, "dev", interface, "proto", "boot"])


def _remove_from_files(interface: str, public_keys: Collection[str], boot: Manager | None) -> None:
    path = config_files.config_file(interface)
    text = wg_quick.without_peers(files.read(path), interface, public_keys)
    if not files.is_written(path, text):
        files.replace(path, text)
    left = config_files.written(interface)
    if boot and left:
        setup = Setup(left, config_files.key_file(interface), endpoints.resolve(left, devices.read(interface)))
        if boot.missing(setup):
            boot.enable(setup)
