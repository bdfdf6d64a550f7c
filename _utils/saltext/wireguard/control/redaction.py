"""
Text that strangers may read: without secrets, and without names and addresses where these are not theirs to know.

The same name or address is the same word everywhere. Addresses keep what they have in common: whatever was in a network
is in what that became.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache

from ..model.addresses import Address
from ..wording import without_keys

HIDDEN = "(hidden)"

_PEM = re.compile(r"-----BEGIN [^-]*PRIVATE KEY-----.*?(?:-----END [^-]*-----|\Z)", re.DOTALL)
_KEY = re.compile(r"[A-Za-z0-9+/]{43}=")
_IPV4 = r"(?:\d{1,3}\.){3}\d{1,3}"
_IPV6 = rf"(?:[0-9A-Fa-f]{{0,4}}:){{2,7}}(?:{_IPV4}|[0-9A-Fa-f]{{0,4}})"
_ADDRESS = re.compile(rf"(?<![\w.:]){_IPV6}(?:/\d{{1,3}})?(?![\w:])|(?<![\w.]){_IPV4}(?:/\d{{1,2}})?(?!\w|\.\d)")

# Most names are looked up, as there may be thousands of them; in a pattern, each would be tried at each place.
_TOKEN = re.compile(r"[\w.@,*-]+")
_SEPARATORS = re.compile(r"(\W+)")

# Bits that everybody may know: whether an address is private, and roughly where a public one belongs.
_KEPT = [
    ipaddress.ip_network(text)
    for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
]
_KEPT_BITS = {4: 8, 6: 16}


class Redaction:
    """
    ``public_keys`` may be known, and anything else that looks like a key may not; ``secrets`` may not in any case.
    ``names``: name -> what stands for it; None leaves names, addresses and public keys as they are. ``seed``: random,
    or everybody could find out which address became which.
    """

    def __init__(
        self, public_keys: Collection[str], secrets: Iterable[str], names: Mapping[str, str] | None, seed: bytes
    ) -> None:
        self._public_keys = frozenset(public_keys)
        self._secrets = sorted(filter(None, secrets), key=len, reverse=True)
        self._names = None if names is None else {name.lower(): word for name, word in names.items()}
        self._odd = _alternatives([name for name in self._names or {} if not _TOKEN.fullmatch(name)])
        self._seed = seed
        self._keys = {key: f"key{number}" for number, key in enumerate(sorted(self._public_keys), 1)}
        self._flips = lru_cache(maxsize=None)(self._flip)

    def __call__(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        text = without_keys(_PEM.sub(HIDDEN, text), self._public_keys)
        if self._names is None:
            return text
        text = _KEY.sub(lambda found: self._keys.get(found[0], HIDDEN), text)
        text = _ADDRESS.sub(lambda found: self._mapped(found[0]), text)
        return _TOKEN.sub(
            lambda found: self._renamed(found[0]), self._odd.sub(lambda found: self._word(found[0]), text)
        )

    def _word(self, name: str) -> str:
        return (self._names or {}).get(name.lower(), "")

    def _renamed(self, token: str) -> str:
        """Of the names in it, the longest one counts: a host's name may begin with that of its minion."""
        pieces, done, start = _SEPARATORS.split(token), "", 0
        while start < len(pieces):
            ends = range(len(pieces), start, -1)
            end = next((end for end in ends if self._word("".join(pieces[start:end]))), start + 1)
            piece = "".join(pieces[start:end])
            done, start = done + (self._word(piece) or piece), end
        return done

    def _mapped(self, text: str) -> str:
        """An address, or a network."""
        try:
            interface = ipaddress.ip_interface(text)
        except ValueError:
            return text
        address, slash, length = interface.ip, *text.partition("/")[1:]
        if address.is_loopback or address.is_unspecified or address.is_link_local or address.is_multicast:
            return text
        # A network stays one: it has no bits beyond its prefix.
        is_network = bool(slash) and address == interface.network.network_address
        bits = interface.network.prefixlen if is_network else address.max_prefixlen
        return f"{self._address(address, bits)}{slash}{length}"

    def _address(self, address: Address, bits: int) -> Address:
        number, width = int(address), address.max_prefixlen
        for place in range(bits):
            if self._flips(address.version, place, int(address) >> (width - place)):
                number ^= 1 << (width - 1 - place)
        return type(address)(number)

    def _flip(self, version: int, place: int, prefix: int) -> bool:
        """Whether the bit after this prefix becomes the other one: a matter of the prefix alone."""
        if place < _KEPT_BITS[version] or any(_leads_to(version, place, prefix, kept) for kept in _KEPT):
            return False
        message = f"{version} {place} {prefix}".encode()
        return bool(hmac.digest(self._seed, message, hashlib.sha256)[0] & 1)


def _leads_to(version: int, place: int, prefix: int, kept: ipaddress.IPv4Network | ipaddress.IPv6Network) -> bool:
    """Whether the prefix is the beginning of a network that is kept, and shorter."""
    if kept.version != version or place >= kept.prefixlen:
        return False
    return int(kept.network_address) >> (kept.max_prefixlen - place) == prefix


def _alternatives(names: Collection[str]) -> re.Pattern[str]:
    """Any of them as a whole, the longer ones first; none where there are none."""
    longest_first = sorted(names, key=lambda name: (-len(name), name))
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest_first)) or '(?!)'})(?!\w)", re.IGNORECASE)


def pseudonyms(kinds: Iterable[tuple[str, Iterable[str]]]) -> dict[str, str]:
    """
    Name -> what stands for it: its kind and a number. Of several kinds, the first one counts.

    :param kinds: pairs of kind and names
    """
    words: dict[str, str] = {}
    for kind, names in kinds:
        fresh = sorted({name.lower() for name in names if name} - words.keys())
        words.update({name: f"{kind}{number}" for number, name in enumerate(fresh, 1)})
    return words


def without_comments(text: str, spans: Iterable[tuple[int, int]]) -> str:
    """A text of YAML without its comments, line for line. ``spans``: (start, end) of its words."""
    covered = sorted(spans)
    kept, last = [], 0
    for start, end in covered:
        kept.append(re.sub(r"#[^\n]*", "", text[last:start]))
        kept.append(text[start:end])
        last = max(last, end)
    return "".join([*kept, re.sub(r"#[^\n]*", "", text[last:])])
