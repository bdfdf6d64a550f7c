"""
Reads untrusted data field by field. Each field is converted, or an error says what is wrong with it.

A converter accepts any value, and raises ValueError or KeyFormatError.
"""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeVar

from ..errors import KeyFormatError, WireguardError
from ..wording import one_line, quoted
from .addresses import can_be_endpoint
from .endpoint import Endpoint
from .keys import parse_preshared_key, parse_public_key
from .names import is_interface

T = TypeVar("T")

MAX_TEXT = 253


class Fields:
    """
    The fields of one mapping.

    :param of: the beginning of an error, before the name of the field
    :param error: the class of errors, also of one for data that is no mapping
    :param known: all possible fields; None allows any others
    """

    def __init__(
        self, data: object, of: str, error: type[WireguardError], known: Collection[str] | None = None
    ) -> None:
        self._of = of
        self._error = error
        try:
            self._data = mapping(data)
        except ValueError as exc:
            raise error(f"{of.rstrip(': ')}: {exc}") from exc
        unknown = [] if known is None else sorted(self._data.keys() - {*known})
        if unknown and known is not None:
            raise error(f"{of}unknown key {quoted(unknown[0])}; the known keys are {', '.join(sorted(known))}")

    def get(self, name: str, convert: Callable[[object], T], *default: Any) -> T:
        """The converted field; the default if it is missing or null."""
        value = self._data.get(name)
        if value is None:
            if default:
                return default[0]  # type: ignore[no-any-return]
            raise self._error(f"{self._of}{name!r} is missing")
        try:
            return convert(value)
        except (ValueError, KeyFormatError) as exc:
            raise self._error(f"{self._of}{name}: {exc}") from exc

    def failure(self) -> str | None:
        """Why a node cannot say anything, if ``result`` is false, as one line; None where it can."""
        if self.get("result", boolean, None) is not False:
            return None
        return one_line(self.get("comment", text, None)) or "it gave no reason"


# -- converters


def mapping(value: object) -> Mapping[str, Any]:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise ValueError(f"must be a mapping, not {quoted(value)}")
    return value


def list_of(convert: Callable[[object], T], most: int | None = None) -> Callable[[object], list[T]]:
    def convert_all(value: object) -> list[T]:
        if not isinstance(value, list | tuple):
            raise ValueError(f"must be a list, not {quoted(value)}")
        if most is not None and len(value) > most:
            raise ValueError(f"must be a list of at most {most}")
        return [convert(item) for item in value]

    return convert_all


def boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"must be true or false, not {quoted(value)}")
    return value


def integer(low: int, high: int) -> Callable[[object], int]:
    def convert(value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise ValueError(f"must be a whole number from {low} to {high}")
        return value

    return convert


def seconds(value: object) -> float:
    """A moment or a duration."""
    if isinstance(value, bool) or not isinstance(value, float | int) or not 0 <= value < math.inf:
        raise ValueError("must be a number of seconds")
    return float(value)


def text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"must be text, not {quoted(value)}")
    return value


def short_text(value: object) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= MAX_TEXT or not value.isprintable():
        raise ValueError("must be a short printable text")
    return value


def interface(value: object) -> str:
    name = text(value)
    if not is_interface(name):
        raise ValueError(f"{quoted(name)} is no interface name: 1 to 15 letters, digits and _=+.-, such as wg0")
    return name


def interface_address(value: object) -> str:
    return str(_ip(ipaddress.ip_interface, value, "an address with prefix length"))


def address(value: object) -> str:
    return str(_ip(ipaddress.ip_address, value, "an IP address"))


def network(value: object) -> str:
    return str(_ip(ipaddress.ip_network, value, "a network in CIDR notation, with no host bits set"))


def _ip(parse: Callable[[str], T], value: object, what: str) -> T:
    given = _without_zone(value)
    try:
        return parse(given)
    except ValueError:
        raise ValueError(f"{quoted(given)} is not {what}") from None


def _without_zone(value: object) -> str:
    """Python accepts any text as the zone of an IPv6 address, even line breaks."""
    given = text(value)
    if "%" in given:
        raise ValueError(f"{quoted(given)} has a zone: write the address without '%'")
    return given


def endpoint(value: object) -> str:
    """With a port."""
    parsed = Endpoint.parse(text(value))
    if parsed.port is None:
        raise ValueError(f"{quoted(value)} has no port: write {parsed.with_port(51820)}, for example")
    return str(parsed)


def endpoint_address(value: object) -> str:
    """An address without port that a node offers as an endpoint."""
    offered = ipaddress.ip_address(address(value))
    if not can_be_endpoint(offered):
        raise ValueError(f"{offered} cannot be reached from another machine")
    return str(offered)


def public_key(value: object) -> str:
    return parse_public_key(text(value))


def preshared_keys(value: object) -> dict[str, str]:
    if not isinstance(value, Mapping):  # not quoted, as it may be a secret
        raise ValueError("must be a mapping from public keys to preshared keys")
    return {public_key(key): parse_preshared_key(secret) for key, secret in value.items()}
