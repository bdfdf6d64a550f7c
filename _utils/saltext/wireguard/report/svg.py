"""
A network as a picture in SVG. What stands for what is as in ``mermaid``.

Where there are too many lines, those between two sites are one, the thicker the more they are.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from ..review.graph import Box, Graph, Line, Reach
from .layout import LABEL, Disc, Layout, Point, layout
from .markup import Attribute, Markup, element

# So many lines are drawn one by one, and beyond, so many of those that need a look. The others are in bundles.
MOST_LINES, MOST_BAD = 600, 150

# The states of lines that need a look, and the share of them that a bundle needs to be shown as one.
BAD, SHARE = ("stale", "down"), 0.1

NO_SITE = "no site"
NAMESPACE = "http://www.w3.org/2000/svg"


@dataclass(frozen=True)
class Live:
    """
    What is known of a network just now. ``nodes``: name -> (class, words). ``pairs``: the names of two in order -> the
    name of their state. ``numbers``: name -> its number in the page.
    """

    nodes: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    pairs: Mapping[tuple[str, str], str] = field(default_factory=dict)
    numbers: Mapping[str, int] = field(default_factory=dict)


def picture(graph: Graph, live: Live | None = None, **attributes: Attribute) -> Markup:
    """One network, as a part of a page."""
    return _drawn(graph, layout(graph), live or Live(), **attributes)


def pictures(graphs: Iterable[Graph], style: Markup) -> Markup:
    """All networks that have nodes, one below the other, as a picture that stands alone."""
    placed = [(graph, layout(graph)) for graph in graphs if graph.boxes]
    width = max((each.frame[2] for _, each in placed), default=0.0)
    tops = [sum(each.frame[3] for _, each in placed[:number]) for number in range(len(placed) + 1)]
    drawn = [
        part
        for (graph, each), top in zip(placed, tops, strict=False)
        for part in (
            element("text", graph.network, class_="site start", x=8, y=top + 20),
            _drawn(graph, each, Live(), y=top, width=width, height=each.frame[3]),
        )
    ]
    size = {"width": width, "height": tops[-1], "viewBox": f"0 0 {width:.0f} {tops[-1]:.0f}"}
    return element("svg", style, *drawn, xmlns=NAMESPACE, **size)


def _drawn(graph: Graph, placed: Layout, live: Live, **attributes: Attribute) -> Markup:
    return element(
        "svg",
        element("g", *_discs(placed), class_="discs"),
        element("g", *_lines(graph, placed, live), class_="lines"),
        element("g", *_boxes(placed, live), class_="nodes"),
        element("g", *_sites(placed), class_="sites"),
        xmlns=NAMESPACE,
        viewBox=" ".join(f"{number:.0f}" for number in placed.frame),
        aria_label=f"network {graph.network} with {len(graph.boxes)} nodes",
        **attributes,
    )


def _discs(placed: Layout) -> Iterator[Markup]:
    for disc, (x, y) in zip(placed.discs, placed.centres, strict=True):
        if disc.site is not None or len(placed.discs) > 1:
            yield element("circle", class_="disc", cx=x, cy=y, r=disc.radius)


def _sites(placed: Layout) -> Iterator[Markup]:
    for disc, (x, y) in zip(placed.discs, placed.centres, strict=True):
        if disc.site is not None or len(placed.discs) > 1:
            number = f" · {len(disc.boxes)}" if len(disc.boxes) > 1 else ""
            label_of_a_box = 18 if disc.ring and len(disc.boxes) > 1 else 0
            height = y - disc.radius - 8 - label_of_a_box
            yield element("text", _cut(disc.site or NO_SITE), number, class_="site", x=x, y=height)


# -- lines


def _lines(graph: Graph, placed: Layout, live: Live) -> Iterator[Markup]:
    site_of = {box.name: box.site for box in graph.boxes}
    bad = [line for line in graph.lines if live.pairs.get(_names(line)) in BAD]
    alone: Collection[Line] = graph.lines
    if len(graph.lines) > MOST_LINES:
        alone = bad if len(bad) <= MOST_BAD else []
        yield from _bundles(graph, placed, set(bad))
    for line in sorted(alone, key=lambda line: live.pairs.get(_names(line)) in BAD):
        if line.one != line.other:
            yield _line(line, placed.points, live, curved=site_of[line.one] != site_of[line.other])


def _names(line: Line) -> tuple[str, str]:
    return (line.one, line.other) if line.one < line.other else (line.other, line.one)


def _line(line: Line, points: Mapping[str, Point], live: Live, curved: bool) -> Markup:
    state = live.pairs.get(_names(line))
    mark = {Reach.ONE_WAY: "one-way", Reach.NEITHER: "neither"}.get(line.reach, "")
    words = f"{line.one} {'to' if line.reach is Reach.ONE_WAY else 'and'} {line.other}{f': {state}' if state else ''}"
    return element(
        "path",
        element("title", words),
        class_=" ".join(filter(None, ("line", state, mark))),
        d=_path(points[line.one], points[line.other], curved),
        data_a=live.numbers.get(line.one),
        data_b=live.numbers.get(line.other),
    )


def _path(one: Point, other: Point, curved: bool) -> str:
    """Lines between sites bend towards the middle of the picture, so that they do not run along each other."""
    start, end = f"M{one[0]:.0f} {one[1]:.0f}", f"{other[0]:.0f} {other[1]:.0f}"
    x, y = (0.35 * (one[0] + other[0]), 0.35 * (one[1] + other[1]))
    return f"{start}Q{x:.0f} {y:.0f} {end}" if curved else f"{start}L{end}"


def _bundles(graph: Graph, placed: Layout, bad: Collection[Line]) -> Iterator[Markup]:
    """Of the lines between any two sites."""
    place = {box.name: number for number, disc in enumerate(placed.discs) for box in disc.boxes}
    ends = {line: (*sorted((place[line.one], place[line.other])),) for line in graph.lines}
    counts, faults = Counter(ends.values()), Counter(ends[line] for line in bad)
    for (one, other), count in sorted(counts.items()):
        if one != other:
            names = " and ".join(placed.discs[number].site or NO_SITE for number in (one, other))
            fault = f", {faults[one, other]} down or stale" if faults[one, other] else ""
            yield element(
                "path",
                element("title", f"{names}: {count} pairs{fault}"),
                class_="bundle down" if faults[one, other] > SHARE * count else "bundle",
                d=_path(placed.centres[one], placed.centres[other], curved=True),
                stroke_width=2 + 2 * math.log10(count),
            )


# -- boxes


def _boxes(placed: Layout, live: Live) -> Iterator[Markup]:
    for disc, centre in zip(placed.discs, placed.centres, strict=True):
        for box in disc.boxes:
            yield _box(box, disc, centre, live)


def _box(box: Box, disc: Disc, centre: Point, live: Live) -> Markup:
    x, y = disc.offsets[box.name]
    kind, words = live.nodes.get(box.name, ("", ""))
    number = live.numbers.get(box.name)
    size = 9 if disc.ring else 6
    shape = (
        element("polygon", points=_hexagon(centre[0] + x, centre[1] + y, size + 4))
        if box.roles
        else element("circle", cx=centre[0] + x, cy=centre[1] + y, r=size)
    )
    notes = [box.text, *box.roles, "external peer" if box.is_peer else "", *box.routes, words]
    return element(
        "g",
        element("title", " · ".join(filter(None, notes))),
        shape,
        _label(box, disc, centre),
        class_=" ".join(filter(None, ("node", kind, "peer" if box.is_peer else "", *box.roles))),
        data_node=number,
        tabindex=None if number is None else 0,
        role=None if number is None else "button",
    )


def _label(box: Box, disc: Disc, centre: Point) -> Markup:
    x, y = disc.offsets[box.name]
    distance = math.hypot(x, y)
    if not disc.ring:
        return element("text", _cut(box.text), class_="small", x=centre[0] + x, y=centre[1] + y + 11)
    if distance < disc.radius / 2:
        return element("text", _cut(box.text), x=centre[0] + x, y=centre[1] + y + 27)
    stretch = (disc.radius + 8) / distance
    side = "middle" if abs(x) < distance * 0.15 else "start" if x > 0 else "end"
    shift = 4 if side != "middle" else 9 if y > 0 else 0
    where = {"x": centre[0] + stretch * x, "y": centre[1] + stretch * y + shift}
    return element("text", _cut(box.text), class_=side, **where)


def _cut(text: str) -> str:
    return text if len(text) <= LABEL else f"{text[: LABEL - 1]}…"


def _hexagon(x: float, y: float, size: float) -> str:
    corners = ((x + size * math.cos(turn * math.pi / 3), y + size * math.sin(turn * math.pi / 3)) for turn in range(6))
    return " ".join(f"{right:.1f},{down:.1f}" for right, down in corners)
