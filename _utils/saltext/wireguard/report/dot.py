"""A mesh in the language of Graphviz. What stands for what is as in ``mermaid``; an external peer is an ellipse."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..review.graph import Box, Graph, Line, Reach

_DIRECTIONS = {Reach.BOTH: "dir=none", Reach.ONE_WAY: "dir=forward", Reach.NEITHER: "dir=none, style=dotted"}


def dot(graphs: Iterable[Graph]) -> str:
    """All networks."""
    lines = [line for number, graph in enumerate(graphs) for line in _network(f"n{number}", graph)]
    return "\n".join(["digraph mesh {", "  rankdir=LR;", *(f"  {line}" for line in lines), "}"])


def _network(prefix: str, graph: Graph) -> Iterator[str]:
    ids = {box.name: f"{prefix}_{number}" for number, box in enumerate(graph.boxes)}
    yield f"subgraph cluster_{prefix} {{"
    yield f"  label={_text(f'{graph.network} ' + ', '.join(graph.subnets))};"
    for number, (site, boxes) in enumerate(graph.sites.items()):
        lines = [_box(ids[box.name], box) for box in boxes]
        if site is None:
            yield from (f"  {line}" for line in lines)
        else:
            yield f"  subgraph cluster_{prefix}_site{number} {{"
            yield from (f"    {line}" for line in (f"label={_text(site)};", *lines))
            yield "  }"
    yield from (f"  {_line(ids, line)}" for line in graph.lines)
    yield "}"


def _box(ident: str, box: Box) -> str:
    shape = "hexagon" if box.roles else "ellipse" if box.is_peer else "box"
    return f"{ident} [label={_text(box.text, *box.roles, *box.routes)}, shape={shape}];"


def _line(ids: dict[str, str], line: Line) -> str:
    return f"{ids[line.one]} -> {ids[line.other]} [{_DIRECTIONS[line.reach]}];"


def _text(*lines: str) -> str:
    """A quoted label. In labels, Graphviz makes something else of a backslash and what follows it."""
    shown = ("".join(char if char.isprintable() else "?" for char in line) for line in lines)
    escaped = (line.replace("\\", "\\\\").replace('"', '\\"') for line in shown)
    return '"' + "\\n".join(escaped) + '"'
