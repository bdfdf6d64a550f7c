"""
Where boxes stand in a picture of a network: those of one site in a disc, the discs in a ring.

Few boxes of a site stand in a ring, so that the lines between them can be seen; many fill the disc. Hubs are in the
middle, and so is the site of the hubs where the other sites meet only there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from ..review.graph import Box, Graph

Point = tuple[float, float]
Site = str | None

# In the units of the picture: between neighbours in a ring, in a full disc, and between discs.
RING_STEP, DISC_STEP, GAP = 46.0, 12.0, 50.0

# What a picture has at least, in width and height.
LEAST = 600.0, 360.0

# So many boxes of a site stand in a ring.
MOST_IN_RING = 32

# Labels are cut to so many characters, each of which is so wide.
LABEL, LETTER = 18, 7.0

# A sunflower's seeds turn by so much from one to the next: they fill a disc evenly.
_GOLDEN_ANGLE = math.pi * (3 - math.sqrt(5))


@dataclass(frozen=True)
class Disc:
    """
    A site, or those without one: its boxes, and where they stand from its centre. ``ring``: they stand in a ring, with
    labels around it.
    """

    site: Site
    boxes: tuple[Box, ...]
    offsets: Mapping[str, Point]
    radius: float
    ring: bool

    @cached_property
    def reach(self) -> float:
        """The radius with the labels."""
        longest = max(min(len(box.text), LABEL) for box in self.boxes)
        return self.radius + (longest * LETTER + 14 if self.ring else 0.0)


@dataclass(frozen=True)
class Layout:
    """``centres``: one of each disc. ``frame``: left, top, width and height of all."""

    discs: tuple[Disc, ...]
    centres: tuple[Point, ...]
    frame: tuple[float, float, float, float]

    @cached_property
    def points(self) -> dict[str, Point]:
        """Name of a box -> where it stands."""
        return {
            name: (left + x, top + y)
            for disc, (left, top) in zip(self.discs, self.centres, strict=True)
            for name, (x, y) in disc.offsets.items()
        }


def layout(graph: Graph) -> Layout:
    """Of at least one box."""
    discs = tuple(_disc(site, boxes) for site, boxes in graph.sites.items())
    centres = _centres(discs, _middle(graph))
    reaches = [(x, y, disc.reach) for disc, (x, y) in zip(discs, centres, strict=True)]
    left, top = min(x - reach for x, _, reach in reaches), min(y - reach for _, y, reach in reaches) - GAP / 2
    right, bottom = max(x + reach for x, _, reach in reaches), max(y + reach for _, y, reach in reaches)
    # A few boxes are not blown up.
    beside, below = max(0.0, LEAST[0] - right + left) / 2, max(0.0, LEAST[1] - bottom + top) / 2
    frame = (left - beside, top - below, right - left + 2 * beside, bottom - top + 2 * below)
    return Layout(discs, tuple(centres), frame)


# -- within a disc


def _disc(site: Site, boxes: Sequence[Box]) -> Disc:
    hubs = [box.name for box in boxes if box.roles]
    others = [box.name for box in boxes if not box.roles]
    if len(boxes) > MOST_IN_RING:
        seeds = {name: _seed(number) for number, name in enumerate([*hubs, *others])}
        return Disc(site, tuple(boxes), seeds, DISC_STEP * math.sqrt(len(boxes)) + 14, ring=False)
    inner, middle = _ring(hubs, 0.0) if len(others) > 1 else (0.0, {})
    outer, around = _ring(others if middle else [*hubs, *others], inner + 1.5 * RING_STEP if middle else 0.0)
    return Disc(site, tuple(boxes), {**middle, **around}, outer + 18, ring=True)


def _ring(names: Sequence[str], least: float) -> tuple[float, dict[str, Point]]:
    """(its radius, which is at ``least`` that, name -> place)"""
    if len(names) < 2 and not least:
        return 0.0, dict.fromkeys(names, (0.0, 0.0))
    radius = max(least, RING_STEP * len(names) / math.tau, RING_STEP * 0.8)
    return radius, {name: _at(radius, math.tau * number / len(names)) for number, name in enumerate(names)}


def _at(radius: float, angle: float) -> Point:
    """At 0 is the top; clockwise."""
    return radius * math.sin(angle), -radius * math.cos(angle)


def _seed(number: int) -> Point:
    return _at(DISC_STEP * math.sqrt(number + 0.5), number * _GOLDEN_ANGLE)


# -- the discs


def _middle(graph: Graph) -> frozenset[Site]:
    """The site through which all others meet, if there is one."""
    site_of = {box.name: box.site for box in graph.boxes}
    sites = frozenset(box.site for box in graph.boxes if box.hub)
    if len(sites) != 1 or len({*site_of.values()}) < 3:
        return frozenset()
    ends = ({site_of[line.one], site_of[line.other]} for line in graph.lines)
    return sites if all(len(each) == 1 or sites & each for each in ends) else frozenset()


def _centres(discs: Sequence[Disc], middle: frozenset[Site]) -> list[Point]:
    rooms = {disc.site: disc.reach + GAP / 2 for disc in discs}
    around = {site: room for site, room in rooms.items() if site not in middle}
    found: dict[Site, Point] = dict.fromkeys(rooms, (0.0, 0.0))
    if len(around) > 1:
        radius = _radius([*around.values()], max(around.values()) + sum(rooms[site] for site in middle))
        halves = {site: math.asin(min(1.0, room / radius)) for site, room in around.items()}
        spare = (math.tau - 2 * sum(halves.values())) / len(halves)
        # Two stand beside each other, more begin at the top.
        angle = (-math.pi / 2 if len(halves) == 2 else 0.0) - next(iter(halves.values()))
        for site, half in halves.items():
            found[site] = _at(radius, angle + half)
            angle += 2 * half + spare
    return [found[disc.site] for disc in discs]


def _radius(rooms: Sequence[float], least: float) -> float:
    """That of the smallest ring on which discs with so much room do not overlap."""
    low, high = least, least + sum(rooms)
    if _turn(rooms, low) <= math.tau:
        return low
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if _turn(rooms, middle) <= math.tau else (middle, high)
    return high


def _turn(rooms: Sequence[float], radius: float) -> float:
    """How much of a ring of this radius the discs take."""
    return 2 * sum(math.asin(min(1.0, room / radius)) for room in rooms)
