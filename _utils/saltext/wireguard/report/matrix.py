"""The pairs of a network as a matrix for the page's script: a character or a number for each cell, row by row."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from ..model.live import State
from ..observe.pairs import Pair
from .values import Part

# Beyond, the matrix would be too large for a page, and is left out.
MOST_NODES = 1000

# What a node (the row) sees of another one (the column). A dot: they are no pair.
LETTERS = {State.up: "u", State.idle: "i", State.unknown: "?", State.stale: "s", State.down: "d"}


def matrix(part: Part) -> dict[str, Any]:
    """
    ``names``, in the order of rows and columns; ``sites``: name and number of nodes of each; ``states``; and, where
    nodes pinged each other, ``rtt`` in hundredths of ms and ``loss`` in percent, each -1 where it is not known.
    """
    size = len(part.boxes)
    sites = [[site or "", len(boxes)] for site, boxes in part.graph.sites.items()]
    found: dict[str, Any] = {"network": part.graph.network, "names": [box.text for box in part.boxes], "sites": sites}
    if size > MOST_NODES:
        return found
    states = ["."] * (size * size)
    for pair in part.pairs:
        for place, state in _cells(part, pair):
            states[place] = LETTERS[state]
    return {**found, "states": "".join(states), **(_pings(part, size) if part.paths is not None else {})}


def _cells(part: Part, pair: Pair) -> Iterator[tuple[int, State]]:
    one, other = (part.numbers[end.node] for end in pair.ends)
    size = len(part.boxes)
    yield one * size + other, pair.states[0]
    yield other * size + one, pair.states[1]


def _pings(part: Part, size: int) -> dict[str, list[int]]:
    rtt, loss = [-1] * (size * size), [-1] * (size * size)
    for path in part.paths or ():
        place = part.numbers[path.source] * size + part.numbers[path.target]
        rtt[place] = -1 if path.rtt is None else round(100 * path.rtt)
        loss[place] = -1 if path.loss is None else math.ceil(100 * path.loss)
    return {"rtt": rtt, "loss": loss}
