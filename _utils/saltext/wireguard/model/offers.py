"""Which of its addresses the operator lets a node offer as endpoints."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_network

from ..wording import quoted
from .addresses import Address, is_address

# A name of a network interface, or a glob of such names. A network in CIDR notation has a slash.
DEVICE = re.compile(r"[A-Za-z0-9_=+.*?\[\]!@-]{1,30}")


@dataclass(frozen=True)
class Offers:
    """
    ``only``: names of interfaces, globs of these, and networks, of which a node offers its addresses; empty for those
    that are usually of use. ``never``: the same for what it does not offer.
    """

    only: tuple[str, ...] = ()
    never: tuple[str, ...] = ()

    def names(self, device: str, address: Address) -> bool:
        """Whether the operator has named this address to be offered."""
        return _is_in(self.only, device, address)

    def allow(self, device: str, address: Address) -> bool:
        """Whether an address may be offered, if it is of use."""
        return not _is_in(self.never, device, address) and (not self.only or self.names(device, address))


def _is_in(named: Iterable[str], device: str, address: Address) -> bool:
    return any(address in ip_network(each) if "/" in each else fnmatch.fnmatchcase(device, each) for each in named)


ANY = Offers()


def named(value: object) -> str:
    """One of these, a network in canonical form. Raises ValueError."""
    text = value if isinstance(value, str) else ""
    if "/" in text:
        try:
            return str(ip_network(text))
        except ValueError as exc:
            raise ValueError(f"{quoted(text)} is no network: {exc}") from None
    if not DEVICE.fullmatch(text):
        raise ValueError(f"{quoted(text)} is neither a network, such as 10.0.0.0/8, nor the name of an interface")
    if is_address(text):
        raise ValueError(f"{text} is an address; write it as a network: {ip_network(text)}")
    return text
