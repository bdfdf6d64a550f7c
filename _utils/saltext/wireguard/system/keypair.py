"""WireGuard key pairs, by PyNaCl or ``wg``."""

from __future__ import annotations

from .commands import run


def public_of(private: str) -> str:
    """
    The public key of a private key, which ``wg pubkey`` gets by standard input. Raises NodeError where neither PyNaCl
    nor ``wg`` is installed.
    """
    try:
        import nacl.encoding
        import nacl.public
    except ImportError:
        return run(["wg", "pubkey"], stdin=private + "\n", secret=True).strip()
    key = nacl.public.PrivateKey(private.encode(), nacl.encoding.Base64Encoder)
    return key.public_key.encode(nacl.encoding.Base64Encoder).decode()


def generate() -> str:
    """A new private key. Raises NodeError as ``public_of`` does."""
    try:
        import nacl.encoding
        import nacl.public
    except ImportError:
        return run(["wg", "genkey"]).strip()
    return nacl.public.PrivateKey.generate().encode(nacl.encoding.Base64Encoder).decode()
