"""A node's part in the rotation of a key, one function for each step that the master requests; see docs/rotation.md."""

from __future__ import annotations

import time
from typing import Any

from ..model.statements import FOLLOWING_TAG, REGISTER_TAG
from ..model.view import View
from . import config_files, devices, rotation
from .clones import refuse_clone
from .minion import Minion
from .pillar import select, views
from .signing import Signed


def prepare(minion: Minion, network: str) -> Signed:
    """Make the next key, and announce it."""
    view = _view(minion, network)
    with minion.lock(view.interface):
        public_key, next_key = rotation.prepare(view)
        return minion.statements().rotation(view, public_key, next_key)


def follow(minion: Minion, network: str, current_key: str, next_key: str, seconds: float) -> dict[str, Any]:
    """Move the addresses of a peer to its next key as soon as it uses that."""
    interface = config_files.interface_of(network)
    started = time.monotonic()
    if next_key not in devices.handshakes(interface):
        return {"moved": False, "seconds": 0.0, "comment": f"{interface} has no peer with the next key"}
    minion.call("event.send", FOLLOWING_TAG, {"network": network, "next_key": next_key})
    if not rotation.await_next_key(interface, current_key, next_key, seconds):
        return {"moved": False, "seconds": _since(started), "comment": f"no switch within {seconds:g} s"}
    with minion.lock(interface):
        rotation.follow(interface, current_key, next_key)
    return {"moved": True, "seconds": _since(started)}


def switch(minion: Minion, network: str, wait: float) -> dict[str, Any]:
    """Use the next key from now on, and sign the registration with it."""
    view = _view(minion, network)
    with minion.lock(view.interface):
        result = rotation.switch(view, wait)
    if result.failure:
        return {"switched": False, "comment": result.failure}
    return {
        "switched": True,
        "peers_back": result.peers_back,
        "peers_missing": result.peers_missing,
        REGISTER_TAG: [minion.statements().registration(view)],
    }


def abort(minion: Minion, network: str) -> dict[str, Any]:
    """Drop the next key, unless it is in use."""
    interface = _view(minion, network).interface
    with minion.lock(interface):
        if rotation.abort(interface):
            return {"aborted": True, "comment": f"{interface} keeps its key; the next one was removed"}
    if rotation.is_unfinished(interface):
        return {"aborted": False, "comment": f"{interface} uses the next key already; wireguard.sync registers it"}
    return {"aborted": True, "comment": f"{interface} has no next key"}


def _view(minion: Minion, network: str) -> View:
    """From a fresh pillar: the one in memory is as old as the minion's last start or refresh."""
    (view,) = select(views(minion.fresh_pillar()), network)
    refuse_clone(minion, view)
    return view


def _since(started: float) -> float:
    return round(time.monotonic() - started, 3)
