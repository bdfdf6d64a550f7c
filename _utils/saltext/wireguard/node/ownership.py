"""Interfaces that somebody else set up: they are taken over only when an operator says so, see ``takeover``."""

from __future__ import annotations

from ..errors import NodeError
from ..formats import wg_quick
from ..model.view import View
from ..system import files
from . import adopted, config_files, devices, inventory, keys

_WAYS = (
    "To take it over with its key and its sessions: `salt-run wireguard.adopt` on the master. Or choose another"
    " `interface:`"
)


def refuse_foreign(view: View, key_file: str) -> None:
    """Raise NodeError for an interface that somebody else set up, unless it is being taken over."""
    path = config_files.config_file(view.interface)
    config = files.read(path)
    if config and not wg_quick.is_managed(config):
        if adopted.is_kept(path):
            return
        raise NodeError(not_ours(view.interface))
    _refuse_networkd(view.interface, config)
    owner = wg_quick.managed_network(config)
    if config and owner != view.network:
        raise NodeError(
            f"{view.interface} was set up for {_purpose(owner)} on this minion, and not for {_purpose(view.network)}"
        )
    device = None if config else devices.read(view.interface)
    if device and device.public_key not in (None, keys.public_key(key_file)):
        raise NodeError(
            f"a device {view.interface} exists that these modules did not create, so it is left alone. {_WAYS}"
        )


def _refuse_networkd(interface: str, config: str) -> None:
    """Raise NodeError for a device that systemd-networkd made by files of somebody else."""
    found = None if config or not devices.exists(interface) else inventory.find(interface)
    theirs = [path for path in found.files if path.endswith(".netdev")] if found else []
    theirs = [path for path in theirs if not wg_quick.is_managed(files.read(path))]
    if theirs and not all(map(adopted.is_kept, theirs)):
        raise NodeError(f"{theirs[0]} was not written by these modules, so {interface} is left alone. {_WAYS}")


def _purpose(network: str | None) -> str:
    return f"the network {network}" if network else "explicit arguments of wireguard.present"


def not_ours(interface: str) -> str:
    """The message for an interface whose configuration file somebody else wrote."""
    return f"{config_files.config_file(interface)} was not written by these modules, so it is left alone. {_WAYS}"
