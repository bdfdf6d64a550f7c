"""Who is linked with whom, in as few links as a person would write."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

Pairs = Collection[frozenset[str]]
EVERYBODY = "*"


@dataclass(frozen=True)
class Links:
    """``links``: None joins everybody. ``groups``: name -> group, for the names that the links use."""

    links: tuple[tuple[str, str], ...] | None
    groups: Mapping[str, str] = field(default_factory=dict)


def candidates(names: Collection[str], strangers: Collection[str], pairs: Pairs) -> Iterator[Links]:
    """
    Ways to say this, the shortest first; the last one is exact. Of two strangers, it does not matter whether they are
    linked.
    """
    yield Links(None)
    neighbours = {name: {other for pair in pairs if name in pair for other in pair} - {name} for name in names}
    everybody = [name for name in names if neighbours[name] >= set(names) - {name}]
    rest = [name for name in names if name not in everybody]
    if everybody and all(neighbours[name] <= set(everybody) for name in rest):
        if len(everybody) <= 2:
            yield Links(tuple((name, EVERYBODY) for name in sorted(everybody)))
        yield Links((("hubs", EVERYBODY),), dict.fromkeys(everybody, "hubs"))
    nodes = [name for name in names if name not in strangers]
    if len(nodes) > 2 and all(neighbours[node] >= set(nodes) - {node} for node in nodes):
        yield _full_mesh(nodes, strangers, neighbours)
    yield _by_classes(names, set(strangers), neighbours)


def _full_mesh(nodes: Collection[str], strangers: Collection[str], neighbours: Mapping[str, set[str]]) -> Links:
    """All nodes are one group; strangers with the same neighbours are another one."""
    taken = {*nodes, *strangers}
    title = _title(nodes, taken)
    links = [(title, title)]
    groups = dict.fromkeys(nodes, title)
    classes: dict[frozenset[str], list[str]] = {}
    for stranger in strangers:
        classes.setdefault(frozenset(neighbours[stranger]), []).append(stranger)
    for known, alike in classes.items():
        name = alike[0] if len(alike) == 1 else _title(alike, taken)
        groups |= {} if len(alike) == 1 else dict.fromkeys(alike, name)
        links += [(name, title)] if known == {*nodes} else [(name, node) for node in sorted(known)]
    return Links(tuple(links), groups)


def _by_classes(names: Collection[str], strangers: set[str], neighbours: Mapping[str, set[str]]) -> Links:
    """Those with the same neighbours are one group."""
    classes: list[list[str]] = []
    for name in sorted(names):
        for each in classes:
            first = each[0]
            alike = neighbours[name] - {first} == neighbours[first] - {name}
            if alike and (name in strangers) == (first in strangers):
                each.append(name)
                break
        else:
            classes.append([name])
    taken = set(names)
    titles = {tuple(each): each[0] if len(each) == 1 else _title(each, taken) for each in classes}
    links = []
    for index, one in enumerate(classes):
        if len(one) > 1 and one[1] in neighbours[one[0]]:
            links.append((titles[tuple(one)], titles[tuple(one)]))
        links += [
            (titles[tuple(one)], titles[tuple(other)])
            for other in classes[index + 1 :]
            if other[0] in neighbours[one[0]]
        ]
    groups = {name: titles[tuple(each)] for each in classes if len(each) > 1 for name in each}
    return Links(tuple(links), groups)


def _beginning(names: Collection[str]) -> str:
    first, last = min(names), max(names)
    same = (one == other for one, other in zip(first, last, strict=False))
    return first[: next((place for place, is_same in enumerate(same) if not is_same), len(first))]


def _title(names: Collection[str], taken: set[str]) -> str:
    """What the names have in common at their beginning, or a number."""
    stem = re.sub(r"[^A-Za-z0-9_]+$|\d+$", "", _beginning(names)) or "group"
    number = 1
    title = stem
    while title in taken:
        number += 1
        title = f"{stem}{number}"
    taken.add(title)
    return title
