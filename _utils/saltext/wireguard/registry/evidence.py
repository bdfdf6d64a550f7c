"""Signed statements, verified against the *accepted* Salt key of their author (RSA, PKCS #1 v1.5, SHA-256)."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any, TypeVar

from ..errors import RefusedError
from ..model.statements import Reached, Registration, Report, Rotation, short_text
from .salt_keys import AcceptedKey

MAX_STATEMENT = 8192
MAX_SIGNATURE = 2048

# Of all keys that Salt makes. A minion may bring one with a larger exponent, for which checking takes 50 times as long.
SALTS_EXPONENT = 65537


Statement = TypeVar("Statement", Registration, Report, Rotation, Reached)


def signed_part(event: object) -> object:
    """The signed statement in an event of ``event.send``, None if there is none."""
    data = event.get("data") if isinstance(event, Mapping) else None
    return data.get("signed") if isinstance(data, Mapping) else None


def claimed(signed: object) -> tuple[str, str]:
    """
    The node and network that a statement claims to be about, for texts of refusals only. They prove nothing.

    Anything but printable text of a sensible length becomes "?".
    """
    try:
        data = _parse(_part(signed, "statement", MAX_STATEMENT))
        return short_text(data, "node"), short_text(data, "network")
    except RefusedError:
        return "?", "?"


def verify(signed: object, kind: type[Statement], accepted: Mapping[str, AcceptedKey]) -> tuple[Statement, AcceptedKey]:
    """
    The statement and the key that proves it.

    Raises RefusedError when the shape is wrong, the author is no accepted minion, or the signature does not verify
    against the author's accepted key.
    """
    text = _part(signed, "statement", MAX_STATEMENT)
    signature = _signature(_part(signed, "signature", MAX_SIGNATURE))
    data = _parse(text)
    if data.pop("kind", None) != kind.KIND:
        raise RefusedError(f"it is not a statement of the kind {kind.KIND}")
    node = short_text(data, "node")
    key = accepted.get(node)
    if key is None:
        raise RefusedError(f"{node} is not an accepted minion", "stranger")
    _check_signature(text, signature, node, key)
    return kind.from_dict(data), key


def _check_signature(text: str, signature: bytes, node: str, key: AcceptedKey) -> None:
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import padding, rsa

    try:
        public = serialization.load_pem_public_key(key.pem)
    except (ValueError, UnsupportedAlgorithm) as exc:
        raise RefusedError(f"the accepted Salt key of {node} is not readable", "signature") from exc
    if not isinstance(public, rsa.RSAPublicKey):
        raise RefusedError(f"the accepted Salt key of {node} is not an RSA key", "signature")
    if public.public_numbers().e > SALTS_EXPONENT:
        raise RefusedError(f"the accepted Salt key of {node} has an exponent that is none of Salt's", "signature")
    try:
        public.verify(signature, text.encode(), padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature as exc:
        raise RefusedError(f"its signature was not made with the accepted Salt key of {node}", "signature") from exc


def _part(signed: object, name: str, limit: int) -> str:
    value = signed.get(name) if isinstance(signed, Mapping) else None
    if not isinstance(value, str) or not 0 < len(value) <= limit or not value.isascii():
        raise RefusedError(f"it has no proper {name}")
    return value


def _signature(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise RefusedError("its signature is not base64") from exc


def _parse(text: str) -> dict[str, Any]:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise RefusedError("its statement is not JSON") from exc
    if not isinstance(data, dict):
        raise RefusedError("its statement is not a JSON object")
    return data
