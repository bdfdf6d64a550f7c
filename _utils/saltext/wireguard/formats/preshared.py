"""Preshared keys in configuration files of ours."""

from __future__ import annotations

import re
from collections.abc import Mapping

# -- in files


def is_in(text: str) -> bool:
    """Whether a configuration of ours has preshared keys in it."""
    return bool(_PRESHARED.search(text))


def rewrite(text: str, keys: Mapping[str, str]) -> str:
    """
    Return a configuration of ours, of wg-quick or systemd-networkd, with other preshared keys.

    :param keys: public key of a peer to its preshared key; what is not there stays as it is
    """

    def other(found: re.Match[str]) -> str:
        return found["before"] + keys.get(found["public_key"], found["preshared_key"])

    return _PRESHARED.sub(other, text)


_PRESHARED = re.compile(
    r"^(?P<before>PublicKey ?= ?(?P<public_key>\S+)\nPresharedKey ?= ?)(?P<preshared_key>\S+)$", re.MULTILINE
)
