"""
Interfaces that systemd-networkd makes when the machine boots, from ``50-<interface>.netdev`` and ``.network``.

Only the files are written. networkd is never reloaded, as it would set every peer of a live device again.
"""

from __future__ import annotations

import grp
import os
import stat
from collections.abc import Mapping

from ...errors import NodeError
from ...formats import networkd, preshared, wg_quick
from ...formats.preshared import is_in
from ...model.changes import Change, Changes, Kind
from ...system import files
from ...wording import some
from .. import adopted, config_files
from .managers import Call, Setup, not_enabled

CONFIG_DIR = "/etc/systemd/network"
SERVICE = "systemd-networkd"
GROUP = "systemd-network"

# networkd does not run as root. Everybody may read its files, and its group those with a secret.
OPEN = 0o644
SECRET = 0o640
PASSABLE = 0o710

_WG_QUICK = "Leave `wireguard:backend` at wg-quick"
_ADVICE = "Let it manage this machine's network, or leave `wireguard:backend` at wg-quick"


class Networkd:
    """``call``: calls a function of Salt, such as ``service.enabled``."""

    def __init__(self, call: Call) -> None:
        self._call = call

    def missing(self, setup: Setup) -> Changes:
        """Its files, the mode of the key file, and the daemon. Raises NodeError for foreign files."""
        changes = []
        for path, text in _texts(setup).items():
            if not files.is_written(path, text, *_access(text)):
                changes.append(Change(Kind.FILE, path, None, "written"))
        if not _can_read(setup.key_file):
            changes.append(Change(Kind.FILE, setup.key_file, "for root only", f"readable for {GROUP}"))
        if not self._call("service.enabled", SERVICE):
            changes.append(Change(Kind.SERVICE, SERVICE, "disabled", "enabled"))
        return tuple(changes)

    def enable(self, setup: Setup) -> None:
        """
        Write the files, and raise NodeError if the daemon is disabled. It is not enabled here: that could affect the
        other interfaces of the machine.
        """
        _make_config_dir()
        files.remove_leftovers(*_texts(setup))
        for path, text in _texts(setup).items():
            if not files.is_written(path, text, *_access(text)):
                files.replace(path, text, *_access(text))
        _let_read(setup.key_file)
        if not self._call("service.enabled", SERVICE):
            raise NodeError(f"{not_enabled(SERVICE, setup.view.interface)}. {_ADVICE}")

    def left(self, interface: str) -> Changes:
        """Its files that exist and are ours."""
        paths = (netdev_file(interface), network_file(interface))
        return tuple(Change(Kind.FILE, path, "present", None) for path in paths if _is_ours(path))

    def disable(self, interface: str) -> None:
        """The ``.netdev`` file is removed last: while it exists, the next run knows that something is left to do."""
        netdev = netdev_file(interface)
        if not _is_ours(netdev):
            return
        _let_nobody_read(networkd.key_file_of(files.read(netdev)))
        if _is_ours(network_file(interface)):
            files.remove(network_file(interface))
        if not _others_than(netdev):
            _give(config_files.CONFIG_DIR, 0, 0o700)
        files.remove(netdev)


# -- the files


def netdev_file(interface: str) -> str:
    """The path of the device's file."""
    return os.path.join(CONFIG_DIR, f"50-{os.path.basename(interface)}.netdev")


def network_file(interface: str) -> str:
    """The path of the file with addresses and routes."""
    return os.path.join(CONFIG_DIR, f"50-{os.path.basename(interface)}.network")


def _make_config_dir() -> None:
    try:
        os.makedirs(CONFIG_DIR, mode=0o755, exist_ok=True)
    except OSError as exc:
        raise NodeError(f"{CONFIG_DIR} could not be made: {exc.strerror}. {_ADVICE}") from exc


def _texts(setup: Setup) -> dict[str, str]:
    """Path -> the content that it must have. Raises NodeError for a foreign file, and for what networkd cannot do."""
    if setup.view.kept:
        names = some({line.partition(" =")[0] for line in setup.view.kept})
        raise NodeError(
            f"systemd-networkd cannot do what {setup.view.interface} keeps of its old file: {names}. {_WG_QUICK}"
        )
    netdev, network = netdev_file(setup.view.interface), network_file(setup.view.interface)
    for path in (netdev, network):
        if os.path.lexists(path) and not _is_ours(path) and not adopted.is_kept(path):
            raise NodeError(
                f"{path} was not written by these modules, so it is left alone. Move it away, or choose another"
                " `interface:`"
            )
    return {
        netdev: networkd.netdev(setup.view, setup.key_file, setup.endpoints),
        network: networkd.network(setup.view),
    }


def _access(text: str) -> tuple[int, int | None]:
    """The mode and group of a file with this text; None for any group."""
    return (SECRET, _group()) if is_in(text) else (OPEN, None)


def rewrite(interface: str, keys: Mapping[str, str]) -> None:
    """
    Put other preshared keys into the device's file, if it is ours.

    :param keys: public key of a peer to its preshared key
    """
    path = netdev_file(interface)
    before = files.read(path) if _is_ours(path) else ""
    text = preshared.rewrite(before, keys)
    if text != before:
        files.replace(path, text, *_access(text))


def _others_than(netdev: str) -> list[str]:
    """Our files of other devices."""
    paths = [os.path.join(CONFIG_DIR, name) for name in files.names(CONFIG_DIR) if name.endswith(".netdev")]
    return [path for path in paths if path != netdev and _is_ours(path)]


def _is_ours(path: str) -> bool:
    return os.path.isfile(path) and wg_quick.is_managed(files.read(path))


# -- the key


def _can_read(key_file: str) -> bool:
    """Whether networkd and root can read a key file, and nobody else."""
    group = _group()
    status = os.stat(key_file)
    if status.st_gid != group or stat.S_IMODE(status.st_mode) != SECRET:
        return False
    return not _is_in_config_dir(key_file) or _can_pass(config_files.CONFIG_DIR, group)


def _let_read(key_file: str) -> None:
    group = _group()
    if group is None:
        raise NodeError(f"there is no group {GROUP}, which systemd-networkd runs as. {_ADVICE}")
    _give(key_file, group, SECRET)
    if _is_in_config_dir(key_file) and not _can_pass(config_files.CONFIG_DIR, group):
        _give(config_files.CONFIG_DIR, group, PASSABLE)


def _let_nobody_read(key_file: str | None) -> None:
    if key_file and os.path.exists(key_file):
        _give(key_file, 0, files.SECRET)


def _is_in_config_dir(key_file: str) -> bool:
    return os.path.dirname(key_file) == config_files.CONFIG_DIR


def _can_pass(directory: str, group: int | None) -> bool:
    status = os.stat(directory)
    return bool(status.st_mode & stat.S_IXOTH or (status.st_gid == group and status.st_mode & stat.S_IXGRP))


def _give(path: str, group: int, mode: int) -> None:
    """Set group and mode, in this order, so that the former group can never read."""
    try:
        os.chown(path, -1, group)
        os.chmod(path, mode)
    except OSError as exc:
        raise NodeError(f"the mode of {path} could not be changed: {exc.strerror}. Apply again") from exc


def _group() -> int | None:
    try:
        return grp.getgrnam(GROUP).gr_gid
    except KeyError:
        return None
