"""A proposal as the text of a mesh file, as short as a person would write it."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from ..meshfile.mesh import DEFAULT_INTERFACE, DEFAULT_KEEPALIVE, DEFAULT_PORT
from .links import Links
from .settings import Entry, Settings

Values = dict[str, Any]

# What needs no quotes in YAML, and is no other word there for true, false or null.
_PLAIN = re.compile(
    r"(?!(?:y|n|yes|no|on|off|true|false|null|none)$)[A-Za-z_][A-Za-z0-9_.-]*|\d+\.\d+\.\d+\.\d+(?:/\d+)?", re.I
)

# From so many entries on, a glob is shorter. What it may say; the rest is one node's own.
_FEW = 3
_SHARED = ("groups", "site", "endpoint", "port", "mtu")


def mesh_text(
    networks: Iterable[tuple[str, Settings, Links]], minions: Collection[str], comments: Iterable[str]
) -> str:
    """
    :param networks: name, settings and links of each
    :param minions: all that are known: a glob must match no other
    """
    lines = [f"# {comment}".rstrip() for comment in comments]
    lines.append("networks:")
    for name, settings, links in networks:
        lines += _network(name, settings, links, minions)
    return "\n".join(lines) + "\n"


def _network(name: str, settings: Settings, links: Links, minions: Collection[str]) -> Iterator[str]:
    yield f"  {_scalar(name)}:"
    defaults = {"interface": DEFAULT_INTERFACE, "port": DEFAULT_PORT, "mtu": None, "keepalive": DEFAULT_KEEPALIVE}
    for key, default in defaults.items():
        if getattr(settings, key) != default:
            yield f"    {key}: {_value(getattr(settings, key))}"
    yield f"    subnets: {_value([str(each) for each in settings.subnets])}"
    yield "    nodes:"
    entries = {node: _entry(each, links.groups.get(node)) for node, each in settings.nodes.items()}
    for node, values in {**_globs(entries, minions), **entries}.items():
        yield f"      {_scalar(node)}: {_value(values)}"
    if settings.peers:
        yield "    peers:"
        for peer, each in settings.peers.items():
            yield f"      {_scalar(peer)}: {_value(_entry(each, links.groups.get(peer)))}"
    if links.links is not None:
        yield f"    links: {_value([list(each) for each in links.links])}"


def _entry(entry: Entry, group: str | None) -> Values:
    is_peer = entry.public_key is not None
    values: Values = {
        "public_key": entry.public_key,
        "addresses": [str(each) for each in entry.addresses],
        "endpoint": entry.endpoint or (None if is_peer else False),
        "endpoints": dict(entry.endpoints),
        "site": entry.site,
        "port": entry.port,
        "mtu": entry.mtu,
        "groups": [group] if group else None,
        "hub": entry.hub or None,
        "routes": [str(each) for each in entry.routes],
        "priority": entry.priority or None,
        "exit": entry.exit or None,
        "via": entry.via,
    }
    return {name: value for name, value in values.items() if value not in (None, [], {})}


def _globs(entries: Mapping[str, Values], minions: Collection[str]) -> dict[str, Values]:
    """
    Globs for what nodes of one stem have in common, which the entries lose. None is so wide that another minion, one
    without a number at its end as the others have, would match.
    """
    stems: dict[str, list[str]] = {}
    for node in entries:
        stem = re.sub(r"\d+$", "", node)
        if stem != node and stem:
            stems.setdefault(stem, []).append(node)
    globs: dict[str, Values] = {}
    for stem, nodes in sorted(stems.items()):
        glob = f"{stem}*"
        matched = {each for each in (*minions, *entries) if fnmatchcase(each, glob)}
        common = {
            key: entries[nodes[0]][key]
            for key in _SHARED
            if key in entries[nodes[0]] and all(entries[node].get(key) == entries[nodes[0]][key] for node in nodes)
            if not (key == "endpoint" and entries[nodes[0]][key] is not False)
        }
        if len(nodes) >= _FEW and matched == set(nodes) and common:
            globs[glob] = common
            for node in nodes:
                for key in common:
                    del entries[node][key]
    return globs


def _value(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_scalar(name)}: {_value(each)}" for name, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_value(each) for each in value) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int) else _scalar(str(value))


def _scalar(text: str) -> str:
    """In quotes unless YAML reads it as the same text without them."""
    return text if _PLAIN.fullmatch(text) else json.dumps(text)
