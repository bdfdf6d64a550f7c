"""
A mesh as a Mermaid flowchart, which forges and many editors draw.

Nodes are boxes, hubs and exit nodes hexagons, external peers rounded; those of one site are in a frame. An arrow leads
to who can be reached, and a plain line joins two of which each can reach the other. A dotted line is a link for which
nobody has an endpoint.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..review.graph import Box, Graph, Reach

# Characters that Mermaid does not take for its own.
_PLAIN = " -./:@_,*?[]"

_LINES = {Reach.BOTH: "---", Reach.ONE_WAY: "-->", Reach.NEITHER: "-.-"}


def mermaid(graphs: Iterable[Graph]) -> str:
    """All networks."""
    lines = [line for number, graph in enumerate(graphs) for line in _network(f"n{number}", graph)]
    return "\n".join(["flowchart LR", *(f"  {line}" for line in lines)])


def _network(prefix: str, graph: Graph) -> Iterator[str]:
    ids = {box.name: f"{prefix}_{number}" for number, box in enumerate(graph.boxes)}
    yield f'subgraph {prefix}["{_text(graph.network)} {_text(", ".join(graph.subnets))}"]'
    for number, (site, boxes) in enumerate(graph.sites.items()):
        lines = [_box(ids[box.name], box) for box in boxes]
        if site is None:
            yield from (f"  {line}" for line in lines)
        else:
            yield f'  subgraph {prefix}_site{number}["{_text(site)}"]'
            yield from (f"    {line}" for line in lines)
            yield "  end"
    yield from (f"  {ids[line.one]} {_LINES[line.reach]} {ids[line.other]}" for line in graph.lines)
    yield "end"


def _box(ident: str, box: Box) -> str:
    text = "<br>".join(_text(part) for part in (box.text, *box.roles, *box.routes))
    opening, closing = ("{{", "}}") if box.roles else ("(", ")") if box.is_peer else ("[", "]")
    return f'{ident}{opening}"{text}"{closing}'


def _text(text: str) -> str:
    return "".join(char if char.isalnum() or char in _PLAIN else f"#{ord(char)};" for char in text)
