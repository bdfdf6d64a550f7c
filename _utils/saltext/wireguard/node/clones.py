"""Copies of a machine, which have its Salt key: the master names their boots in the view."""

from __future__ import annotations

from ..errors import NodeError
from ..model.view import View
from . import config_files, teardown
from .minion import Minion


def refuse_clone(minion: Minion, view: View, test: bool = False) -> None:
    """Raise NodeError on a copy, which then has its interface down."""
    said = stand_down_if_clone(minion, view, test)
    if said:
        raise NodeError(said)


def stand_down_if_clone(minion: Minion, view: View, test: bool) -> str | None:
    """
    A copy of a machine would draw the packets of its original to itself: it takes its interface down. Returns what to
    tell people about that; None on every other machine.
    """
    if config_files.boot_id() not in view.clones:
        return None
    if not test:
        with minion.lock(view.interface):
            teardown.stand_down(view.interface, minion.boot())
    return (
        f"this machine is a copy of another one that runs as {minion.id} with the same Salt key; {view.interface}"
        " is down here. Delete /etc/salt/pki/minion and /etc/wireguard on this machine, and give it a minion id of its"
        " own; or, if it is the right one, turn the other off and boot this one again"
    )


def is_news(view: View) -> bool:
    """Whether the master believes that another boot of this machine, or another machine, is this node."""
    return view.boot not in (None, config_files.boot_id())
