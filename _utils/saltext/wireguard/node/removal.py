"""The view that was applied last, for changes to it that need no pillar."""

from __future__ import annotations

from dataclasses import replace

from ..device import rotation as device_rotation
from ..errors import NodeError
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


def _has_key_of_key_file(interface: str) -> bool:
    """A key that the master may not know yet must not get to the device."""
    private = files.read(config_files.key_file(interface)).strip()
    return f"PrivateKey = {private}" in files.read(config_files.config_file(interface)).splitlines()
