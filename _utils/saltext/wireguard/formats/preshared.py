"""Preshared keys in our configuration files, of wg-quick and systemd-networkd."""

from __future__ import annotations

import re
from collections.abc import Mapping


def is_in(text: str) -> bool:
    """Whether one of our configuration files contains preshared keys."""
    return bool(_PRESHARED.search(text))


def rewrite(text: str, keys: Mapping[str, str]) -> str:
    """
    Return one of our configuration files with other preshared keys.

    :param keys: public key of a peer to its preshared key; other peers keep theirs
    """

    def new_key(match: re.Match[str]) -> str:
        return match["before"] + keys.get(match["public_key"], match["preshared_key"])

    return _PRESHARED.sub(new_key, text)


_PRESHARED = re.compile(
    r"^(?P<before>PublicKey ?= ?(?P<public_key>\S+)\nPresharedKey ?= ?)(?P<preshared_key>\S+)$", re.MULTILINE
)
