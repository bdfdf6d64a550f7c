"""
Files with secrets in them: where they are, how they are read, and how they come to be complete and 0600 at any moment.

An interface has ``<interface>.key`` and ``<interface>.conf``; while its key is being rotated, ``.key.next`` and
``.key.previous`` as well.
"""

from __future__ import annotations

import contextlib
import glob
import os
import stat
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

# The mode of a file with a secret in it.
SECRET = 0o600

# What tempfile puts in the middle of a name: a pattern for glob.
_ANY_NAME = "?" * 8


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


def with_secrets(interface: str) -> tuple[str, ...]:
    """All of the above."""
    return tuple(place(interface) for place in (key_file, next_key_file, previous_key_file, config_file))


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


def config_text(view: View, private_key_file: str) -> str:
    """The configuration file of a view, with the private key in it."""
    return render.render(view).replace(render.PRIVATE_KEY, read(private_key_file).strip())


# -- reading


def read(path: str) -> str:
    """The text of a file, empty where there is none."""
    try:
        with open(path, encoding="utf-8", errors="replace") as handle:
            return handle.read()
    except FileNotFoundError:
        return ""


def boot_id() -> str:
    """Names this boot of this machine: by it, two machines with one Salt key give themselves away."""
    return read("/proc/sys/kernel/random/boot_id").strip()


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
    """Make a file in a directory for root only, unless there is one: unlike a rename, a link fails where there is."""
    with _or_error(path, "written"):
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        with beside(path, text) as finished, contextlib.suppress(FileExistsError):
            os.link(finished, path)
    sync(os.path.dirname(path))


def replace(path: str, text: str, mode: int = SECRET, group: int | None = None) -> None:
    """Give a file this text, mode and group. It has its old or its new content, and never half of it."""
    with _or_error(path, "written"), beside(path, text, mode, group) as finished:
        os.rename(finished, path)
    sync(os.path.dirname(path))


def rename(source: str, target: str) -> None:
    """Rename a file within its directory."""
    with _or_error(source, "renamed"):
        os.rename(source, target)
    sync(os.path.dirname(target))


def supersede(source: str, target: str) -> None:
    """Rename a file over another one, whose owner and mode it takes on: others than root may have to read a key."""
    with _or_error(target, "replaced"):
        before = os.stat(target)
        os.chown(source, before.st_uid, before.st_gid)
        os.chmod(source, stat.S_IMODE(before.st_mode))
    rename(source, target)


def remove(path: str) -> None:
    """Remove a file if it is there."""
    if not os.path.lexists(path):
        return
    with _or_error(path, "removed"):
        os.unlink(path)
    sync(os.path.dirname(path))


def remove_leftovers(*paths: str) -> None:
    """Remove what writers of these files left half done when they were killed."""
    for path in paths:
        directory, name = os.path.split(path)
        for leftover in glob.glob(os.path.join(glob.escape(directory), f".{glob.escape(name)}.{_ANY_NAME}.tmp")):
            remove(leftover)


@contextlib.contextmanager
def beside(path: str, content: str | bytes, mode: int = SECRET, group: int | None = None) -> Iterator[str]:
    """A complete and synced file beside ``path``; gone afterwards unless it was renamed. Raises OSError."""
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
def _or_error(path: str, done: str) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise NodeError(
            f"{path} could not be {done}: {exc.strerror}; it is as it was. Put that right, and apply again"
        ) from exc


def sync(directory: str) -> None:
    """Make names last: the content of the files was synced before."""
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
