"""The content of the registry, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..model.addresses import Address
from ..model.statements import Rollback
from .admission import Standing
from .exports import Export
from .pool import Holding

NodeId = tuple[str, str]  # (network, node)

# In place of the fingerprint of a Salt key: an operator vouches for the row.
VOUCHED = "vouched"


@dataclass(frozen=True)
class Row:
    """
    One node's accepted registration.

    ``salt_key`` is the fingerprint of the Salt key that signed it, or VOUCHED, ``next_key`` the public key that the
    node announced for a rotation, ``keyed`` the time at which it came to its present key (Unix seconds). ``addresses``
    are those that it has; not those that it had before it was gone, which are in ``Snapshot.former``.
    """

    network: str
    node: str
    public_key: str
    endpoints: tuple[str, ...]
    port: int
    serial: int
    salt_key: str
    registered: float
    addresses: tuple[Address, ...] = ()
    next_key: str | None = None
    keyed: float = 0.0

    @property
    def keys(self) -> tuple[str, ...]:
        """Its public key, and the announced one if there is one."""
        return (self.public_key, self.next_key) if self.next_key else (self.public_key,)

    @property
    def is_vouched(self) -> bool:
        """Whether an operator vouches for it, having fetched it by ssh or written it into the mesh file."""
        return self.salt_key == VOUCHED


@dataclass(frozen=True)
class Applied:
    """
    The last view that a node reported as applied, by digest, at which time (Unix seconds), under which Salt key;
    and the change that it took back instead, if it remembered one. ``obstacles``: what its machine cannot have of it.
    ``drift``: what others have changed there since.
    """

    digest: str
    salt_key: str
    reported: float
    rollback: Rollback | None = None
    obstacles: tuple[str, ...] = ()
    drift: tuple[str, ...] = ()


@dataclass(frozen=True)
class Refusal:
    """A statement about ``node`` that was not believed; ``last`` is in Unix seconds."""

    network: str
    node: str
    reason: str
    count: int
    last: float


@dataclass(frozen=True)
class Waiting:
    """A registration that an operator must decide about. ``question`` is "admit" or "rekey"."""

    network: str
    node: str
    question: str
    public_key: str
    salt_key: str
    since: float


@dataclass(frozen=True)
class Boots:
    """
    The boots of the machines that speak with one Salt key, by their ids.

    ``current`` is that of the machine that is believed, ``clones`` those of others that run at the same time. With
    ``fresh``, nobody has looked yet whether the machine of the boot before this one still runs as well.
    """

    current: str | None = None
    clones: tuple[str, ...] = ()
    fresh: bool = False


@dataclass(frozen=True)
class Drain:
    """
    A node that the others are moved off: since when, by whom and why. ``until``: when that ends by itself, None for
    never; both in Unix seconds. ``automatic``: a failover did it, not an operator.
    """

    since: float
    who: str
    why: str
    until: float | None = None
    automatic: bool = False


@dataclass(frozen=True)
class Snapshot:
    """
    All that views are made from, at one generation. Within a process, one generation is one object.

    ``noted``: network -> its registered members when it was last settled. ``former``: network -> addresses that their
    nodes do not use any more. ``untouched``: network -> subnet -> see ``pool.Ledger``. ``unrecorded``: those of the
    ``standings`` that the registry does not have: it is older than they are. ``sources``: those of the
    fleet when all this was last settled, see ``Fleet.sources``. ``drains``: also those whose time is over.
    """

    generation: int = 0
    rows: Mapping[NodeId, Row] = field(default_factory=dict)
    standings: Mapping[NodeId, Standing] = field(default_factory=dict)
    waiting: Mapping[NodeId, Waiting] = field(default_factory=dict)
    boots: Mapping[tuple[str, str], Boots] = field(default_factory=dict)  # (node, Salt key) -> boots
    noted: Mapping[str, frozenset[str]] = field(default_factory=dict)
    exports: Mapping[NodeId, Export] = field(default_factory=dict)
    former: Mapping[str, tuple[Holding, ...]] = field(default_factory=dict)
    untouched: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    unrecorded: Mapping[NodeId, Standing] = field(default_factory=dict)
    sources: str = ""
    drains: Mapping[NodeId, Drain] = field(default_factory=dict)

    def holdings(self, network: str) -> list[Holding]:
        """All addresses of a network that nodes and peers have, or had."""
        rows = ((row.node, row.addresses) for row in self.rows.values() if row.network == network)
        exported = ((each.peer, each.addresses) for each in self.exports.values() if each.network == network)
        held = [Holding(address, name) for name, addresses in (*rows, *exported) for address in addresses]
        return [*held, *self.former.get(network, ())]


EMPTY = Snapshot()
