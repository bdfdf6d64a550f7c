"""
Leaving these modules: an interface goes on as it is, by files that are nobody's.

Our configuration file is a complete wg-quick file. Without its first line it is a plain one, and no apply touches the
interface any more.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..errors import NodeError, WireguardError
from ..formats import wg_quick
from ..system import files
from . import config_files
from .boot import networkd
from .minion import Minion


def leave(minion: Minion, network: str | None, test: bool) -> dict[str, Any]:
    """
    Interface -> what was done. Devices and services for boot stay as they are.

    :param network: only this one
    :raises NodeError: where there is no such network; an error of one interface is in its result
    """
    ours = {name: each for name, each in config_files.managed().items() if network in (None, each)}
    if network is not None and not ours:
        raise NodeError(f"this minion has no interface of the WireGuard network {network!r}")
    return {"networks": {interface: _left(minion, interface, test) for interface in sorted(ours)}}


def _left(minion: Minion, interface: str, test: bool) -> dict[str, Any]:
    try:
        with minion.lock(interface):
            paths = list(_ours(interface))
            if not test:
                _let_go(minion, interface, paths)
    except (WireguardError, OSError) as exc:
        return {"result": False, "comment": str(exc)}
    verb = "would be" if test else "is"
    comment = f"{interface} {verb} nobody's, and goes on by {', '.join(paths)}"
    return {"result": None if test else True, "comment": comment}


def _ours(interface: str) -> Iterator[str]:
    """The files of the interface that are ours; that of wg-quick, by which we know it, comes last."""
    by_networkd = networkd.netdev_file(interface), networkd.network_file(interface)
    for path in (*by_networkd, config_files.config_file(interface)):
        if wg_quick.is_managed(files.read(path)):
            yield path


def _let_go(minion: Minion, interface: str, paths: list[str]) -> None:
    minion.names().disable(interface)
    for path in paths:
        files.replace_text(path, wg_quick.let_go(files.read(path)))
