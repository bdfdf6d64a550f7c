"""Writes the names of a network into the hosts file of this machine, in the block of ``formats.hosts_file``."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Collection
from dataclasses import dataclass

from ..errors import NamesError
from ..formats.hosts_file import BrokenBlockError, block, foreign_names, managed_names, with_block
from ..model.changes import Change, Changes, Kind
from ..model.endpoint import Endpoint
from ..model.hosts import block_changes
from ..model.view import View
from ..system import files
from . import config_files, lock
from .boot.managers import Setup

HOSTS_FILE = "/etc/hosts"

# A file that cannot be replaced with one of these errors may still be writable: in containers, it is a mount of its
# own; and a minion and salt-ssh have different locks, so each may remove the other's temporary file.
_NOT_REPLACED = (errno.EBUSY, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOENT)

# No interface can have this name.
_LOCK = "the hosts file"


@dataclass(frozen=True)
class HostsFile:
    """
    A manager that follows an interface, as those in ``boot`` do.

    ``cachedir``: of the minion, for the lock. ``masters``: the names of its masters in the minion's configuration.
    """

    cachedir: str
    masters: Collection[str] = ()

    def missing(self, setup: Setup) -> Changes:
        """What differs in the network's block. A broken block is a change here, and an error in ``enable``."""
        network = setup.view.network
        if network is None:
            return ()
        text = _read()
        try:
            present = block(text, network)
        except BrokenBlockError as exc:
            return (Change(Kind.HOST_NAMES, "", f"{HOSTS_FILE} is broken: {exc}", None),)
        wanted = self._lines(text, setup.view)
        if present == [] and wanted is None:
            return (Change(Kind.HOST_NAMES, "", "an empty block", None),)
        return block_changes(present or [], wanted or [])

    def enable(self, setup: Setup) -> None:
        """Raises NamesError if that fails."""
        if setup.view.network is not None:
            self._write(setup.view.network, setup.view)

    def disable(self, interface: str) -> None:
        """Even if there is no block. Raises NamesError if that fails."""
        managed = config_files.managed()
        network = managed.pop(interface, None)
        if network is not None and network not in managed.values():  # it may have another interface by now
            self._write(network, None)

    def _lines(self, text: str, view: View | None) -> list[str] | None:
        """The content that the block must have; None for no block at all."""
        if view is None or view.hosts is None:
            return None
        taken = {*foreign_names(text), *_names_of_endpoints(view), *(name.lower() for name in self.masters)}
        return view.hosts.lines(taken) or None

    def _write(self, network: str, view: View | None) -> None:
        """Under a lock, because all networks share the file."""
        with lock.hold(self.cachedir, _LOCK):
            text = _read()
            try:
                wanted = with_block(text, network, self._lines(text, view))
            except BrokenBlockError as exc:
                raise NamesError(f"{HOSTS_FILE}: {exc}; the tunnels work, and the names were left alone") from exc
            if wanted != text:
                _replace(wanted)


def written(network: str | None) -> list[str]:
    """The lines that the hosts file has for a network."""
    try:
        return (block(_read(), network) or []) if network else []
    except BrokenBlockError:
        return []


def managed() -> set[str]:
    """The names, in lower case, in our blocks of the hosts file: they lead into the tunnel."""
    return managed_names(_read())


def _names_of_endpoints(view: View) -> set[str]:
    """The names in endpoints of any network's peers: they must not lead into the tunnel."""
    others = [config_files.written(interface) for interface in config_files.managed() if interface != view.interface]
    peers = [peer for each in [view, *others] if each for peer in each.peers]
    return {Endpoint.parse(peer.endpoint).host.lower() for peer in peers if peer.endpoint}


def _read() -> str:
    """Every byte of it, whatever the encoding of a comment; empty if there is no file."""
    try:
        with open(HOSTS_FILE, encoding="utf-8", errors="surrogateescape", newline="") as handle:
            return handle.read()
    except FileNotFoundError:
        return ""


def _replace(text: str) -> None:
    """Write this content, and keep owner, mode and extended attributes. Raises NamesError."""
    target = os.path.realpath(HOSTS_FILE)
    content = text.encode("utf-8", "surrogateescape")
    try:
        files.remove_leftovers(target)
        try:
            _replace_at_once(target, content)
        except OSError as exc:
            if exc.errno not in _NOT_REPLACED:
                raise
            _overwrite(target, content)
    except OSError as exc:
        raise NamesError(
            f"{HOSTS_FILE} could not be written: {exc.strerror}; the tunnels work. Fix the cause, and apply again"
        ) from exc


def _replace_at_once(target: str, content: bytes) -> None:
    with files.temporary(target, content, 0o644) as finished:
        if os.path.exists(target):
            before = os.stat(target)
            shutil.copystat(target, finished)  # with its SELinux label
            os.chown(finished, before.st_uid, before.st_gid)
            os.utime(finished)  # resolvers notice a change by the time
        os.rename(finished, target)
    files.sync(os.path.dirname(target))


def _overwrite(target: str, content: bytes) -> None:
    """In one write, then cut off what is left of the old content."""
    descriptor = os.open(target, os.O_WRONLY)
    try:
        os.pwrite(descriptor, content, 0)
        os.ftruncate(descriptor, len(content))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
