"""
What a node says of itself, signed with its Salt key: its registration, its next key, and what it has applied.

Salt does not tell the receiver of an event which minion sent it, so an event's own words are worth nothing. A statement
here is text that carries its kind, version and author, with a signature that the author's *accepted* Salt key verifies
(RSA, PKCS #1 v1.5, SHA-256). Serials only grow, so that an old statement cannot be played again.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, TypeVar

from .accepted import AcceptedKey
from .errors import KeyFormatError, RefusedError
from .keys import parse_public_key

# The tags of the events in which nodes send their signed statements: {"signed": {"statement": .., "signature": ..}}
REGISTER_TAG = "wireguard/register"
REPORT_TAG = "wireguard/report"

# The digest that a node reports for a network that it has taken down.
ABSENT = "absent"

# The digest that a node reports when it took a change back: of its last good state, it knows no digest.
UNKNOWN = "unknown"

MAX_STATEMENT = 8192
MAX_SIGNATURE = 2048
MAX_ENDPOINTS = 16
MAX_TEXT = 253
MAX_SERIAL = 2**63 - 1

_THIS_NETWORK = ipaddress.ip_network("0.0.0.0/8")


@dataclass(frozen=True)
class Registration:
    """
    "This is my public key in this network, and here I can be reached."

    ``endpoints`` are IP addresses without port, best first; ``port`` is the listen port; ``serial`` is larger than any
    that this node used before (nanoseconds since 1970, as a rule). ``boot`` names the boot of the machine that speaks,
    by which two machines with one Salt key give themselves away; empty where the system has no such name.
    """

    KIND: ClassVar[str] = "saltext-wireguard/registration/1"
    node: str
    network: str
    public_key: str
    endpoints: tuple[str, ...]
    port: int
    serial: int
    boot: str = ""

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Registration:
        """Check every field. Raises RefusedError."""
        return cls(
            node=_text(data, "node"),
            network=_text(data, "network"),
            public_key=_key(data),
            endpoints=_addresses(data),
            port=_number(data, "port", 65535),
            serial=_number(data, "serial", MAX_SERIAL),
            boot=_boot(data),
        )


@dataclass(frozen=True)
class Rollback:
    """
    That a node tried to apply a view, and took it back: ``tried`` is the digest of that view, ``why`` a sentence, and
    ``at`` the time, in Unix seconds.
    """

    tried: str
    why: str
    at: int

    @classmethod
    def from_dict(cls, data: object) -> Rollback:
        """Check every field. Raises RefusedError."""
        if not isinstance(data, dict):
            raise RefusedError("its rollback is not a JSON object")
        return cls(_text(data, "tried"), _text(data, "why"), _number(data, "at", MAX_SERIAL))


@dataclass(frozen=True)
class Report:
    """
    "My device is what the view with this digest says", read back from the device after applying it.

    ``rollback`` is there while the node remembers a change that it took back: since its last report of a success.
    """

    KIND: ClassVar[str] = "saltext-wireguard/report/1"
    node: str
    network: str
    digest: str
    serial: int
    boot: str = ""
    rollback: Rollback | None = None

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Report:
        """Check every field. Raises RefusedError."""
        return cls(
            node=_text(data, "node"),
            network=_text(data, "network"),
            digest=_text(data, "digest"),
            serial=_number(data, "serial", MAX_SERIAL),
            boot=_boot(data),
            rollback=Rollback.from_dict(data["rollback"]) if data.get("rollback") else None,
        )


@dataclass(frozen=True)
class Rotation:
    """
    "My public key in this network is this one, and soon it will be that one": an announcement, see ``rotation``.

    ``serial`` grows together with those of the node's registrations and reports.
    """

    KIND: ClassVar[str] = "saltext-wireguard/rotation/1"
    node: str
    network: str
    public_key: str
    next_key: str
    serial: int

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Rotation:
        """Check every field. Raises RefusedError."""
        public_key, next_key = _key(data), _key(data, "next_key")
        if public_key == next_key:
            raise RefusedError("its next_key is its public_key")
        return cls(
            node=_text(data, "node"),
            network=_text(data, "network"),
            public_key=public_key,
            next_key=next_key,
            serial=_number(data, "serial", MAX_SERIAL),
        )


Statement = TypeVar("Statement", Registration, Report, Rotation)


def sign(
    statement: Registration | Report | Rotation, private_key_pem: bytes, passphrase: bytes | None = None
) -> dict[str, str]:
    """
    Sign with the minion's Salt key. Returns ``{"statement": text, "signature": base64}``.

    Raises TypeError or ValueError for a key that is not usable. Whether its numbers are a good RSA key is not checked
    as it is loaded, which takes 50 ms, but by what it signed, which takes 0.1 ms: it is the minion's own.
    """
    text = json.dumps({"kind": statement.KIND, **asdict(statement)}, sort_keys=True)
    # Not at the top: a host that runs without a minion has nothing to sign, and often no such library.
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import padding, rsa

    key = serialization.load_pem_private_key(private_key_pem, passphrase or None, unsafe_skip_rsa_key_validation=True)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise TypeError("a Salt minion's key is an RSA key")
    signature = key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())
    try:
        key.public_key().verify(signature, text.encode(), padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        raise ValueError("the minion's Salt key is damaged: what it signs does not verify") from None
    return {"statement": text, "signature": base64.b64encode(signature).decode()}


def claimed(signed: object) -> tuple[str, str]:
    """
    The node and network that a statement claims to be about, for a refusal's text only. Never evidence.

    Anything that is not printable text of a sensible length comes back as "?".
    """
    try:
        data = _parse(_part(signed, "statement", MAX_STATEMENT))
        return _text(data, "node"), _text(data, "network")
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
    node = _text(data, "node")
    key = accepted.get(node)
    if key is None:
        raise RefusedError(f"{node} is not an accepted minion")
    _check_signature(text, signature, node, key)
    return kind.from_dict(data), key


def _check_signature(text: str, signature: bytes, node: str, key: AcceptedKey) -> None:
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import padding, rsa

    try:
        public = serialization.load_pem_public_key(key.pem)
    except (ValueError, UnsupportedAlgorithm) as exc:
        raise RefusedError(f"the accepted Salt key of {node} is not readable") from exc
    if not isinstance(public, rsa.RSAPublicKey):
        raise RefusedError(f"the accepted Salt key of {node} is not an RSA key")
    try:
        public.verify(signature, text.encode(), padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature as exc:
        raise RefusedError(f"its signature was not made with the accepted Salt key of {node}") from exc


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


def _text(data: dict[str, Any], name: str) -> str:
    value = data.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= MAX_TEXT or not value.isprintable():
        raise RefusedError(f"its {name} is not a short printable text")
    return value


def _boot(data: dict[str, Any]) -> str:
    return _text(data, "boot") if data.get("boot") else ""


def _number(data: dict[str, Any], name: str, high: int) -> int:
    value = data.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= high:
        raise RefusedError(f"its {name} is not a whole number from 1 to {high}")
    return value


def _key(data: dict[str, Any], name: str = "public_key") -> str:
    try:
        return parse_public_key(_text(data, name))
    except KeyFormatError as exc:
        raise RefusedError(f"its {name} is unusable: {exc}") from exc


def _addresses(data: dict[str, Any]) -> tuple[str, ...]:
    values = data.get("endpoints")
    if not isinstance(values, list) or len(values) > MAX_ENDPOINTS:
        raise RefusedError(f"its endpoints are not a list of at most {MAX_ENDPOINTS} IP addresses")
    return tuple(_address(value) for value in values)


def is_callable(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Whether another machine can call this address at all, wherever the two stand."""
    if isinstance(address, ipaddress.IPv6Address):
        special = address.scope_id is not None or address.ipv4_mapped is not None
    else:
        special = address.is_reserved or address in _THIS_NETWORK
    return not (
        special or address.is_loopback or address.is_multicast or address.is_unspecified or address.is_link_local
    )


def _address(value: object) -> str:
    try:
        address = ipaddress.ip_address(value) if isinstance(value, str) else None
    except ValueError:
        address = None
    if address is None:
        raise RefusedError("one of its endpoints is not an IP address")
    if not is_callable(address):
        raise RefusedError(f"its endpoint {address} cannot be called from another machine")
    return str(address)
