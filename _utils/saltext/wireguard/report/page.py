"""
The page: complete in itself, without anything from the network.

Its script and its style are the only ones that a browser runs: the policy in its head names them by their digests.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator

from ..errors import ViewError
from ..model.live import State
from ..wording import when
from . import tables
from .changes import Memory, changes, memory
from .markup import Markup, code, data, element
from .matrix import MOST_NODES, matrix
from .script import SCRIPT
from .style import page_style
from .svg import Live, picture
from .values import BAD, Part, Report

# By this, a later report knows that a file is one: what it replaces, and what it compares itself with.
_HEAD = '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="generator" content="saltext-wireguard">'
_DATA = re.compile(r'<script type="application/json" id="data">(.*?)</script>', re.DOTALL)


def recall(page: str) -> Memory:
    """What an earlier report remembers. Raises ViewError if the text is no report."""
    found = _DATA.search(page)
    if not page.startswith(_HEAD) or not found:
        raise ViewError("it is no report of these modules")
    try:
        return Memory.from_dict(json.loads(found[1])["memory"])
    except (ValueError, KeyError, TypeError, RecursionError) as exc:
        raise ViewError("it is a report, but its data cannot be read") from exc


def page(report: Report, before: Memory | None) -> str:
    """``before``: of the report that this one replaces."""
    style, script = page_style(), SCRIPT
    policy = (
        f"default-src 'none'; style-src {_digest(style)}; script-src {_digest(script)}; img-src data:; base-uri 'none'"
    )
    values = {"networks": [matrix(part) for part in report.parts], "memory": memory(report).to_dict()}
    head = element("meta", http_equiv="Content-Security-Policy", content=policy + "; form-action 'none'")
    rest = [
        element("meta", name="viewport", content="width=device-width,initial-scale=1"),
        element("meta", name="referrer", content="no-referrer"),
        element("link", rel="icon", href="data:,"),
        element("title", f"WireGuard mesh: {', '.join(part.graph.network for part in report.parts)}"),
        code("style", style),
    ]
    body = [*_body(report, before), data("data", values), code("script", script)]
    return f"{_HEAD}{head}{''.join(rest)}</head>{element('body', *body)}</html>\n"


def _digest(source: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}'"


def _body(report: Report, before: Memory | None) -> Iterator[Markup]:
    news = None if before is None else changes(before, report)
    sections = {
        "topology": ("Topology", _topology(report)),
        "pairs": ("Pairs to look at", tables.pairs(report)),
        "warnings": ("Warnings", _sentences(report.warnings)),
        "changes": ("Since the last report", _changes(before, news or [])),
        "nodes": ("Nodes", tables.nodes(report)),
        "matrix": ("Matrix", _matrices(report)),
        "addresses": ("Addresses", tables.pools(report)),
        "history": ("History", tables.history(report)),
    }
    yield element("header", element("h1", "WireGuard mesh"), _summary(report), _cards(report, news))
    links = (element("li", element("a", name, href=f"#{ident}")) for ident, (name, _) in sections.items())
    yield element("nav", element("ul", *links))
    yield element(
        "main",
        element(
            "noscript", element("p", "Search, sort, zoom and the matrix need scripts, which are switched off here.")
        ),
        *(element("section", element("h2", name, id=ident), *parts) for ident, (name, parts) in sections.items()),
    )
    yield element(
        "footer", element("p", "Made by salt-run wireguard.report. Nothing on this page is loaded from elsewhere.")
    )


# -- the head


def _summary(report: Report) -> Markup:
    names = ", ".join(f"{part.graph.network} ({', '.join(part.graph.subnets)})" for part in report.parts)
    made = element("time", when(report.made), datetime=when(report.made))
    return element("p", names, " · ", made, class_="soft")


def _cards(report: Report, news: list[str] | None) -> Markup:
    standings = [
        part.standings[box.name]
        for part in report.parts
        for box in part.boxes
        if not box.is_peer and box.name in part.standings
    ]
    in_sync = sum(each.why is None for each in standings)
    states = {state: sum(part.states[state] for part in report.parts) for state in State}
    bad, warned = sum(states[state] for state in BAD), len(report.warnings)
    return element(
        "div",
        _card("nodes", f"{in_sync} of {len(standings)}", "nodes in sync", "warn" if in_sync < len(standings) else ""),
        _card("matrix", f"{states[State.up]:,}", f"of {sum(states.values()):,} pairs have a session"),
        _card("matrix", f"{states[State.idle]:,}", "pairs are idle: nothing needs a session"),
        _card("pairs", f"{bad:,}", "pairs down or stale", "bad" if bad else ""),
        _card("warnings", f"{warned}", "warnings", "warn" if warned else ""),
        *([] if news is None else [_card("changes", f"{len(news)}", "changes since the last report")]),
        class_="cards",
    )


def _card(target: str, number: str, words: str, kind: str = "") -> Markup:
    return element("a", element("b", number), words, class_=f"card {kind}".strip(), href=f"#{target}")


# -- sections


def _topology(report: Report) -> Iterator[Markup]:
    maps = [each for number, part in enumerate(report.parts) for each in _map(number, part)]
    empty = element("p", "Choose a node in the picture, the matrix or the table.", class_="soft")
    yield element("div", element("div", *maps), element("aside", empty, id="details", class_="box"), class_="split")
    nodes = {
        "fine": "in sync",
        "behind": "not in sync",
        "silent": "says nothing",
        "peer": "external peer",
        "hub": "hub or exit",
    }
    yield _legend({**nodes, **_STATES})


_STATES = {"up": "session", "idle": "idle", "stale": "stale", "down": "down", "unknown": "not known"}


def _legend(words: dict[str, str]) -> Markup:
    return element(
        "div", *(element("span", text, class_=f"key {kind}") for kind, text in words.items()), class_="legend"
    )


def _map(number: int, part: Part) -> Iterator[Markup]:
    yield element("h3", part.graph.network)
    if not part.boxes:
        yield element("p", "This network has no nodes.", class_="soft")
        return
    live = Live(
        {
            name: (tables.mark(standing), standing.problem or standing.why or "")
            for name, standing in part.standings.items()
        },
        {(pair.ends[0].node, pair.ends[1].node): pair.state.name for pair in part.pairs},
        part.numbers,
    )
    buttons = (
        element("button", sign, type="button", data_zoom=zoom, aria_label=label)
        for sign, zoom, label in (("+", "in", "zoom in"), ("-", "out", "zoom out"), ("All", "all", "show all"))
    )
    yield element(
        "div",
        picture(part.graph, live, class_="topology", data_network=number, role="group"),
        element("div", *buttons, class_="buttons"),
        class_="map",
    )


def _matrices(report: Report) -> Iterator[Markup]:
    yield element(
        "p",
        "What the node of the row sees of the node of the column. A number in a cell of two sites is that of the pairs"
        " that are down or stale. Click a cell to look closer.",
        class_="soft",
    )
    for number, part in enumerate(report.parts):
        yield element("h3", part.graph.network)
        if len(part.boxes) > MOST_NODES:
            yield element("p", f"{len(part.boxes)} nodes are too many for a matrix.", class_="soft")
            continue
        yield element("div", class_="matrix", data_network=number)
    yield _legend(_STATES)


def _sentences(sentences: tuple[str, ...] | list[str]) -> Iterator[Markup]:
    if sentences:
        yield element("ul", *(element("li", each) for each in sentences), class_="plain")
    else:
        yield element("p", "None.", class_="soft")


def _changes(before: Memory | None, news: list[str]) -> Iterator[Markup]:
    if before is None:
        yield element("p", "This is the first report in this file.", class_="soft")
        return
    yield element("p", "Compared with ", element("time", when(before.made), datetime=when(before.made)), class_="soft")
    yield from _sentences(news)
