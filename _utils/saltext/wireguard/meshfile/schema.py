"""Keys of a mesh file by the type of their values, with their JSON Schema."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..model.offers import DEVICE
from .reading import Key, Schema
from .scalars import NAME, is_false, read_boolean, read_choice, read_duration, read_number
from .values import SUBNET, read_mtu
from .yamltree import Scalar

NEVER = "never"


def whole(key: str, low: int, high: int, default: str, unit: str = "number") -> Key:
    schema = {"type": "integer", "minimum": low, "maximum": high}
    return Key(lambda _, value: read_number(value, key, low, high), f"{unit}, {low} to {high}", schema, default)


def mtu_key(default: str) -> Key:
    schema = {"type": "integer", "minimum": 576, "maximum": 65535}
    return Key(read_mtu, "number, 576 to 65535 (from 1280 with an IPv6 subnet)", schema, default)


def switch(key: str) -> Key:
    return Key(lambda _, value: read_boolean(value, key), "`true` or `false`", {"type": "boolean"}, "`false`")


def choice(key: str, words: Sequence[str], default: str) -> Key:
    """A choice of words that YAML takes for text."""
    schema = {"enum": list(words)}
    return Key(
        lambda _, value: read_choice(value, key, words), " or ".join(f"`{word}`" for word in words), schema, default
    )


def choice_or_off(key: str, words: Sequence[str]) -> Key:
    """YAML takes ``off`` for the truth value false."""
    chosen = choice(key, [*words, "off"], "`off`")
    schema = {"enum": [*words, "off", False]}
    return Key(
        lambda scope, value: "off" if is_false(value) else chosen.read(scope, value),
        chosen.type,
        schema,
        chosen.default,
    )


def period(key: str, least: str, default: str) -> Key:
    words = f"duration from `{least}` to `36500d`: a whole number and `s`, `m`, `h`, `d` or `w`"
    schema = {"type": "string", "pattern": "^[1-9][0-9]*[smhdw]$"}
    return Key(lambda _, value: read_duration(value, key, least), words, schema, default)


def period_or_never(key: str, least: str, default: str) -> Key:
    """None for never."""
    timed = period(key, least, default)
    return Key(
        lambda scope, value: None if isinstance(value, Scalar) and value.text == NEVER else timed.read(scope, value),
        f"{timed.type}, or `{NEVER}`",
        {"anyOf": [timed.schema, {"const": NEVER}]},
        default,
    )


def matching(pattern: re.Pattern[str]) -> Schema:
    """Editors use JavaScript's regular expressions, which have other named groups."""
    return {"type": "string", "pattern": re.sub(r"\(\?P<\w+>", "(?:", f"^(?:{pattern.pattern})$")}


def many(items: Schema) -> Schema:
    return {"type": "array", "items": items, "minItems": 1}


def by_name(values: Schema) -> Schema:
    return {"type": "object", "propertyNames": NAMED, "additionalProperties": values}


NAMED = matching(NAME)
SUBNETS = many(matching(SUBNET))
ADDRESSES = many({"type": "string", "pattern": "^[0-9A-Fa-f.:]+$"})
HOST: Schema = {"type": "string", "pattern": r"^[A-Za-z0-9_:\[][A-Za-z0-9_.:\[\]-]*$"}
ENDPOINT: Schema = {"anyOf": [HOST, many(HOST), {"const": False}]}
ENDPOINTS = "`host`, `host:port`, `[IPv6]:port`, a list of these, or `false`"
NODE_ENDPOINTS = "`host`, `host:port`, `[IPv6]:port`, a list of these, `:port`, or `false`"
EXIT: Schema = {"type": "string", "pattern": r"^[^\s/*?\[\]-][^\s/*?\[\]]*$"}
VIA: Schema = {"anyOf": [EXIT, many(EXIT), {"const": False}]}
VIA_TEXT = "minion id, a list of these, or `false`"
DNS = many({"type": "string", "pattern": "^[A-Za-z0-9_:][A-Za-z0-9_.:-]{0,252}$"})
DNS_TEXT = "list of addresses and domain names"
OFFERS = many({"type": "string", "pattern": rf"^(?:{SUBNET.pattern}|{DEVICE.pattern})$"})
OFFERS_TEXT = "list of networks in CIDR notation, interfaces, and globs of interfaces"
CIDR = "list of networks in CIDR notation"
BARE = "list of addresses without prefix length"
PUBLIC_KEY: Schema = {"type": "string", "pattern": "^[A-Za-z0-9+/]{43}=$"}
PUBLIC_KEY_TEXT = "what `wg pubkey` prints"
