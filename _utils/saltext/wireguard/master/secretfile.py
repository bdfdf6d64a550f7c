"""
The file with the secret that all preshared keys come from: complete and 0600 from the moment that it exists.

It is made when a network wants preshared keys for the first time.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from ..errors import ConfigError, NodeError
from ..model import preshared
from ..model.preshared import Secret
from ..system import files

_FILE = "preshared.secret"
PREVIOUS = f"{_FILE}.previous"


def load_secret(directory: str) -> Secret:
    """The secret; made by whoever comes first. The same object as long as it is the same. Raises ConfigError."""
    path = os.path.join(directory, _FILE)
    with _errors(path):
        try:
            text = _read(path)
        except FileNotFoundError:
            with _made(path) as new, contextlib.suppress(FileExistsError):
                os.link(new, path)  # unlike a rename, this never replaces the file of another process
            text = _read(path)
    if len(text) < preshared.SHORTEST_SECRET:
        raise ConfigError(
            f"{path} is damaged. Put it back from a backup; or delete it, and the next reconcile gives every pair of"
            " nodes a new preshared key"
        )
    return preshared.secret(text)


def renew_secret(directory: str) -> None:
    """
    Make another secret in place of the one that there is, which is kept: a node that the change has cut off from its
    master knows no other. Raises ConfigError.
    """
    path = os.path.join(directory, _FILE)
    previous = os.path.join(directory, PREVIOUS)
    with _errors(path), _made(path) as new:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(previous)
        with contextlib.suppress(FileNotFoundError):
            os.link(path, previous)
        os.replace(new, path)


def _read(path: str) -> str:
    with open(path, encoding="ascii", errors="replace") as file:
        return file.read().strip()


@contextlib.contextmanager
def _made(path: str) -> Iterator[str]:
    """A complete file with a new secret; gone afterwards unless it was renamed."""
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    with files.temporary(path, preshared.new_secret() + "\n") as new:
        yield new
    files.sync(os.path.dirname(path))


@contextlib.contextmanager
def _errors(path: str) -> Iterator[None]:
    try:
        yield
    except (OSError, NodeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else exc
        raise ConfigError(
            f"{path}, which the preshared keys come from, is not usable: {reason}. Check its owner, its mode and"
            " the free disk space; nothing was changed"
        ) from exc
