"""Private key files. Only this module and those that write a configuration file ever read one."""

from __future__ import annotations

import os
import time

from ..errors import NodeError
from ..model.keys import is_private_key
from ..system import files
from ..system.keypair import generate, public_of


def ensure(path: str) -> str:
    """Make a private key file unless it exists. Returns the public key."""
    if not os.path.exists(path):
        files.add(path, generate() + "\n")
    return existing(path)


def existing(path: str) -> str:
    """The public key that belongs to a private key file, which must be there. Raises NodeError."""
    found = public_key(path)
    if found is None:
        raise NodeError(f"{path} has disappeared: something else on this machine removed it")
    return found


def public_key(path: str) -> str | None:
    """
    The public key that belongs to a private key file; None where it does not exist. Raises NodeError for another file.
    """
    private = files.read(path).rstrip()
    if not private:
        if os.path.lexists(path):
            raise NodeError(
                f"{path} is empty, or a link to nothing: remove it, and the next apply makes a new key pair"
            )
        return None
    # Checked here, because `wg` cannot say which file it was.
    if not is_private_key(private):
        raise NodeError(f"{path} does not hold a WireGuard private key: move it away, or restore it")
    return public_of(private)


def put_aside(key_file: str) -> str | None:
    """Keep a private key under another name, which is returned; None if there is no key."""
    if not os.path.exists(key_file):
        return None
    aside = f"{key_file}.removed-{time.strftime('%Y%m%d-%H%M%S')}"
    files.rename(key_file, aside)
    return aside
