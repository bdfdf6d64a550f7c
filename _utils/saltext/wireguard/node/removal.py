"""The view that was applied last, for changes to it that need no pillar."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from ..device import rotation as device_rotation
from ..errors import NodeError
from ..model.peer import Peer
from ..model.view import View
from ..system import files
from . import config_files, keys, rotation


def last_view(interface: str) -> View:
    """
    The view that was applied last.

    Its digest equals that of the view in the pillar if nothing has changed there. What is not part of the digest, such
    as the serial, is unknown here.

    :raises NodeError: if the configuration file does not tell, or this node has changed its own key
    """
    written = config_files.written(interface)
    own_key = keys.existing(config_files.key_file(interface))
    if written is None or not _has_key_of_key_file(interface):
        path = config_files.config_file(interface)
        raise NodeError(f"{path} does not say what was applied last with this key; wireguard.sync writes it again")
    rotation.refuse_unfinished(interface)
    return replace(device_rotation.contract(written), public_key=own_key)


def changed(view: View, drop: Collection[str], peers: Collection[Peer]) -> View:
    """
    The view without the peers that have one of these keys, current or next, and with these in place of those of their
    names. Raises NodeError where that takes secrets.
    """
    names = {peer.name for peer in peers}
    kept = any(each.has_preshared_key or each.kept_keepalive for each in view.peers if each.name in names)
    if peers and (view.preshared or kept):
        raise NodeError(
            f"{view.interface} has preshared keys or what it was taken over with; wireguard.sync keeps them"
        )
    named = {peer.name: peer for peer in (*view.without_peers(drop).peers, *peers)}
    return replace(view.without_peers(drop), peers=tuple(named[name] for name in sorted(named)))


def _has_key_of_key_file(interface: str) -> bool:
    """A key that the master may not know yet must not get to the device."""
    private = files.read(config_files.key_file(interface)).strip()
    return f"PrivateKey = {private}" in files.read(config_files.config_file(interface)).splitlines()
