"""
A mesh file for what was found, and what would be another way with it.

The differences are those of the views that the file leads to, peer by peer. So nothing is promised here: whatever the
file cannot say shows.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from ..errors import MeshError
from ..fleet.fleet import Fleet
from ..meshfile.mesh import Mesh
from ..meshfile.parse import parse_mesh
from ..model.inventory import FoundPeer
from ..model.peer import Peer
from ..model.view import View
from ..registry.rows import VOUCHED, Row, Snapshot
from .links import Links, candidates
from .networks import Found, FoundNetwork
from .settings import Settings, infer
from .text import mesh_text

FILE = "the proposal"


@dataclass(frozen=True)
class Difference:
    """``peer``: None for the interface itself. ``old`` and ``new`` in words, None where it is not there."""

    network: str
    node: str
    peer: str | None
    what: str
    old: str | None
    new: str | None


@dataclass(frozen=True)
class Proposal:
    """``left_out``: sentences about what is not in the text. ``problems``: why it is no valid mesh file."""

    text: str
    differences: tuple[Difference, ...]
    left_out: tuple[str, ...]
    problems: tuple[str, ...]


def propose(found: Found, minions: Collection[str], comments: Sequence[str]) -> Proposal:
    """
    :param minions: the ids of all that are known
    :param comments: lines for the beginning of the file
    """
    left_out = [*found.left_out]
    chosen: list[tuple[str, FoundNetwork, Settings, Links]] = []
    for network in found.networks:
        settings = infer(network)
        why = _collision(settings, [each for _, _, each, _ in chosen])
        if why or not settings.nodes:
            left_out.append(f"the network of {', '.join(sorted(network.nodes))}: {why or 'it has no addresses'}")
            continue
        name = settings.interface
        left_out += settings.left_out
        chosen.append((name, network, settings, _links(name, network, settings)))
    if not chosen:
        return Proposal("", (), tuple(left_out), ("there is no network to propose",))
    notes = [*comments, *(f"Left out: {each}" for each in left_out)]
    text = mesh_text([(name, settings, links) for name, _, settings, links in chosen], minions, notes)
    try:
        mesh = parse_mesh([(FILE, text)])
    except MeshError as exc:
        return Proposal(text, (), tuple(left_out), tuple(map(str, exc.problems)))
    found_differences = [
        difference for name, network, settings, _ in chosen for difference in differences(mesh, name, network, settings)
    ]
    return Proposal(text, tuple(found_differences), tuple(left_out), ())


def _collision(settings: Settings, others: Collection[Settings]) -> str | None:
    for other in others:
        if settings.interface == other.interface:
            return f"another network has the interface {settings.interface} already"
        if settings.port == other.port:
            return f"another network has the port {settings.port} already"
    return None


def _links(name: str, network: FoundNetwork, settings: Settings) -> Links:
    """The shortest way to say who is linked, or the last one, which comes closest."""
    wanted = _wanted_pairs(network, settings)
    ways = [*candidates([*settings.nodes, *settings.peers], settings.peers, wanted)]
    for links in ways[:-1]:
        try:
            mesh = parse_mesh([(FILE, mesh_text([(name, settings, links)], (), ()))])
        except MeshError:
            continue
        views = _views(mesh, name, network, settings)
        if {frozenset((node, peer.name)) for node, view in views.items() for peer in view.peers} == wanted:
            return links
    return ways[-1]


def _wanted_pairs(network: FoundNetwork, settings: Settings) -> set[frozenset[str]]:
    known = {*settings.nodes, *settings.peers}
    pairs = (frozenset(settings.names.get(name, name) for name in pair) for pair in network.pairs)
    return {pair for pair in pairs if pair <= known and len(pair) == 2}


def _views(mesh: Mesh, name: str, network: FoundNetwork, settings: Settings) -> dict[str, View]:
    """What each node would have, if all registered with the keys that they have."""
    rows = {
        (name, node): Row(name, node, str(each.public_key), (), each.port or settings.port, 0, VOUCHED, 0.0)
        for node, each in network.nodes.items()
        if node in settings.nodes
    }
    fleet = Fleet(mesh, Snapshot(rows=rows), {}, 0.0)
    return {node: view for node in settings.nodes for where, view in fleet.views(node).items() if where == name}


# -- what would change


def differences(mesh: Mesh, name: str, network: FoundNetwork, settings: Settings) -> Iterator[Difference]:
    """What is another way in the views of this mesh than in what was found."""
    views = _views(mesh, name, network, settings)
    for node in sorted(network.nodes):
        if node not in views:
            yield Difference(name, node, None, "interface", "present", None)
            continue
        for what, old, new in _of_interface(network, node, views[node]):
            yield Difference(name, node, None, what, old, new)
        yield from _of_peers(name, node, network, settings, views[node])


def _of_interface(network: FoundNetwork, node: str, view: View) -> Iterator[tuple[str, str | None, str | None]]:
    each = network.nodes[node]
    pairs = {
        "name": (each.interface, view.interface),
        "addresses": (_words(each.addresses), _words(view.addresses)),
        "port": (str(each.port) if each.port else None, str(view.port)),
        "mtu": (str(each.mtu) if each.mtu else None, str(view.mtu) if view.mtu else None),
    }
    for what, (old, new) in pairs.items():
        if old != new:
            yield what, old, new


def _of_peers(name: str, node: str, network: FoundNetwork, settings: Settings, view: View) -> Iterator[Difference]:
    before = {settings.names.get(key, key): peer for key, peer in network.peers[node].items()}
    after = {peer.name: peer for peer in view.peers}
    for other in sorted({*before, *after}):
        old, new = before.get(other), after.get(other)
        if old is None or new is None:
            yield Difference(name, node, other, "peer", "present" if old else None, "present" if new else None)
            continue
        for what, (was, will) in _compared(old, new).items():
            if was != will:
                yield Difference(name, node, other, what, was, will)


def _compared(old: FoundPeer, new: Peer) -> dict[str, tuple[str | None, str | None]]:
    will = new.keepalive or old.keepalive  # a node keeps what it has, where the view has none
    return {
        "allowed_ips": (_words(old.allowed_ips), _words(new.allowed_ips)),
        "endpoint": (old.endpoint, new.endpoint),
        "keepalive": (_seconds(old.keepalive), _seconds(will)),
    }


def _seconds(value: int) -> str | None:
    return str(value) if value else None


def _words(values: Collection[str]) -> str | None:
    return ", ".join(sorted(values)) or None
