"""
The file with the secret of all preshared keys: complete, and with mode 0600, from the moment that it exists.

It is made when a network first has preshared keys.
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
    """The secret, which the first call makes. An unchanged secret is the same object. Raises ConfigError."""
    path = os.path.join(directory, _FILE)
    with _errors(path):
        if not os.path.exists(path):
            files.add(path, preshared.new_secret() + "\n")
        text = files.read(path).strip()
    if len(text) < preshared.SHORTEST_SECRET:
        raise ConfigError(
            f"{path} is damaged. Put it back from a backup; or delete it, and the next reconcile gives every pair of"
            " nodes a new preshared key"
        )
    return preshared.secret(text)


def secrets_of(directory: str, configured: Secret | None) -> list[str]:
    """All secrets of preshared keys that there are, for those who must not repeat one."""
    paths = (os.path.join(directory, name) for name in (_FILE, PREVIOUS))
    return [*([configured.text] if configured else []), *(files.read(path).strip() for path in paths)]


def kept_secret(directory: str) -> str | None:
    """The text of the secret, None where there is none yet. Raises ConfigError."""
    path = os.path.join(directory, _FILE)
    with _errors(path):
        return files.read(path).strip() or None


def put_back_secret(directory: str, text: str) -> bool:
    """Put a secret where none is. Returns whether it is the present one now. Raises ConfigError."""
    path = os.path.join(directory, _FILE)
    with _errors(path):
        files.add(path, text + "\n")
    return kept_secret(directory) == text


def renew_secret(directory: str) -> None:
    """
    Replace the secret by a new one, and keep the old one: a node that the change cuts off from its master knows no
    other. Raises ConfigError.
    """
    path = os.path.join(directory, _FILE)
    with _errors(path):
        current = files.read(path)
        if current:
            files.replace(os.path.join(directory, PREVIOUS), current)
        files.replace(path, preshared.new_secret() + "\n")


@contextlib.contextmanager
def _errors(path: str) -> Iterator[None]:
    try:
        yield
    except (OSError, NodeError) as exc:
        cause = exc.__cause__ or exc
        reason = cause.strerror if isinstance(cause, OSError) else cause
        raise ConfigError(
            f"{path}, which the preshared keys come from, is not usable: {reason}. Check its owner, its mode and"
            " the free disk space; nothing was changed"
        ) from exc
