"""Who belongs to a network: mesh file, accepted Salt keys, and the decisions of operators."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from ..meshfile.mesh import Network, NodeSettings
from ..model.addresses import Address, Subnet, ipv4_first
from ..model.names import WHAT_IDS_ARE, is_id
from ..registry.admission import ADMITTED, REVOKED, Standing, excluded
from ..registry.rows import NodeId, Row, Snapshot
from ..registry.salt_keys import AcceptedKey


@dataclass(frozen=True)
class Member:
    """
    A minion that is a member by mesh file and accepted keys.

    ``row``: None until it has registered. ``allocated``: the addresses from the registry, without those from the mesh
    file. ``has_key``: whether its Salt key is accepted; if not, an operator vouches for it, and no job reaches it.
    """

    node: str
    settings: NodeSettings
    row: Row | None = None
    allocated: tuple[Address, ...] = ()
    has_key: bool = True

    @property
    def has_registered(self) -> bool:
        """Whether its minion has registered by itself."""
        return self.row is not None and not self.row.is_vouched

    @property
    def is_to_register(self) -> bool:
        """Whether its minion can and should register."""
        return self.has_key and not self.has_registered

    def may_have(self, network: Subnet) -> bool:
        """Whether the mesh file lets it have addresses of this IP version."""
        return network.version in self.settings.ip_versions

    @cached_property
    def addresses(self) -> tuple[Address, ...]:
        """All its addresses, IPv4 first."""
        return tuple(ipv4_first({*self.settings.addresses, *self.allocated}))


@dataclass(frozen=True, eq=False)
class Membership(Collection[str]):
    """
    The members of a network. Looking one up does not compute the others.

    ``vouched``: node -> the public key that an operator vouches for. ``now`` is in Unix seconds.
    """

    network: Network
    accepted: Mapping[str, AcceptedKey]
    standings: Mapping[NodeId, Standing]
    now: float
    vouched: Mapping[str, str]

    def vouching_for(self, node: str, public_key: str) -> Membership:
        """The same if an operator also vouches for this public key of the node."""
        return replace(self, vouched={**self.vouched, node: public_key})

    @cached_property
    def _vouched(self) -> Mapping[str, str]:
        """Those that the mesh file allows."""
        return {node: key for node, key in self.vouched.items() if may_have(self.network.settings(node), key)}

    def settings(self, node: object) -> NodeSettings | None:
        """The settings of a member, None for everybody else."""
        return None if not isinstance(node, str) or self.why_not(node) else self.network.settings(node)

    def why_not(self, node: str) -> str | None:
        """Why the node is no member; None for members."""
        if node not in self.accepted and node not in self._vouched:
            return "its Salt key is not accepted"
        settings = self.network.settings(node)
        if settings is None and not self.network.peer(node):
            return "not in the mesh file"
        problem = self.problem_of_id(node)
        if problem:
            return problem
        return excluded(settings, self.standings.get((self.network.name, node)), self.now)

    def problem_of_id(self, node: str) -> str | None:
        """Why a minion in the mesh file cannot be a member under this id; None if it can."""
        if not is_id(node):
            return f"its minion id is not made of {WHAT_IDS_ARE}"
        namesake = self.network.namesake(node)
        if namesake is None:
            return None
        if self.network.peer(namesake):
            return "a peer of the mesh file has its name"
        return f"the mesh file has {namesake}: two ids that differ only in case are one host name"

    def is_withdrawn(self, row: Row) -> bool:
        """Whether the node of this row is no longer trusted, whatever the mesh file says."""
        if excluded(self.network.settings(row.node), self.standings.get((row.network, row.node)), self.now):
            return True
        if row.is_vouched:
            return row.node not in self._vouched
        key = self.accepted.get(row.node)
        return key is None or key.fingerprint != row.salt_key

    @cached_property
    def suspended(self) -> frozenset[str]:
        """The nodes that would be members if they were not revoked: a revocation can be undone."""
        revoked = {
            node: standing
            for (network, node), standing in self.standings.items()
            if network == self.network.name and standing.state == REVOKED
        }
        admitted = {(self.network.name, node): replace(each, state=ADMITTED) for node, each in revoked.items()}
        others = replace(self, standings=admitted)
        return frozenset(node for node in revoked if node in others)

    def __contains__(self, node: object) -> bool:
        return self.settings(node) is not None

    def __iter__(self) -> Iterator[str]:
        return (node for node in {**self.accepted, **self._vouched} if node in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def may_have(settings: NodeSettings | None, public_key: str) -> bool:
    """Whether the mesh file lets the node have this public key."""
    return settings is not None and settings.public_key in (None, public_key)


def vouched_keys(snapshot: Snapshot, network: str | None = None) -> dict[str, str]:
    """node -> the public key that an operator vouches for, in this network or in any."""
    return {
        node: row.public_key
        for (name, node), row in snapshot.rows.items()
        if row.is_vouched and network in (None, name)
    }
