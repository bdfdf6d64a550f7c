"""Key pairs. Only this module and those that write a configuration file ever read a private key."""

from __future__ import annotations

import os
import re

try:
    from saltext.wireguard.utils.wgmesh.errors import NodeError
except ImportError:  # synced from _utils/
    from wgmesh.errors import NodeError

from . import files
from .commands import run

# 32 bytes in canonical base64: the last character but one has its two spare bits zero.
_PRIVATE_KEY = re.compile(r"[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=")


def ensure(path: str) -> str:
    """Make a private key file unless it exists. Returns the public key."""
    if not os.path.exists(path):
        files.add(path, generate() + "\n")
    return existing(path)


def existing(path: str) -> str:
    """The public key that belongs to a private key file, which must be there. Raises NodeError."""
    found = public_key(path)
    if found is None:
        raise NodeError(f"{path} is not there any more: something else on this machine removed it")
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
    # Checked here, because PyNaCl passes over what is not base64, and `wg` cannot say which file it was.
    if not _PRIVATE_KEY.fullmatch(private):
        raise NodeError(f"{path} does not hold a WireGuard private key: move it away, or restore it")
    return public_of(private)


def public_of(private: str) -> str:
    """
    The public key that belongs to a private key, which goes to ``wg pubkey`` by standard input. Raises NodeError where
    nothing can compute it.
    """
    try:
        import nacl.encoding
        import nacl.public
    except ImportError:
        return run(["wg", "pubkey"], stdin=private + "\n", secret=True).strip()
    key = nacl.public.PrivateKey(private.encode(), nacl.encoding.Base64Encoder)
    return key.public_key.encode(nacl.encoding.Base64Encoder).decode()


def generate() -> str:
    """A new private key. Raises NodeError where nothing can make one."""
    try:
        import nacl.encoding
        import nacl.public
    except ImportError:
        return run(["wg", "genkey"]).strip()
    return nacl.public.PrivateKey.generate().encode(nacl.encoding.Base64Encoder).decode()
