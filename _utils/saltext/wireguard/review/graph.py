"""
A mesh as a Mermaid flowchart, which forges and many editors draw.

Nodes are boxes, hubs and exit nodes hexagons, external peers rounded; those of one site are in a frame. An arrow leads
to who can be reached, and a plain line joins two of which each can reach the other. A dotted line is a link for which
nobody has an endpoint.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from ..meshfile.mesh import Mesh, Network
from ..meshfile.patterns import WILDCARD, Kind, kind_of
from .context import Context, Known

# Stands in the name of a node for the wildcards of the glob that it is drawn for. No minion has such an id.
_OF_GLOB = re.compile(r"…(\d+)…")

# Characters that Mermaid does not take for its own.
_PLAIN = " -./:@_,*?[]"


def graph(mesh: Mesh, now: float, known: Known | None = None) -> str:
    """
    All networks. With what a master knows, the members; without, a box for each entry of ``nodes``. That of a glob has
    a line to itself if the nodes which it matches are linked with each other.

    :param now: Unix seconds
    """
    networks = mesh.networks if known else tuple(_with_globs(network) for network in mesh.networks)
    drawn = replace(mesh, networks=networks)
    lines = [
        line for number, network in enumerate(networks) for line in _network(f"n{number}", network, drawn, now, known)
    ]
    return "\n".join(["flowchart LR", *(f"  {line}" for line in lines)])


def _with_globs(network: Network) -> Network:
    """With a node for each glob, which it and the more general ones match."""
    drawn = [
        replace(entry, pattern=_sample(entry.pattern, f"…{number}…"))
        for number, entry in enumerate(network.nodes)
        if entry.is_pattern
    ]
    return replace(network, nodes=(*network.nodes, *drawn))


def _sample(pattern: str, name: str) -> str:
    """An id that a pattern would match, if it is a glob; of others, only the name."""
    return WILDCARD.sub(name, pattern) if kind_of(pattern) is Kind.GLOB else name


def _network(prefix: str, network: Network, mesh: Mesh, now: float, known: Known | None) -> Iterator[str]:
    context = Context(network, mesh, now, known, None)
    ids = {name: f"{prefix}_{number}" for number, name in enumerate(sorted(context.participants))}
    yield f'subgraph {prefix}["{_text(network.name)} {_text(", ".join(map(str, network.subnets)))}"]'
    sites: dict[str | None, list[str]] = {}
    for name in ids:
        sites.setdefault(context.participants[name].settings.site, []).append(name)
    for number, (site, names) in enumerate(sorted(sites.items(), key=lambda each: each[0] or "")):
        boxes = [_box(ids[name], name, context) for name in names]
        if site is None:
            yield from (f"  {box}" for box in boxes)
        else:
            yield f'  subgraph {prefix}_site{number}["{_text(site)}"]'
            yield from (f"    {box}" for box in boxes)
            yield "  end"
    yield from (f"  {line}" for line in _lines(ids, context))
    yield "end"


def _box(ident: str, name: str, context: Context) -> str:
    settings = context.participants[name].settings
    roles = [role for role, has in (("hub", settings.hub), ("exit", settings.exit)) if has]
    written = _glob(name, context) or name
    text = "<br>".join(_text(part) for part in (written, *roles, *map(str, settings.routes)))
    opening, closing = ("{{", "}}") if roles else ("(", ")") if name in context.peers else ("[", "]")
    return f'{ident}{opening}"{text}"{closing}'


def _glob(name: str, context: Context) -> str | None:
    """The glob that this node stands for, if it does."""
    number = _OF_GLOB.search(name)
    return context.network.nodes[int(number[1])].pattern if number else None


def _lines(ids: dict[str, str], context: Context) -> Iterator[str]:
    reached = {(name, peer.name): peer.endpoint is not None for name in ids for peer in context.topology.peers(name)}
    for one, other in sorted(reached):
        there, back = reached[one, other], reached.get((other, one), False)
        if there and not back:
            yield f"{ids[one]} --> {ids[other]}"
        elif there == back and one < other:
            yield f"{ids[one]} {'---' if there else '-.-'} {ids[other]}"
    yield from (
        f"{ids[name]} --- {ids[name]}" for name in ids if _glob(name, context) and name in context.topology.linked(name)
    )


def _text(text: str) -> str:
    return "".join(char if char.isalnum() or char in _PLAIN else f"#{ord(char)};" for char in text)
