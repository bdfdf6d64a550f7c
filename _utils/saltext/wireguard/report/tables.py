"""The tables of the page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ..model.live import State
from ..observe.pairs import End, Pair
from ..registry.history import Entry
from ..review.graph import Box
from ..wording import ago, when
from .markup import Child, Markup, element
from .values import BAD, Part, Report, Standing

# So many pairs are read; the matrix has all.
MOST_PAIRS = 200


def mark(standing: Standing) -> str:
    """The class of a node in pictures and tables."""
    return "silent" if standing.problem else "behind" if standing.why else "fine"


def _table(ident: str, columns: Sequence[str], rows: Iterable[Markup], search: str | None = None) -> Iterator[Markup]:
    """``columns``: a leading ``#`` is for numbers, a leading ``-`` for what narrow screens have no room for."""
    tools = [element("input", type="search", placeholder=search, aria_label=search, data_table=ident)] if search else []
    if ident == "all-nodes":
        box = element("input", type="checkbox", data_look=ident)
        tools.append(element("label", box, " only those that need a look"))
    if tools:
        yield element("div", *tools, element("span", class_="soft", data_count=ident), class_="tools")
    heads = (
        element("th", element("button", name, type="button"), class_=_class(kind), scope="col")
        for kind, name in map(_split, columns)
    )
    head = element("thead", element("tr", *heads))
    yield element("div", element("table", head, element("tbody", *rows), id=ident), class_="wide tall")


def _split(column: str) -> tuple[str, str]:
    return (column[0], column[1:]) if column[0] in "#-" else ("", column)


def _class(kind: str) -> str | None:
    return {"#": "number", "-": "less"}.get(kind)


def _cell(content: Child, kind: str | None = None, order: float | None = None) -> Markup:
    """``order``: what to sort by, if that is not the text."""
    return element("td", content, class_=kind, data_order=order)


def _network(report: Report) -> list[str]:
    """A column, where there are several."""
    return ["Network"] if len(report.parts) > 1 else []


# -- nodes


def nodes(report: Report) -> Iterator[Markup]:
    seen = ["Addresses", "#Up", "#Down", "-Endpoint", "-MTU", "-Last seen"]
    rows = (_node(report, number, part, box) for number, part in enumerate(report.parts) for box in part.boxes)
    yield from _table("all-nodes", ["Node", *_network(report), "State", "-Site", *seen], rows, "Search nodes")


def _node(report: Report, number: int, part: Part, box: Box) -> Markup:
    standing = part.standings.get(box.name, Standing(()))
    counts = part.counts
    kind = "peer" if box.is_peer else mark(standing)
    down = sum(counts[box.name, state] for state in BAD)
    cells = [
        _cell(element("b", box.text)),
        *(_cell(part.graph.network) for _ in _network(report)),
        _cell(element("span", _words(box, standing), class_=f"state {kind}")),
        _cell(", ".join(filter(None, (box.site, *box.roles))), "less"),
        _cell(", ".join(standing.addresses), "mono"),
        _cell(counts[box.name, State.up], "number"),
        _cell(down, "number"),
        _cell(standing.endpoint or "", "mono less"),
        _cell(standing.mtu or "", "less"),
        _cell(when(standing.seen) if standing.seen else "", "less", standing.seen),
    ]
    key = element("td", standing.public_key or "", hidden="")
    routes = element("td", ", ".join(box.routes), hidden="")
    look = "look" if down or (standing.needs_a_look and not box.is_peer) else None
    return element("tr", *cells, key, routes, class_=look, data_node=f"{number}:{part.numbers[box.name]}", tabindex=0)


def _words(box: Box, standing: Standing) -> str:
    if box.is_peer:
        return "external peer"
    return "; ".join(filter(None, (standing.why, standing.problem))) or "in sync"


# -- pairs


def pairs(report: Report) -> Iterator[Markup]:
    found = [(number, part, pair) for number, part in enumerate(report.parts) for pair in part.pairs]
    found = [each for each in found if each[2].state in BAD or each[2].disagrees]
    if not found:
        yield element("p", "None: all that should be up is up.", class_="soft")
        return
    found.sort(key=lambda each: _worst_first(each[2]))
    if len(found) > MOST_PAIRS:
        yield element("p", f"The worst {MOST_PAIRS} of {len(found)}; the matrix has all.", class_="soft")
    columns = ("Pair", *_network(report), "State", "Last handshake", "-First sees", "-Second sees")
    yield from _table("bad-pairs", columns, (_pair(report, *each) for each in found[:MOST_PAIRS]), "Search pairs")


def _worst_first(pair: Pair) -> tuple[int, bool, str, str]:
    return -pair.state, not pair.disagrees, pair.ends[0].node, pair.ends[1].node


def _pair(report: Report, number: int, part: Part, pair: Pair) -> Markup:
    one, other = pair.ends
    state = pair.state.name + (", the ends disagree" if pair.disagrees else "")
    return element(
        "tr",
        _cell(f"{one.node} and {other.node}"),
        *(_cell(pair.network) for _ in _network(report)),
        _cell(element("span", state, class_=f"state {pair.state.name}"), order=pair.state),
        _cell(
            "never, or not known" if pair.age is None else ago(pair.age), order=10**12 if pair.age is None else pair.age
        ),
        _cell(_seen(one, pair), "less"),
        _cell(_seen(other, pair), "less"),
        data_node=f"{number}:{part.numbers[one.node]}",
        tabindex=0,
    )


def _seen(end: End, pair: Pair) -> str:
    if end.lacks:
        return "lacks this peer"
    if end.seen is None:
        return "does not say"
    at = f" at {end.seen.endpoint}" if end.seen.endpoint else ""
    return f"{end.state(pair.kept_alive).name}{at}{' (roamed)' if end.has_roamed else ''}"


# -- addresses, history


def pools(report: Report) -> Iterator[Markup]:
    columns = ("Network", "Subnet", "#Size", "#Used", "#Reserved", "#Quarantined", "#Free", "-Next")
    rows = (
        element(
            "tr",
            _cell(pool.network),
            _cell(str(pool.subnet), "mono"),
            *(_count(number) for number in (pool.size, pool.used, pool.reserved, pool.quarantined, pool.free)),
            _cell(str(pool.next or ""), "mono less"),
        )
        for pool in report.pools
    )
    yield from _table("pools", columns, rows)


def _count(number: int) -> Markup:
    return _cell(f"{number:,}" if number < 10**9 else f"2^{number.bit_length() - 1}", "number", float(number))


def history(report: Report) -> Iterator[Markup]:
    if not report.history:
        yield element("p", "Nothing has happened yet.", class_="soft")
        return
    places = {
        (part.graph.network, name): f"{number}:{place}"
        for number, part in enumerate(report.parts)
        for name, place in part.numbers.items()
    }
    columns = ("Time", "Node", "What", "Why", "-By", "-Network")
    rows = (_entry(entry, places.get((entry.network, entry.node))) for entry in reversed(report.history))
    yield from _table("history-table", columns, rows, "Search history")


def _entry(entry: Entry, place: str | None) -> Markup:
    return element(
        "tr",
        _cell(when(entry.time), order=entry.time),
        _cell(entry.node),
        _cell(entry.what.replace("_", " ")),
        _cell(entry.why),
        _cell(entry.who, "less"),
        _cell(entry.network, "less"),
        data_of=place,
    )
