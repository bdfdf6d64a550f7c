"""Interfaces that somebody else set up: they are not taken over."""

from __future__ import annotations

from ..errors import NodeError
from ..formats import wg_quick
from ..model.view import View
from ..system import files
from ..wording import shell
from . import config_files, devices, keys


def refuse_foreign(view: View, key_file: str) -> None:
    """Raise NodeError for an interface that somebody else set up: it is not taken over."""
    config = files.read(config_files.config_file(view.interface))
    if config and not wg_quick.is_managed(config):
        raise NodeError(not_ours(view.interface))
    owner = wg_quick.managed_network(config)
    if config and owner != view.network:
        raise NodeError(
            f"{view.interface} was set up for {_purpose(owner)} on this minion, and not for {_purpose(view.network)}"
        )
    device = None if config else devices.read(view.interface)
    if device and device.public_key not in (None, keys.public_key(key_file)):
        raise NodeError(
            f"a device {view.interface} exists that these modules did not create, so it is left alone. Take it down, or"
            " choose another `interface:` in the mesh file"
        )


def _purpose(network: str | None) -> str:
    return f"the network {network}" if network else "explicit arguments of wireguard.present"


def not_ours(interface: str) -> str:
    """The message for an interface whose configuration file somebody else wrote."""
    return (
        f"{config_files.config_file(interface)} was not written by these modules, so it is left alone. Move it away"
        f" (the device too: {shell('wg-quick down', interface)}), or choose another `interface:`"
    )
