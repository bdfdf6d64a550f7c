"""
Preshared keys: one for each pair, derived from one secret of the master and the two public keys.

So nothing is stored for a pair, both ends get the same key, and a node with a new key gets new preshared keys.

During a rotation, a node needs the preshared keys of its next key at the moment of the switch. It gets them in advance
(``with_secrets``), so that both ends agree at any moment, whether or not they know of the switch.

Pure. Secrets and preshared keys are in no ``repr`` and in no message.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache

from .peer import Peer
from .view import View

# The least number of characters of a secret.
SHORTEST_SECRET = 32

_PAIR = b"saltext-wireguard preshared key 1\n"
_NAME = b"saltext-wireguard name of the secret 1\n"


@dataclass(frozen=True)
class Secret:
    """The source of all preshared keys. ``name`` identifies the secret, and is public."""

    text: str = field(repr=False)

    @property
    def name(self) -> str:
        return self._mac(_NAME).hex()[:16]

    def key(self, one: str, other: str) -> str:
        """The preshared key of a pair of public keys, in whichever order: 44 characters of base64."""
        return base64.b64encode(self._mac(_PAIR + "\n".join(sorted((one, other))).encode())).decode()

    def _mac(self, message: bytes) -> bytes:
        return hmac.digest(self.text.encode(), message, hashlib.sha256)


@lru_cache(maxsize=8)
def secret(text: str) -> Secret:
    """The same object for the same text, so that a fleet made with it can be reused."""
    return Secret(text)


def new_secret() -> str:
    """The text of a new secret."""
    return base64.b64encode(secrets.token_bytes(32)).decode()


def with_secrets(view: View, secret: Secret, next_key: str | None) -> View:
    """
    Return the view of a registered node with the preshared keys that it has with its peers.

    :param next_key: the public key that the node itself has announced
    """
    own = str(view.public_key)
    pairs = [peer for peer in view.peers if peer.preshared]
    keys = [key for peer in pairs for key in (peer.public_key, peer.next_key) if key]
    return replace(
        view,
        peers=tuple(_with_secrets(peer, own, secret) if peer.preshared else peer for peer in view.peers),
        next_preshared_keys={key: secret.key(next_key, key) for key in keys} if next_key else {},
    )


def _with_secrets(peer: Peer, own: str, secret: Secret) -> Peer:
    return replace(
        peer,
        preshared_key=secret.key(own, peer.public_key),
        next_preshared_key=secret.key(own, peer.next_key) if peer.next_key else None,
    )


def known(view: View, own_key: str) -> Mapping[str, str]:
    """
    Return public key of a peer to its preshared key with ``own_key``, which is this node's registered or announced key;
    empty if the view does not have them.
    """
    if own_key != view.public_key:
        return view.next_preshared_keys
    pairs = [
        pair
        for peer in view.peers
        for pair in ((peer.public_key, peer.preshared_key), (peer.next_key, peer.next_preshared_key))
    ]
    return {public_key: preshared_key for public_key, preshared_key in pairs if public_key and preshared_key}
