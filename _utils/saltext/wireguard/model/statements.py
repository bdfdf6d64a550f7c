"""
A node's statements, signed with its Salt key: its registration, its next key, what it has applied, whom it reaches.

Salt does not reveal to the receiver of an event which minion sent it, so the content of an event proves nothing. A
statement is a text with its kind, version and author. Serials only grow, so that an old statement cannot be replayed.
The master verifies statements in ``registry.evidence``.
"""

from __future__ import annotations

import base64
import json
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from ..errors import RefusedError
from . import fields
from .fields import Fields

# The tags of the events in which nodes send their signed statements: {"signed": {"statement": .., "signature": ..}}
REGISTER_TAG = "wireguard/register"
REPORT_TAG = "wireguard/report"

# Where a node's answer to a question about its peers has its statements. No event has them.
REACHED = "wireguard/reached"

# The digest that a node reports for a network that it has taken down.
ABSENT = "absent"

# The digest that a node reports after a rollback, because it has no digest of its last good state.
UNKNOWN = "unknown"

# The digest that a node reports if its device is gone: it did not come up at boot, or somebody deleted it.
MISSING = "missing"

MAX_ENDPOINTS = 16
MAX_OBSTACLES = 10
MAX_REACHED = 10
MAX_SERIAL = 2**63 - 1

_SERIAL = fields.integer(1, MAX_SERIAL)
_SENTENCES = fields.list_of(fields.short_text, MAX_OBSTACLES)

# How far a serial or a generation, which are times, may be ahead of the clock that checks them.
MAX_AHEAD_NS = 86_400 * 10**9


@dataclass(frozen=True)
class Registration:
    """
    "This is my public key in this network, and here I can be reached."

    ``endpoints`` are IP addresses without port, best first; ``port`` is the listen port; ``serial`` is larger than any
    that this node used before (nanoseconds since 1970, as a rule). ``boot`` identifies the boot of the machine, which
    reveals two machines with one Salt key; empty if the system has no boot id.
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
        given = _fields(data)
        return cls(
            node=given.get("node", fields.short_text),
            network=given.get("network", fields.short_text),
            public_key=given.get("public_key", fields.public_key),
            endpoints=tuple(given.get("endpoints", fields.list_of(fields.endpoint_address, MAX_ENDPOINTS))),
            port=given.get("port", fields.integer(1, 65535)),
            serial=given.get("serial", _SERIAL),
            boot=given.get("boot", _boot, ""),
        )


@dataclass(frozen=True)
class Rollback:
    """
    A node's rollback of a view: ``tried`` is the digest of that view, ``why`` a sentence, and ``at`` the time in Unix
    seconds.
    """

    tried: str
    why: str
    at: int

    @classmethod
    def from_dict(cls, data: object) -> Rollback:
        """Check every field. Raises RefusedError."""
        given = Fields(data, "its rollback's ", RefusedError)
        return cls(given.get("tried", fields.short_text), given.get("why", fields.short_text), given.get("at", _SERIAL))


@dataclass(frozen=True)
class Report:
    """
    "My device is what the view with this digest says", read back from the device after applying it.

    ``rollback``: the last rollback since the node's last report of a success, if any. ``generation``: that of the
    newest view or job that the node has applied, 0 if that had none. ``obstacles``: what the node's machine cannot have
    of the view, and why, a few words each. ``drift``: what others have changed on the device or in files since.
    """

    KIND: ClassVar[str] = "saltext-wireguard/report/1"
    node: str
    network: str
    digest: str
    serial: int
    boot: str = ""
    rollback: Rollback | None = None
    generation: int = 0
    obstacles: tuple[str, ...] = ()
    drift: tuple[str, ...] = ()

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Report:
        """Check every field. Raises RefusedError."""
        given = _fields(data)
        return cls(
            node=given.get("node", fields.short_text),
            network=given.get("network", fields.short_text),
            digest=given.get("digest", fields.short_text),
            serial=given.get("serial", _SERIAL),
            boot=given.get("boot", _boot, ""),
            rollback=Rollback.from_dict(data["rollback"]) if data.get("rollback") else None,
            generation=given.get("generation", fields.integer(0, MAX_SERIAL), 0),
            obstacles=tuple(given.get("obstacles", _SENTENCES, [])),
            drift=tuple(given.get("drift", _SENTENCES, [])),
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
        given = _fields(data)
        public_key, next_key = (given.get(name, fields.public_key) for name in ("public_key", "next_key"))
        if public_key == next_key:
            raise RefusedError("its next_key is its public_key")
        return cls(
            node=given.get("node", fields.short_text),
            network=given.get("network", fields.short_text),
            public_key=public_key,
            next_key=next_key,
            serial=given.get("serial", _SERIAL),
        )


@dataclass(frozen=True)
class Reached:
    """
    "Packets came back from an address of each of these ``reached``", which are names from the ``question``. That has a
    name of its own each time, so that no answer counts twice.
    """

    KIND: ClassVar[str] = "saltext-wireguard/reached/1"
    node: str
    network: str
    question: str
    reached: tuple[str, ...]

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Reached:
        """Check every field. Raises RefusedError."""
        given = _fields(data)
        return cls(
            node=given.get("node", fields.short_text),
            network=given.get("network", fields.short_text),
            question=given.get("question", fields.short_text),
            reached=tuple(given.get("reached", fields.list_of(fields.short_text, MAX_REACHED))),
        )


def sign(
    statement: Registration | Report | Rotation | Reached, private_key_pem: bytes, passphrase: bytes | None = None
) -> dict[str, str]:
    """
    Sign with the minion's Salt key. Returns ``{"statement": text, "signature": base64}``.

    Raises TypeError or ValueError for an unusable key. The numbers of the RSA key are not checked when it is loaded,
    which takes 50 ms, but by verifying the signature, which takes 0.1 ms.
    """
    text = json.dumps({"kind": statement.KIND, **asdict(statement)}, sort_keys=True)
    # Not at the top: a host without a minion signs nothing, and often lacks this library.
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


def short_text(data: object, name: str) -> str:
    """A text field of an unchecked statement. Raises RefusedError."""
    return _fields(data).get(name, fields.short_text)


def _boot(value: object) -> str:
    return fields.short_text(value) if value else ""


def _fields(data: object) -> Fields:
    return Fields(data, "its ", RefusedError)


# With this event, a node announces that it watches for a peer's next key. It is a hint for timing, never evidence.
FOLLOWING_TAG = "wireguard/following"
