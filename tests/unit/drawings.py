"""Graphs and reports that are made up, for the tests of what is drawn of them."""

from html.parser import HTMLParser
from ipaddress import ip_address

from factories import accepted, mesh, public_key, row, snapshot
from saltext.wireguard.fleet.fleet import Fleet
from saltext.wireguard.model.live import LiveInterface, LivePeer
from saltext.wireguard.observe.pairs import pairs
from saltext.wireguard.report.values import Part, Report, Standing
from saltext.wireguard.review.context import Known
from saltext.wireguard.review.graph import Box, Graph, Line, Reach, graph

# What a member could want to be called, to be more than text where it is shown.
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'); alert(1); ('",
    "</script><script>alert(1)</script>",
    "]]><svg onload=alert(1)>",
    "&lt;b&gt; \u202egnorw\u0007\x1b[2J\ud800",
    'a"]; b [label="\\N\\G',
    "<!--<script>",
)


class Seen(HTMLParser):
    """The elements, attributes and text that a browser would find."""

    def __init__(self, html):
        super().__init__()
        self.elements, self.words = [], []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_data(self, words):
        self.words.append(words)


def graph_of(boxes, lines=()):
    """(name, site) of each node; the lines join both ways."""
    return Graph(
        "net",
        ("10.42.0.0/24",),
        tuple(each if isinstance(each, Box) else Box(each[0], each[0], each[1]) for each in boxes),
        tuple(Line(one, other, Reach.BOTH) for one, other in lines),
    )


def full_mesh(boxes):
    """The same, with a line between any two."""
    names = sorted(name for name, _ in boxes)
    return graph_of(boxes, [(one, other) for one in names for other in names if one < other])


def report_of(nodes="abc", ages=None, standings=None, **changes):
    """
    A report about these nodes. ``ages``: (node, other) -> seconds since the handshake that it saw, None for never; of
    the rest, 5. ``standings``: what is special about some.
    """
    rows = [row(name, ip_address(f"10.42.0.{number}")) for number, name in enumerate(nodes, 1)]
    net, shot, keys = mesh("'*': {}"), snapshot(*rows), accepted(*nodes)
    state = Fleet(net, shot, keys, 10.0).networks["net"]
    seen = {(a, b): LivePeer("192.0.2.1:51820", (ages or {}).get((a, b), 5), 100, 100) for a in nodes for b in nodes}
    interfaces = {
        a: LiveInterface("wg0", True, 1420, {public_key(b): seen[a, b] for b in nodes if a != b})
        for a in nodes
        if (standings or {}).get(a, Standing(())).problem is None
    }
    (drawing,) = graph(net, 10.0, Known(shot, keys))
    known = {each.node: Standing(tuple(map(str, each.addresses)), public_key=each.public_key) for each in rows}
    part = Part(drawing, {**known, **(standings or {})}, tuple(pairs("net", state, interfaces)))
    return Report(**{"made": 1_700_000_000.0, "parts": (part,), **changes})
