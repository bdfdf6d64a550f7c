"""Checks of a lint: nodes and external peers that should meet, and cannot, or perhaps cannot."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from ipaddress import ip_address, ip_network
from typing import TypeVar

from ..errors import Problem
from ..model.addresses import Address, Subnet
from .context import Context

T = TypeVar("T")

# Addresses of one of these may be of one organisation (RFC 1918 and 6598), as may local IPv6 addresses (RFC 4193) whose
# first 48 bits agree.
_PRIVATE = [*map(ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"))]
_LOCAL_IPV6 = ip_network("fc00::/7")


def never_connect(context: Context, contexts: list[Context]) -> Iterator[Problem]:
    """Pairs that cannot connect, except two external peers, which need not."""
    count = 0
    examples: list[tuple[str, str]] = []
    for one, other in context.topology.never_connect():
        count += _pairs(one, other) - _pairs(one & context.peers, other & context.peers)
        first, second = (sorted(names, key=lambda name: (name in context.peers, name)) for names in (one, other))
        pairs = ((a, b) for a in first for b in second if a != b and not {a, b} <= context.peers)
        examples += itertools.islice(pairs, 3)
    if count:
        named = [f"{one} and {other}" for one, other in sorted({(min(pair), max(pair)) for pair in examples})[:3]]
        node = next(name for name in sorted(examples)[0] if name not in context.peers)
        entries = [entry for entry in context.network.entries(node) if entry.endpoint is not None]
        place = entries[0].place_of("endpoint") if entries else context.place_of(node)
        yield place.problem(
            f"in network {context.network.name}, {count} pair{'s' if count > 1 else ''} can never connect, as neither"
            f" side can be reached: {', '.join(named)}{', ...' if count > len(named) else ''}; give one side an"
            " endpoint, or the network a hub, or leave the pair out of `links`"
        )


def _pairs(one: Collection[str], other: Collection[str]) -> int:
    return len(one) * (len(one) - 1) // 2 if one == other else len(one) * len(other)


def may_not_meet(context: Context, contexts: list[Context]) -> Iterator[Problem]:
    """
    Nodes that offer private addresses only, of networks that have nothing in common, or the very same address. They use
    these for each other unless they have sites. A common site says that there is a route.
    """
    private = _private(context)
    twice = [
        (pair, f"{' and '.join(pair)} ({address})")
        for address, names in _by(private, lambda addresses: addresses[0]).items()
        if (pair := _linked(context, names, names))
    ]
    yield from _problem(
        context,
        "that offer the same private address cannot meet there",
        twice,
        "`withhold` it, or give one side an `endpoint:`, or each place a `site:` and the network a hub",
    )
    groups = _by(private, lambda addresses: frozenset(map(_network_of, addresses)))
    apart = [
        (pair, " and ".join(f"{name} ({private[name][0]})" for name in pair))
        for (one, names), (other, others) in itertools.combinations(groups.items(), 2)
        if one.isdisjoint(other) and (pair := _linked(context, names, others))
    ]
    yield from _problem(
        context,
        "that offer private addresses of different networks only may not meet",
        apart,
        "give one side an `endpoint:`, or each place a `site:` and the network a hub; where there is a route between"
        " them, give both one `site:`",
    )


def _problem(
    context: Context, what: str, found: Sequence[tuple[tuple[str, str], str]], advice: str
) -> Iterator[Problem]:
    """``found``: pairs, and what to say of each."""
    if found:
        (first, *_), _ = found[0]
        named = ", ".join([text for _, text in found[:3]] + (["..."] if len(found) > 3 else []))
        message = f"in network {context.network.name}, nodes {what}: {named}; {advice}"
        yield context.place_of(first).problem(message)


def _private(context: Context) -> dict[str, list[Address]]:
    """Node -> the addresses at which others reach it, if all of these are private."""
    offered = {
        name: [ip_address(text) for text in member.row.endpoints]
        for name, member in sorted(context.members.items())
        if member.row and member.settings.site is None
        if member.settings.endpoint is None or member.settings.forwarded_port
    }
    return {name: found for name, found in offered.items() if found and all(map(_network_of, found))}


def _network_of(address: Address) -> Subnet | None:
    """What it has in common with others that it can reach, perhaps; None for an address that is not private."""
    if address in _LOCAL_IPV6:
        return ip_network((int(address) >> 80 << 80, 48))
    return next((network for network in _PRIVATE if address in network), None)


def _by(private: Mapping[str, list[Address]], key: Callable[[list[Address]], T]) -> dict[T, list[str]]:
    groups: dict[T, list[str]] = {}
    for name, addresses in private.items():
        groups.setdefault(key(addresses), []).append(name)
    return groups


def _linked(context: Context, ones: Collection[str], others: Collection[str]) -> tuple[str, str] | None:
    """A pair that should meet. Nodes with the same links are looked at once."""
    by_links = {context.topology.linked(one): one for one in reversed([*ones])}
    found = ((one, linked.intersection(others) - {one}) for linked, one in by_links.items())
    return min(((one, min(names)) for one, names in found if names), default=None)
