"""What changed behind our back: this machine beside its own configuration files, without asking anybody."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Collection
from typing import Any

from ..errors import NodeError, WireguardError
from ..model.answers import Answer, Sessions
from . import config_files, devices, removal
from .boot.managers import Manager
from .converge import Convergence


def drift(boot: Manager, live: Collection[str]) -> dict[str, Any]:
    """``drift_answers`` as data."""
    return {"networks": {network: each.to_dict() for network, each in drift_answers(boot, live).items()}}


def drift_answers(boot: Manager | None, asked: Collection[str]) -> dict[str, Answer]:
    """
    Network -> what applying its configuration file anew would change, for all networks of this machine.

    :param asked: public keys; the answers say with which of them there is a live session
    """
    found = {}
    for interface, network in config_files.managed().items():
        if network is not None:
            try:
                found[network] = _answer(interface, boot, asked)
            except (WireguardError, OSError) as exc:
                found[network] = Answer(error=str(exc))
    return found


def _answer(interface: str, boot: Manager | None, asked: Collection[str]) -> Answer:
    """Without a digest where the file does not tell what was applied: then only the master can say what differs."""
    device = devices.read(interface)
    live = Sessions.of(device, int(time.time())) if device else Sessions()
    sessions = dataclasses.replace(live, keys=set(asked) & set(live.keys or ()))
    try:
        view = removal.view_without(interface, ())
    except NodeError:
        return Answer(sessions=sessions)
    convergence = Convergence(view, config_files.key_file(interface), str(view.public_key), boot)
    return Answer(changes=convergence.changes(), disturbs=convergence.disturbs(), digest=view.digest, sessions=sessions)
