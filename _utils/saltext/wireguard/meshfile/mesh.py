"""The mesh as frozen dataclasses. Those that ``parse.parse_mesh`` returns are valid."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from ..errors import Problem
from ..model.addresses import Address, Subnet
from ..model.endpoint import Endpoint
from ..model.offers import ANY, Offers
from .patterns import Kind, Matches, Nodegroups, ids_of, kind_of, matcher, specificity

# The two ends that a link joins, each a group, a minion id, the name of a peer, or everybody.
Link = tuple[str, str]
EVERYBODY = "*"


def ends_of(name: str, groups: Collection[str], all_groups: Collection[str]) -> set[str]:
    """
    The ends of links that a node or peer of this name and these groups matches. If a group has its name, the end means
    the group: a minion cannot get into a group by its id.
    """
    return {EVERYBODY, *groups, *({name} - {*all_groups})}


IP_VERSIONS = frozenset({4, 6})
DEFAULT_INTERFACE = "wg0"
DEFAULT_PORT = 51820
DEFAULT_KEEPALIVE = 25
DEFAULT_QUARANTINE = 7 * 86_400
DEFAULT_FAILOVER_AFTER = 10
DEFAULT_FAILBACK = 600


@dataclass(frozen=True, slots=True)
class Place:
    """A line of a file; lines count from 1."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"

    def problem(self, message: str) -> Problem:
        """What is wrong here."""
        return Problem(self.file, self.line, message)


@dataclass(frozen=True)
class AddressRange:
    """All addresses from ``first`` to ``last``, which are of one IP version."""

    first: Address
    last: Address

    def __contains__(self, address: Address) -> bool:
        return address.version == self.first.version and int(self.first) <= int(address) <= int(self.last)

    def __str__(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first}-{self.last}"


# What becomes of what others change on nodes behind our back.
REPAIR, REPORT = "repair", "report"


class _Placed:
    """One entry of the file: ``place`` is that of its key, ``places`` are those of its settings."""

    place: Place
    places: Mapping[str, Place]

    def place_of(self, setting: str) -> Place:
        """Where the setting is, or the entry if it has no such setting."""
        return self.places.get(setting, self.place)


def _no_places() -> Any:
    return field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True)
