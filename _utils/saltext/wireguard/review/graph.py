"""A mesh as boxes and lines: who is there, at which site, and who can reach whom. Room ``report`` draws them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum

from ..meshfile.mesh import Mesh, Network
from ..meshfile.patterns import WILDCARD, Kind, kind_of
from .context import Context, Known

# Stands in the name of a node for the wildcards of the glob that it is drawn for. No minion has such an id.
_OF_GLOB = re.compile(r"…(\d+)…")


@dataclass(frozen=True)
class Box:
    """
    A node, an external peer (``is_peer``), or all nodes that a glob matches. ``text``: its name, or the glob.
    ``routes``: the networks behind it.
    """

    name: str
    text: str
    site: str | None = None
    hub: bool = False
    exit: bool = False
    is_peer: bool = False
    routes: tuple[str, ...] = ()

    @property
    def roles(self) -> list[str]:
        """What it is for the others."""
        return [role for role, has in (("hub", self.hub), ("exit", self.exit)) if has]


class Reach(Enum):
    """Who of two peers can reach whom: both, only the first one the second one, or neither."""

    BOTH = "both"
    ONE_WAY = "one way"
    NEITHER = "neither"


@dataclass(frozen=True)
class Line:
    """Two peers, by their names; ``one`` reaches ``other`` if only one can. A glob has a line to itself."""

    one: str
    other: str
    reach: Reach


@dataclass(frozen=True)
class Graph:
    """One network. Its boxes are in the order of their names."""

    network: str
    subnets: tuple[str, ...]
    boxes: tuple[Box, ...]
    lines: tuple[Line, ...]

    @property
    def sites(self) -> dict[str | None, list[Box]]:
        """Site -> the boxes there; first those without a site, under None."""
        found: dict[str | None, list[Box]] = {}
        for box in sorted(self.boxes, key=lambda box: box.site or ""):
            found.setdefault(box.site, []).append(box)
        return found


def graph(mesh: Mesh, now: float, known: Known | None = None) -> list[Graph]:
    """
    All networks. With what a master knows, the members; without, a box for each entry of ``nodes``. That of a glob has
    a line to itself if the nodes which it matches are linked with each other.

    :param now: Unix seconds
    """
    networks = mesh.networks if known else tuple(_with_globs(network) for network in mesh.networks)
    drawn = replace(mesh, networks=networks)
    return [_graph(Context(network, drawn, now, known, None)) for network in networks]


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


def _graph(context: Context) -> Graph:
    names = sorted(context.participants)
    return Graph(
        context.network.name,
        tuple(map(str, context.network.subnets)),
        tuple(_box(name, context) for name in names),
        tuple(_lines(names, context)),
    )


def _box(name: str, context: Context) -> Box:
    settings = context.participants[name].settings
    return Box(
        name,
        _glob(name, context) or name,
        settings.site,
        settings.hub,
        settings.exit,
        name in context.peers,
        tuple(map(str, settings.routes)),
    )


def _glob(name: str, context: Context) -> str | None:
    """The glob that this node stands for, if it does."""
    number = _OF_GLOB.search(name)
    return context.network.nodes[int(number[1])].pattern if number else None


def _lines(names: list[str], context: Context) -> Iterator[Line]:
    reached = {(name, peer.name): peer.endpoint is not None for name in names for peer in context.topology.peers(name)}
    for one, other in sorted(reached):
        there, back = reached[one, other], reached.get((other, one), False)
        if there and not back:
            yield Line(one, other, Reach.ONE_WAY)
        elif there == back and one < other:
            yield Line(one, other, Reach.BOTH if there else Reach.NEITHER)
    for name in names:
        if _glob(name, context) and name in context.topology.linked(name):
            yield Line(name, name, Reach.BOTH)
