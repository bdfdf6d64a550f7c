"""
Files with secrets in them: where they are, how they are read, and how they come to be complete and 0600 at any moment.

An interface has ``<interface>.key`` and ``<interface>.conf``; while its key is being rotated, ``.key.next`` and
``.key.previous`` as well.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator

try:
    from saltext.wireguard.utils.wgmesh import render
    from saltext.wireguard.utils.wgmesh.diff import Applied
    from saltext.wireguard.utils.wgmesh.errors import NodeError
    from saltext.wireguard.utils.wgmesh.view import View
except ImportError:  # synced from _utils/
    from wgmesh import render
    from wgmesh.diff import Applied
    from wgmesh.errors import NodeError
    from wgmesh.view import View

CONFIG_DIR = "/etc/wireguard"


# -- places


def key_file(interface: str) -> str:
    """Where the private key of an interface is."""
    return os.path.join(CONFIG_DIR, f"{os.path.basename(interface)}.key")


def next_key_file(interface: str) -> str:
    """The key that a rotation leads to."""
    return key_file(interface) + ".next"


def previous_key_file(interface: str) -> str:
    """The key that a rotation comes from, until it is known to be over."""
    return key_file(interface) + ".previous"


def config_file(interface: str) -> str:
    """Where the configuration of an interface is, as wg-quick reads it."""
    return os.path.join(CONFIG_DIR, f"{os.path.basename(interface)}.conf")


def managed() -> dict[str, str | None]:
    """Interface -> network of the configuration files that are ours; None for those without a network."""
    found = {}
    for name in names(CONFIG_DIR):
        interface, extension = os.path.splitext(name)
        if extension == ".conf":
            text = read(config_file(interface))
            if render.is_managed(text):
                found[interface] = render.managed_network(text)
    return found


def written(interface: str) -> View | None:
    """The view that our configuration file was written from; None where there is none, or somebody damaged it."""
    return render.parse(read(config_file(interface)), interface)


def applied(interface: str) -> Applied:
    """What our configuration file says was applied last."""
    return Applied.of(written(interface))


# -- reading


def read(path: str) -> str:
    """The text of a file, empty where there is none."""
    try:
        with open(path, encoding="utf-8", errors="replace") as handle:
            return handle.read()
    except FileNotFoundError:
        return ""


def names(directory: str) -> list[str]:
    """What is in a directory, sorted; nothing where there is none."""
    try:
        return sorted(os.listdir(directory))
    except FileNotFoundError:
        return []


def is_written(path: str, text: str) -> bool:
    """Whether the file has this text, and nobody but its owner can read it: the private key is in it."""
    return text == read(path) and not os.stat(path).st_mode & 0o077


# -- writing, in a way that survives a power cut at any point


def add(path: str, text: str) -> None:
    """Make a file in a directory for root only, unless there is one: unlike a rename, a link fails where there is."""
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    with temporary(path, text) as finished, contextlib.suppress(FileExistsError):
        os.link(finished, path)
    _sync(os.path.dirname(path))


def replace(path: str, text: str) -> None:
    """Give a file this text, and mode 0600. It has its old or its new content, and never half of it."""
    with temporary(path, text) as finished:
        os.rename(finished, path)
    _sync(os.path.dirname(path))


def rename(source: str, target: str) -> None:
    """Rename a file within its directory."""
    os.rename(source, target)
    _sync(os.path.dirname(target))


def remove(path: str) -> None:
    """Remove a file if it is there."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
        _sync(os.path.dirname(path))


@contextlib.contextmanager
def temporary(path: str, text: str) -> Iterator[str]:
    """A complete, synced, 0600 file beside ``path``; gone afterwards unless it was renamed. Raises NodeError."""
    try:
        descriptor, name = tempfile.mkstemp(prefix=".", suffix=".tmp", dir=os.path.dirname(path))
        try:
            with os.fdopen(descriptor, "wb") as handle:
                handle.write(text.encode())
                handle.flush()
                os.fsync(handle.fileno())
            yield name
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name)
    except OSError as exc:
        raise NodeError(f"{path} could not be written: {exc.strerror}; it is as it was") from exc


def _sync(directory: str) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