class NodeEntry(_Placed):
    """One entry of a network's ``nodes``: the settings of a minion id, or of all ids that match a glob."""

    pattern: str
    place: Place
    addresses: tuple[Address, ...] = ()
    endpoint: tuple[Endpoint, ...] | Literal[False] | None = None
    port: int | None = None
    mtu: int | None = None
    expires: int | None = None
    groups: frozenset[str] | None = None
    site: str | None = None
    endpoints: Mapping[str, Endpoint] | None = None
    hub: bool | None = None
    routes: tuple[Subnet, ...] | None = None
    priority: int | None = None
    exit: bool | None = None
    via: tuple[str, ...] | Literal[False] | None = None
    public_key: str | None = None
    ip_versions: frozenset[int] | None = None
    offer: tuple[str, ...] | None = None
    withhold: tuple[str, ...] | None = None
    places: Mapping[str, Place] = _no_places()

    @property
    def is_pattern(self) -> bool:
        """Whether many ids may match it."""
        return kind_of(self.pattern) is not Kind.ID

    @property
    def is_nodegroup(self) -> bool:
        """Whether the master's configuration says who matches it."""
        return kind_of(self.pattern) is Kind.NODEGROUP

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids that it names one by one."""
        return ids_of(self.pattern)


@dataclass(frozen=True)
class NodeSettings:
    """
    The settings of one minion in one network, merged from all its entries.

    ``endpoint``: where others connect to, in order of preference; False if the node cannot be reached, None if the file
    does not say. One without a host is a port at which others reach the address that the node offers. ``endpoints``:
    what nodes of another site connect to instead, by site. ``port``: where the node listens. ``mtu``: None leaves it to
    the node. ``expires``: the Unix time at which the membership ends, None if it does not. ``routes``: the networks
    behind the node. ``priority``: of several hubs, or several nodes with the same network behind them, the one with the
    lowest is used. ``exit``: whether others may route everything through this node. ``via``: the exit node of this one,
    None for none. ``public_key``: the only one that the node may have, None if its registration decides.
    ``ip_versions``: those that it takes part with. ``offers``: which of its addresses it may offer as endpoints.
    """

    addresses: tuple[Address, ...]
    endpoint: tuple[Endpoint, ...] | Literal[False] | None
    port: int
    expires: int | None = None
    groups: frozenset[str] = frozenset()
    site: str | None = None
    endpoints: Mapping[str, Endpoint] = field(default_factory=dict)
    hub: bool = False
    routes: tuple[Subnet, ...] = ()
    priority: int = 0
    exit: bool = False
    via: str | None = None
    exits: tuple[str, ...] = ()
    mtu: int | None = None
    public_key: str | None = None
    ip_versions: frozenset[int] = IP_VERSIONS
    offers: Offers = ANY

    @property
    def forwarded_port(self) -> int | None:
        """The port at which others reach the address that the node offers, if the file has one for that alone."""
        return next((each.port for each in self.endpoint or () if not each.host), None)

    @property
    def forwards(self) -> bool:
        """Whether the node passes packets on for others."""
        return self.carries or self.exit

    @property
    def carries(self) -> bool:
        """Whether other nodes may be reached through this one."""
        return self.hub or bool(self.routes)


@dataclass(frozen=True)
class ExternalPeer(_Placed):
    """
    An external peer.

    ``endpoint``: as of a node; None means that it connects to the nodes. ``routes``: the networks behind it.
    ``public_key``: None until the export, which also gives it the addresses that the file does not. ``preshared_key``:
    whether it has preshared keys with the nodes. ``via`` and ``dns``: the exit node, and name servers and search
    domains in its exported configuration; None for ``dns`` means those of the network.
    """

    name: str
    place: Place
    public_key: str | None = None
    addresses: tuple[Address, ...] = ()
    endpoint: tuple[Endpoint, ...] | None = None
    groups: frozenset[str] = frozenset()
    routes: tuple[Subnet, ...] = ()
    preshared_key: bool = False
    via: tuple[str, ...] | Literal[False] | None = None
    dns: tuple[str, ...] | Literal[False] | None = None
    places: Mapping[str, Place] = _no_places()


# A network remembers what it says of so many nodes: anybody may ask under made-up ids.
_MOST_REMEMBERED = 50_000


@dataclass(frozen=True)
class Network(_Placed):
    """
    One network: one WireGuard interface on each of its nodes.

    ``admit`` and ``rekey``: "auto" or "manual"; whether a node's first key, or a later one that no rotation announced,
    counts as soon as the node registers it, or only once an operator approves it. ``rotate_every``: the age in seconds
    at which a key is rotated, None for never. ``links``: None joins everybody with everybody. ``preshared_keys``:
    whether each pair of nodes has a preshared key. ``exclude``: addresses that are never allocated. ``quarantine``: the
    seconds after which the address of a former node is allocated again. ``hosts``: whether the nodes' hosts files have
    each other's names, in the ``domain`` if there is one. ``failover``: "auto", "ask" or "off"; whether the nodes leave
    a hub, or a node with a network behind it, that fails them. ``failover_after`` and ``failback``: for so many seconds
    it must have failed, or be well again; None for never. ``dns``: name servers and search domains in what is exported
    for external peers. ``dynamic_routing``: whether routing daemons make the routes. ``drift``: "repair" or "report",
    what becomes of what others change on nodes. ``nodegroups``: those of the master; None where they are not known.
    """

    name: str
    place: Place
    interface: str = DEFAULT_INTERFACE
    port: int = DEFAULT_PORT
    subnets: tuple[Subnet, ...] = ()
    mtu: int | None = None
    keepalive: int = DEFAULT_KEEPALIVE
    nodes: tuple[NodeEntry, ...] = ()
    peers: tuple[ExternalPeer, ...] = ()
    admit: str = "auto"
    rekey: str = "auto"
    rotate_every: int | None = None
    links: tuple[Link, ...] | None = None
    preshared_keys: bool = False
    exclude: tuple[AddressRange, ...] = ()
    quarantine: int = DEFAULT_QUARANTINE
    failover: str = "off"
    failover_after: int = DEFAULT_FAILOVER_AFTER
    failback: int | None = DEFAULT_FAILBACK
    hosts: bool = False
    domain: str | None = None
    dns: tuple[str, ...] = ()
    dynamic_routing: bool = False
    drift: str = REPAIR
    places: Mapping[str, Place] = _no_places()
    nodegroups: Nodegroups | None = field(default=None, compare=False, repr=False)

    def entries(self, node: str) -> list[NodeEntry]:
        """The entries that match ``node``, the most specific first."""
        exact = self._exact.get(node)
        return ([] if exact is None else [exact]) + [entry for matches, entry in self._patterns if matches(node)]

    def settings(self, node: str) -> NodeSettings | None:
        """
        Return the merged settings of ``node``, or None if no entry matches it.

        Each setting comes from the most specific entry that has it: the exact id, then lists, globs, regular
        expressions and nodegroups; see ``patterns.specificity``. Of equals, it is the later one in the file.
        """
        if node not in self._settings:
            if len(self._settings) > _MOST_REMEMBERED:
                self._settings.clear()
            self._settings[node] = self._settings_of(node)
        return self._settings[node]

    @cached_property
    def _settings(self) -> dict[str, NodeSettings | None]:
        """Put together once: a reconcile asks for each node's several times."""
        return {}

    def _settings_of(self, node: str) -> NodeSettings | None:
        entries = self.entries(node)
        if not entries:
            return None

        def most_specific(name: str, default: Any = None) -> Any:
            values = (getattr(entry, name) for entry in entries)
            return next((value for value in values if value is not None), default)

        exits = most_specific("via") or ()
        if node in exits:  # two exits would send everything to each other
            exits = ()
        return NodeSettings(
            addresses=entries[0].addresses,
            endpoint=most_specific("endpoint"),
            port=most_specific("port", self.port),
            mtu=most_specific("mtu", self.mtu),
            expires=most_specific("expires"),
            groups=most_specific("groups", frozenset()),
            site=most_specific("site"),
            endpoints=most_specific("endpoints", {}),
            hub=most_specific("hub", False),
            routes=most_specific("routes", ()),
            priority=most_specific("priority", 0),
            exit=most_specific("exit", False),
            via=exits[0] if exits else None,
            exits=exits,
            public_key=most_specific("public_key"),
            ip_versions=most_specific("ip_versions", IP_VERSIONS),
            offers=Offers(most_specific("offer", ()), most_specific("withhold", ())),
        )

    def peer(self, name: str) -> ExternalPeer | None:
        """The external peer of this name, or None."""
        return self._peers_by_name.get(name)

    def subnet_of(self, address: Address) -> Subnet | None:
        """Return the subnet that contains ``address``, or None."""
        return next((subnet for subnet in self.subnets if address in subnet), None)

    @cached_property
    def groups(self) -> frozenset[str]:
        """All groups that the file gives to nodes or peers."""
        named = [*(entry.groups or () for entry in self.nodes), *(peer.groups for peer in self.peers)]
        return frozenset(group for groups in named for group in groups)

    def names(self, name: str) -> bool:
        """Whether the file has exactly this name, as a peer or as a node's id; a matching pattern does not count."""
        return name in self._peers_by_name or name in self._ids

    def namesake(self, node: str) -> str | None:
        """The peer or the other minion id in the file whose host name a minion of the id ``node`` would share."""
        other = self._folded.get(node.lower())
        return None if other == node and node in self._ids else other

    @cached_property
    def _folded(self) -> dict[str, str]:
        """Host names are compared without case."""
        return {name.lower(): name for name in (*self._ids, *self._exact, *self._peers_by_name)}

    @cached_property
    def _ids(self) -> dict[str, None]:
        """All ids that the file names, also in lists."""
        return {name: None for entry in self.nodes for name in entry.ids}

    @cached_property
    def _peers_by_name(self) -> dict[str, ExternalPeer]:
        return {peer.name: peer for peer in self.peers}

    @cached_property
    def reserved(self) -> frozenset[Address]:
        """All addresses that the file gives to nodes and peers."""
        named = [entry.addresses for entry in self.nodes] + [peer.addresses for peer in self.peers]
        return frozenset(address for addresses in named for address in addresses)

    @cached_property
    def _exact(self) -> dict[str, NodeEntry]:
        return {entry.pattern: entry for entry in self.nodes if not entry.is_pattern}

    @cached_property
    def _patterns(self) -> list[tuple[Matches, NodeEntry]]:
        """What tells whom an entry means, the most specific first; reversed as the sort is stable."""
        found = [entry for entry in reversed(self.nodes) if entry.is_pattern]
        found.sort(key=lambda entry: specificity(entry.pattern))
        return [(matcher(entry.pattern, self.nodegroups), entry) for entry in found]


@dataclass(frozen=True)
class Mesh:
    """
    All networks.

    ``changed_at``: the time of the last change of a file, in Unix seconds. ``cut_off``: a file that does not end with a
    line break. Both hint at somebody who is still writing. ``digest``: identifies the content; "" if it is not from
    files.
    """

    networks: tuple[Network, ...]
    changed_at: float = field(default=0.0, compare=False)
    cut_off: str | None = field(default=None, compare=False)
    digest: str = field(default="", compare=False)

    def entries(self) -> Iterator[NodeEntry]:
        """Those of all networks."""
        return (entry for network in self.networks for entry in network.nodes)

    def network(self, name: str) -> Network | None:
        return next((network for network in self.networks if network.name == name), None)
