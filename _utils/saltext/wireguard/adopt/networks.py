"""
Which interfaces belong together, by the public keys that they have of each other.

What a machine says of itself and of others may be wrong or a lie. Nothing follows from it but a table and a proposal
for a person to read: two that know each other are in one network; who claims the key of another is in none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from ..model.inventory import FoundPeer, Inventory
from ..wording import some

# A machine's interfaces by name, and one of them.
Interfaces = Mapping[str, Inventory]
End = tuple[str, str]  # (machine, interface)


@dataclass(frozen=True)
class Stranger:
    """A peer that is no interface which was found: a phone, a router, a machine that said nothing. By machine."""

    public_key: str
    seen: Mapping[str, FoundPeer]

    @property
    def age(self) -> int | None:
        """Seconds since its latest handshake with anybody; None for never, or where nobody knows."""
        return min((each.age for each in self.seen.values() if each.age is not None), default=None)

    @property
    def title(self) -> str | None:
        """What most call it."""
        names = [each.name for each in self.seen.values() if each.name]
        return max(sorted(set(names)), key=names.count) if names else None


@dataclass(frozen=True)
class FoundNetwork:
    """``nodes``: machine -> its interface. ``contradictions``: sentences."""

    nodes: Mapping[str, Inventory]
    strangers: tuple[Stranger, ...]
    contradictions: tuple[str, ...] = field(default=(), compare=False)

    @property
    def interface(self) -> str:
        """The name of the interface on most of them."""
        names = [each.interface for each in self.nodes.values()]
        return max(sorted(set(names)), key=names.count)

    @cached_property
    def keys(self) -> dict[str, str]:
        """Public key -> machine."""
        return {str(each.public_key): node for node, each in self.nodes.items()}

    @cached_property
    def peers(self) -> dict[str, dict[str, FoundPeer]]:
        """Machine -> name of a peer, a machine, or the public key of a stranger -> that peer."""
        return {
            node: {self.keys.get(peer.public_key, peer.public_key): peer for peer in each.peers}
            for node, each in self.nodes.items()
        }

    @cached_property
    def pairs(self) -> frozenset[frozenset[str]]:
        """Those who are peers: both machines say so, or the machine does, of a stranger."""
        return frozenset(
            frozenset((node, other))
            for node, peers in self.peers.items()
            for other in peers
            if other not in self.nodes or node in self.peers[other]
        )


@dataclass(frozen=True)
class Found:
    """``left_out``: sentences about interfaces that are in no network."""

    networks: tuple[FoundNetwork, ...]
    left_out: tuple[str, ...]


def join(machines: Mapping[str, Interfaces]) -> Found:
    """The networks of these machines, the largest first."""
    ends = {(name, each.interface): each for name, all_ in sorted(machines.items()) for each in all_.values()}
    left_out = [f"{name}: {where}: {each.error}" for (name, where), each in ends.items() if each.error]
    usable = {end: each for end, each in ends.items() if each.error is None}
    left_out += [f"{name}: {where} has no key" for (name, where), each in usable.items() if not each.public_key]
    owners: dict[str, list[End]] = {}
    for end, each in usable.items():
        if each.public_key:
            owners.setdefault(each.public_key, []).append(end)
    for key, claims in owners.items():
        if len(claims) > 1:
            said = some(f"{where} of {name}" for name, where in claims)
            left_out.append(f"{said} have one key, {key}: they are copies of one machine, or one of them lies")
    by_key = {key: claims[0] for key, claims in owners.items() if len(claims) == 1}
    groups = _Groups({end: usable[end] for end in by_key.values()}, by_key)
    networks = [_network(group, groups.refused, by_key, owners) for group in groups.all()]
    networks = [each for each in networks if len(each.nodes) > 1 or each.strangers]
    networks.sort(key=lambda each: (-len(each.nodes), sorted(each.nodes)))
    alone = set(by_key.values()) - {(n, i.interface) for each in networks for n, i in each.nodes.items()}
    left_out += [f"{name}: {where} has no peers that have it" for name, where in sorted(alone)]
    return Found(tuple(networks), tuple(left_out))


class _Groups:
    """Interfaces that belong together. A machine is in a network by one interface only."""

    def __init__(self, ends: Mapping[End, Inventory], by_key: Mapping[str, End]) -> None:
        self._ends = ends
        self._group: dict[End, set[End]] = {end: {end} for end in ends}
        self.refused: list[tuple[End, End]] = []
        known = {
            end: {by_key[peer.public_key] for peer in each.peers if peer.public_key in by_key}
            for end, each in ends.items()
        }
        mutual = [(one, other) for one in ends for other in sorted(known[one]) if one in known[other]]
        for one, other in mutual:
            self._unite(one, other)
        for one in sorted(end for end in ends if len(self._group[end]) == 1):
            self._attach(one, [*sorted(known[one]), *(other for other in sorted(ends) if one in known[other])])
        self._by_strangers(by_key)

    def _attach(self, one: End, others: Iterable[End]) -> None:
        """An interface that knows others who do not know it, or the other way round: of one network, or of none."""
        large = {id(self._group[other]): other for other in others if len(self._group[other]) > 1}
        if len(large) > 1:
            self.refused += [(one, other) for other in large.values()]
            return
        for other in others:
            self._unite(one, other)

    def _unite(self, one: End, other: End) -> None:
        mine, theirs = self._group[one], self._group[other]
        if mine is theirs:
            return
        if {name for name, _ in mine} & {name for name, _ in theirs}:
            self.refused.append((one, other))
            return
        mine |= theirs
        for end in theirs:
            self._group[end] = mine

    def _by_strangers(self, by_key: Mapping[str, End]) -> None:
        """Machines that know a hub, which is no machine of ours, and not each other."""
        first: dict[str, End] = {}
        for end, each in sorted(self._ends.items()):
            for peer in each.peers:
                if peer.public_key not in by_key:
                    self._unite(first.setdefault(peer.public_key, end), end)

    def all(self) -> Iterator[dict[End, Inventory]]:
        seen: set[int] = set()
        for end in sorted(self._group):
            group = self._group[end]
            if id(group) not in seen:
                seen.add(id(group))
                yield {each: self._ends[each] for each in sorted(group)}


def _network(
    group: Mapping[End, Inventory],
    refused: Iterable[tuple[End, End]],
    by_key: Mapping[str, End],
    owners: Mapping[str, object],
) -> FoundNetwork:
    nodes = {name: each for (name, _), each in group.items()}
    seen: dict[str, dict[str, FoundPeer]] = {}
    for name, each in nodes.items():
        for peer in each.peers:
            if peer.public_key not in owners:
                seen.setdefault(peer.public_key, {})[name] = peer
    strangers = tuple(Stranger(key, seen[key]) for key in sorted(seen))
    contradictions = [
        *(f"{name}: {text}" for name, each in nodes.items() for text in each.problems),
        *_one_sided(group, by_key),
        *_shared(nodes),
        *(
            f"{other[1]} of {other[0]} and {one[1]} of {one[0]} do not agree whether they are of one network"
            for one, other in refused
            if other in group
        ),
    ]
    return FoundNetwork(nodes, strangers, tuple(dict.fromkeys(contradictions)))


def _one_sided(group: Mapping[End, Inventory], by_key: Mapping[str, End]) -> Iterator[str]:
    known = {end: {peer.public_key for peer in each.peers} for end, each in group.items()}
    for (name, _), each in group.items():
        for peer in each.peers:
            other = by_key.get(peer.public_key)
            if other in group and other is not None and each.public_key not in known[other]:
                yield f"{name} has {other[0]} as a peer, and {other[0]} does not have {name}"


def _shared(nodes: Mapping[str, Inventory]) -> Iterator[str]:
    for name, each in nodes.items():
        owner: dict[str, str] = {}
        for peer in each.peers:
            for network in peer.allowed_ips:
                if network in owner:
                    yield f"{name} has {network} in the AllowedIPs of two peers, {owner[network]} and {peer.public_key}"
                owner[network] = peer.public_key
    holder: dict[str, str] = {}
    for name, each in nodes.items():
        for address in each.addresses:
            host = address.partition("/")[0]
            if host in holder:
                yield f"{holder[host]} and {name} both have the address {host}"
            holder[host] = name
