"""What changed behind our back: this machine beside its own configuration files, without asking anybody."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Collection

try:
    from saltext.wireguard.utils.wgmesh.answer import Answer
    from saltext.wireguard.utils.wgmesh.errors import NodeError, WireguardError
    from saltext.wireguard.utils.wgmesh.impact import Sessions
except ImportError:  # synced from _utils/
    from wgmesh.answer import Answer
    from wgmesh.errors import NodeError, WireguardError
    from wgmesh.impact import Sessions

from . import devices, dropping, files
from .boot import Manager
from .converge import Way


def answers(boot: Manager | None, asked: Collection[str]) -> dict[str, Answer]:
    """
    Network -> what applying its configuration file anew would change, for all networks of this machine.

    :param asked: public keys; the answers say with which of them there is a live session
    """
    found = {}
    for interface, network in files.managed().items():
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
        view = dropping.view_without(interface, ())
    except NodeError:
        return Answer(sessions=sessions)
    way = Way(view, files.key_file(interface), str(view.public_key), boot)
    return Answer(changes=way.changes(), disturbs=way.disturbs(), digest=view.digest, sessions=sessions)
