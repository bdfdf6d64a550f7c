"""WireGuard keys as text: which are accepted, and why others are refused."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field

from ..errors import KeyFormatError
from ..wording import quoted

_P = 2**255 - 19
_HIGH_BIT = 2**255
_BASE64 = re.compile(r"[A-Za-z0-9+/]{43}=")

# 32 bytes in canonical base64: the last character but one has its two spare bits zero.
_PRIVATE_KEY = re.compile(r"[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=")

# The u coordinates of low order points, reduced modulo p: 0 and 1, the two points of order 8, and p - 1.
_LOW_ORDER = frozenset(
    {
        0,
        1,
        325606250916557431795983626356110631294008115727848805560023387167927233504,
        39382357235489614581723060781553021112529911719440698176882885853963445705823,
        _P - 1,
    }
)


@dataclass(frozen=True)
class PrivateKey:
    """
    A private key, or a placeholder for a person to replace. Neither its ``repr`` nor an f-string shows it: the code
    that writes the key uses its ``text``.
    """

    text: str = field(repr=False)

    def __post_init__(self) -> None:
        if not self.text.isprintable():
            raise KeyFormatError("a private key is one line of printable text, as `wg genkey` prints it")


def parse_public_key(text: str) -> str:
    """
    Return ``text`` if it is the canonical base64 text of a usable Curve25519 public key.

    One key must have one text, because keys are compared and kept unique as text. So the text must be what encoding
    its 32 bytes gives again (RFC 4648 section 3.5: spare bits are zero), and the bytes must be what ``wg pubkey`` can
    print: a number below p = 2^255 - 19. RFC 7748 section 5 has receivers mask the highest bit and reduce modulo p,
    which would make several texts stand for one peer.

    Low order points are refused: they make the shared secret zero for every private key (RFC 7748 section 6.1; the
    points are listed at https://cr.yp.to/ecdh.html#validate and in libsodium's ``x25519_ref10.c``), so that no
    handshake with such a peer can succeed.

    Raises KeyFormatError, whose message shows nothing that looks like a key: it may be the private one.
    """
    if not isinstance(text, str) or not _BASE64.fullmatch(text):
        raise _refused(text, "must be 44 characters of base64 that end in '=', as `wg pubkey` prints it")
    raw = base64.b64decode(text)
    if base64.b64encode(raw).decode() != text:
        raise _refused(text, "is not canonical base64: the spare bits of its last character are set; was it mistyped?")
    _check_point(text, int.from_bytes(raw, "little"))
    return text


def is_private_key(text: str) -> bool:
    """Whether a text has the form of a private key. PyNaCl passes over what is not base64."""
    return bool(_PRIVATE_KEY.fullmatch(text))


def parse_preshared_key(text: object) -> str:
    """
    Return ``text`` if it is canonical base64 of 32 bytes that are not all zero, which would stand for no preshared key.

    Raises KeyFormatError, whose message never shows the text.
    """
    if not isinstance(text, str) or not _BASE64.fullmatch(text):
        raise KeyFormatError("a preshared key is 44 characters of base64 that end in '=', as `wg genpsk` prints it")
    raw = base64.b64decode(text)
    if base64.b64encode(raw).decode() != text or not any(raw):
        raise KeyFormatError("this is no usable preshared key; make one with `wg genpsk`")
    return text


def _check_point(text: str, number: int) -> None:
    point = number & (_HIGH_BIT - 1)
    if number == 0:
        raise _refused(text, "is all zero; give the key that `wg pubkey` prints on that machine")
    if point % _P in _LOW_ORDER:
        raise _refused(text, "is a point of low order, with which no handshake can succeed; make a new key pair")
    if number >= _P:
        raise _refused(text, "is not a canonical Curve25519 key; give the key that `wg pubkey` prints on that machine")


def _refused(text: object, why: str) -> KeyFormatError:
    given = quoted(text) if isinstance(text, str) else f"of type {type(text).__name__}"
    return KeyFormatError(f"public key {given} {why}")
