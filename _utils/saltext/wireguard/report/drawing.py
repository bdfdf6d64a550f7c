"""A mesh in the formats that other programs draw or read."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..errors import ConfigError
from ..review.graph import Graph
from .dot import dot
from .markup import code
from .mermaid import mermaid
from .style import picture_style
from .svg import pictures


def draw(graphs: Sequence[Graph], form: str) -> str:
    """Raises ConfigError for a format that there is not."""
    if form not in FORMATS:
        raise ConfigError(f"there is no format {form}; it can be {', '.join(FORMATS)}")
    return FORMATS[form](graphs)


def _svg(graphs: Sequence[Graph]) -> str:
    """In ASCII, which gets through any terminal."""
    text = pictures(graphs, code("style", picture_style()))
    return text.encode("ascii", "xmlcharrefreplace").decode()


def _json(graphs: Sequence[Graph]) -> str:
    return json.dumps({"networks": [_network(graph) for graph in graphs]}, indent=1)


def _network(graph: Graph) -> dict[str, Any]:
    return {
        "network": graph.network,
        "subnets": graph.subnets,
        "nodes": [
            {
                "name": box.text,
                "site": box.site,
                "hub": box.hub,
                "exit": box.exit,
                "external_peer": box.is_peer,
                "routes": box.routes,
            }
            for box in graph.boxes
        ],
        "links": [
            {"a": text[line.one], "b": text[line.other], "reach": line.reach.value}
            for text in [{box.name: box.text for box in graph.boxes}]
            for line in graph.lines
        ],
    }


FORMATS: Mapping[str, Callable[[Sequence[Graph]], str]] = {"mermaid": mermaid, "dot": dot, "json": _json, "svg": _svg}
