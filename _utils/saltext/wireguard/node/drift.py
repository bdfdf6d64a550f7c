"""Compares this machine with its own configuration files, to find what others changed."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Collection, Mapping
from typing import Any

from ..errors import NodeError, WireguardError
from ..model.answers import Answer, Sessions
from ..model.changes import Change, Kind
from . import config_files, devices, removal
from .boot.managers import Manager
from .converge import Convergence


def drift(boot: Manager, live: Collection[str]) -> dict[str, Any]:
    """
    Network -> what applying its configuration file again would change, for all networks of this machine, as data.

    :param live: public keys; the answers say with which of them there is a live session
    """
    answers = {}
    for interface, network in config_files.managed().items():
        if network is not None:
            try:
                answers[network] = _answer(interface, boot, live).to_dict()
            except (WireguardError, OSError) as exc:
                answers[network] = Answer(error=str(exc)).to_dict()
    return {"networks": answers}


def _answer(interface: str, boot: Manager, asked: Collection[str]) -> Answer:
    """Without a digest if the file does not say what was applied: then only the master knows what differs."""
    device = devices.read(interface)
    live = Sessions.of(device, int(time.time())) if device else Sessions()
    sessions = dataclasses.replace(live, keys=set(asked) & set(live.keys or ()))
    try:
        digest, convergence = compare(interface, boot)
    except NodeError:
        return Answer(sessions=sessions)
    return Answer(convergence.changes(), convergence.disturbs(), digest, sessions, obstacles=convergence.obstacles())


def compare(interface: str, boot: Manager) -> tuple[str, Convergence]:
    """The digest of what was applied last, and what differs from it now. Raises NodeError, as ``last_view`` does."""
    view = removal.last_view(interface)
    return view.digest, Convergence(view, config_files.key_file(interface), str(view.public_key), boot)


def was_changed(change: Change) -> bool:
    """Whether others changed something. A peer that is at another endpoint may have roamed there."""
    moved = change.kind == Kind.PEER and change.old is not None and isinstance(change.new, Mapping)
    return not (moved and set(change.new) == {"endpoint"})  # type: ignore[arg-type]
