"""What this node has without peers that must go at once: no pillar is needed to know that."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from ..device import rotation as device_rotation
from ..errors import NodeError
from ..model.view import View
from ..system import files
from . import config_files, keys, rotation


def view_without(interface: str, public_keys: Collection[str]) -> View:
    """
    The view that was applied last, without the peers that have one of these keys, be it as their next one.

    Its digest is that of the view in the pillar, if that has changed in nothing else. What does not
    belong to the digest, such as the serial, is not known here.

    :raises NodeError: where the configuration file does not tell, or this node has changed its own key
    """
    written = config_files.written(interface)
    own_key = keys.existing(config_files.key_file(interface))
    if written is None or not _has_key_of_key_file(interface):
        path = config_files.config_file(interface)
        raise NodeError(f"{path} does not say what was applied last with this key; wireguard.sync writes it anew")
    rotation.refuse_while_switched(interface)
    view = device_rotation.contract(written)
    gone = [each for each in view.peers if {each.public_key, each.next_key}.intersection(public_keys)]
    peers = tuple(each for each in view.peers if each not in gone)
    names = view.hosts.without([each.name for each in gone]) if view.hosts else None
    return replace(view, peers=peers, public_key=own_key, hosts=names)


def _has_key_of_key_file(interface: str) -> bool:
    """A key that the master may not know yet must not get to the device."""
    private = files.read(config_files.key_file(interface)).strip()
    return f"PrivateKey = {private}" in files.read(config_files.config_file(interface)).splitlines()
