"""Whole files: complete at any moment, with the mode and owner that they must have, also after a power cut."""

from __future__ import annotations

import contextlib
import glob
import os
import stat
import tempfile
from collections.abc import Iterator

from ..errors import NodeError

# The mode of a file with a secret in it.
SECRET = 0o600

# What tempfile puts in the middle of a name: a pattern for glob.
_ANY_NAME = "?" * 8


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


def is_written(path: str, text: str, mode: int = SECRET, group: int | None = None) -> bool:
    """Whether the file has this text and this mode, and belongs to this group, where one is given."""
    if text != read(path):
        return False
    status = os.stat(path)
    return stat.S_IMODE(status.st_mode) == mode and group in (None, status.st_gid)


# -- writing, in a way that survives a power cut at any point; each raises NodeError


def add(path: str, text: str) -> None:
    """Create a file, and its directory for root only, unless it exists: unlike a rename, a link overwrites nothing."""
    with _node_error(path, "written"):
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        with temporary(path, text) as finished, contextlib.suppress(FileExistsError):
            os.link(finished, path)
    sync(os.path.dirname(path))


def replace(path: str, text: str, mode: int = SECRET, group: int | None = None) -> None:
    """Write this text, mode and group. At any moment, the file has its whole old or its whole new content."""
    with _node_error(path, "written"), temporary(path, text, mode, group) as finished:
        os.rename(finished, path)
    sync(os.path.dirname(path))


def replace_text(path: str, text: str) -> None:
    """Write this text into a file that is there, which keeps its mode and group. In one step, as ``replace`` does."""
    with _node_error(path, "written"):
        status = os.stat(path)
    replace(path, text, stat.S_IMODE(status.st_mode), status.st_gid)


def rename(source: str, target: str) -> None:
    """Rename a file within its directory."""
    with _node_error(source, "renamed"):
        os.rename(source, target)
    sync(os.path.dirname(target))


def supersede(source: str, target: str) -> None:
    """Rename a file over another one, and keep that one's owner and mode: others than root may have to read a key."""
    with _node_error(target, "replaced"):
        before = os.stat(target)
        os.chown(source, before.st_uid, before.st_gid)
        os.chmod(source, stat.S_IMODE(before.st_mode))
    rename(source, target)


def remove(path: str) -> None:
    """Remove a file if it is there."""
    if not os.path.lexists(path):
        return
    with _node_error(path, "removed"):
        os.unlink(path)
    sync(os.path.dirname(path))


def remove_leftovers(*paths: str) -> None:
    """Remove the temporary files that killed writers of these files left behind."""
    for path in paths:
        directory, name = os.path.split(path)
        for leftover in glob.glob(os.path.join(glob.escape(directory), f".{glob.escape(name)}.{_ANY_NAME}.tmp")):
            remove(leftover)


@contextlib.contextmanager
def temporary(path: str, content: str | bytes, mode: int = SECRET, group: int | None = None) -> Iterator[str]:
    """A complete, synced file in the same directory. It is removed afterwards unless it was renamed. Raises OSError."""
    directory, name = os.path.split(path)
    descriptor, made = tempfile.mkstemp(prefix=f".{name}.", suffix=".tmp", dir=directory)
    try:
        with os.fdopen(descriptor, "wb") as handle:
            handle.write(content.encode() if isinstance(content, str) else content)
            handle.flush()
            if group is not None:
                os.fchown(handle.fileno(), -1, group)
            os.fchmod(handle.fileno(), mode)
            os.fsync(handle.fileno())
        yield made
    finally:
        with contextlib.suppress(OSError):
            os.unlink(made)


@contextlib.contextmanager
def _node_error(path: str, action: str) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise NodeError(
            f"{path} could not be {action}: {exc.strerror}; it is unchanged. Fix the cause, and apply again"
        ) from exc


def sync(directory: str) -> None:
    """Make new, renamed and removed names durable. The content of the files is synced before."""
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as exc:
        raise NodeError(
            f"{directory} could not be synced: {exc.strerror}; a power cut could undo the last change there."
            " See the kernel's log, and apply again"
        ) from exc
