"""Copies of a machine, with its Salt key. The master names their boots in the view."""

from __future__ import annotations

from ..errors import NodeError
from ..model.view import View
from . import config_files, teardown
from .minion import Minion


def refuse_clone(minion: Minion, view: View, test: bool = False) -> None:
    """Take the interface down and raise NodeError on a copy."""
    message = shut_down_clone(minion, view, test)
    if message:
        raise NodeError(message)


def shut_down_clone(minion: Minion, view: View, test: bool) -> str | None:
    """
    Take the interface down on a copy, which would attract its original's packets. Returns a message on a copy, None on
    every other machine.
    """
    if config_files.boot_name() not in view.clones:
        return None
    if not test:
        with minion.lock(view.interface):
            teardown.shut_down(view.interface, minion.boot())
    return (
        f"this machine is a copy of another one that runs as {minion.id} with the same Salt key; {view.interface}"
        " is down here. Delete /etc/salt/pki/minion and /etc/wireguard on this machine, and give it a minion id of its"
        " own; or, if it is the right one, turn the other off and boot this one again"
    )


def has_other_boot(view: View) -> bool:
    """Whether the master knows another boot of this machine, or another machine, as this node."""
    return view.boot not in (None, config_files.boot_name())
