"""
A guard against slips: a mistyped glob, a missing file, an emptied directory of keys, a smaller subnet.

A node that the mesh file does not list is removed, and takes its tunnels down. If that would happen to most of a
network at once, no node gets the change until an operator confirms it. Revocation and expiry are decisions, not slips,
and do not count. The same guard applies to subnets that lack an address in use, as its node would need another one.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from ..meshfile.mesh import Mesh, Place
from ..model.addresses import Address
from ..registry.admission import excluded
from ..registry.rows import Snapshot
from ..wording import some

# A network of fewer members is not guarded. Others may lose half of their members.
LEAST_MEMBERS = 4


@dataclass(frozen=True)
class Loss:
    """
    The loss of most of a network, which had ``of`` members when it was last settled, without those that an operator has
    removed since.

    ``unlisted``: not in the mesh file. ``without_key``: no accepted Salt key. ``place``: where the mesh file lists the
    network's nodes, None if the network is gone.
    """

    network: str
    of: int
    unlisted: frozenset[str]
    without_key: frozenset[str]
    place: Place | None

    @property
    def summary(self) -> str:
        """Without names, because nodes see it too, and not every node knows every other."""
        count = len(self.unlisted) + len(self.without_key)
        return f"network {self.network} would lose {count} of its {self.of} nodes at once"

    def describe(self, mesh_path: str) -> str:
        """With names, and where to look."""
        reasons = []
        if self.unlisted and self.place:
            reasons.append(f"the mesh file ({self.place}) does not list {some(self.unlisted)}")
        elif self.unlisted:
            reasons.append(f"the mesh file ({mesh_path}) has no such network, which had {some(self.unlisted)}")
        if self.without_key:
            reasons.append(f"there is no accepted Salt key (`salt-key -L`) of {some(self.without_key)}")
        return f"{self.summary}: {' and '.join(reasons)}"


@dataclass(frozen=True)
class Outside:
    """Members with addresses outside all subnets of their network. ``place``: where the mesh file has the subnets."""

    network: str
    nodes: Mapping[str, Sequence[Address]]
    place: Place

    @property
    def summary(self) -> str:
        """Without names."""
        who = "1 node" if len(self.nodes) == 1 else f"{len(self.nodes)} nodes"
        has = "has" if len(self.nodes) == 1 else "have"
        return f"{who} of network {self.network} {has} addresses outside its subnets"

    def describe(self, mesh_path: str) -> str:
        """With names, and where to look."""
        named = [f"{node} ({', '.join(map(str, addresses))})" for node, addresses in sorted(self.nodes.items())]
        return (
            f"{self.summary} ({self.place}): {some(named)}. Write subnets that contain these, or give the nodes"
            " others by `addresses:`"
        )


@dataclass(frozen=True)
class Unfinished:
    """
    Nodes that a mesh file does not list any more which somebody may still be writing. ``until``: the Unix time from
    which the file counts; None if it must be changed first.
    """

    network: str
    unlisted: frozenset[str]
    reason: str
    until: float | None

    @property
    def summary(self) -> str:
        """Without names."""
        nodes = f"{len(self.unlisted)} node{'s' if len(self.unlisted) > 1 else ''}"
        return f"network {self.network} would lose {nodes}, and the mesh file {self.reason}"

    def describe(self, mesh_path: str) -> str:
        """With names, and where to look."""
        how = "End it with a line break if it is complete" if self.until is None else "In a moment it counts as it is"
        return f"{self.summary}: {mesh_path} does not list {some(self.unlisted)}. {how}"


# How long a mesh file must be unchanged before it removes a node, and before it removes many: a slow copy may pause in
# the middle of a file, and most files that are cut off are valid.
SETTLE_SECONDS = 2.0
SETTLE_SECONDS_FOR_MANY = 10.0
MANY = 0.1


def unfinished(mesh: Mesh, snapshot: Snapshot, now: float) -> list[Unfinished]:
    """What the networks would lose because of a mesh file that may be incomplete."""
    result = []
    for name, noted in snapshot.noted.items():
        network = mesh.network(name)
        gone = frozenset(node for node in noted if network is None or network.settings(node) is None)
        if not gone:
            continue
        few = len(gone) <= max(1, MANY * len(noted))
        settles = mesh.changed_at + (SETTLE_SECONDS if few else SETTLE_SECONDS_FOR_MANY)
        if mesh.cut_off:
            result.append(Unfinished(name, gone, "does not end with a line break, as if it were cut off", None))
        elif now < settles <= now + SETTLE_SECONDS_FOR_MANY:
            result.append(Unfinished(name, gone, "was changed a moment ago, so it may be incomplete", settles))
    return result


def losses(
    mesh: Mesh, snapshot: Snapshot, accepted: Collection[str], members: Mapping[str, Collection[str]], now: float
) -> list[Loss]:
    """The losses of networks that an operator must confirm. ``members``: network -> its current members."""
    result = []
    for name, noted in snapshot.noted.items():
        network = mesh.network(name)
        gone = set()
        for node in noted.difference(members.get(name, ())):
            settings = network.settings(node) if network else None
            if not excluded(settings, snapshot.standings.get((name, node)), now):
                gone.add(node)
        expected = len(gone) + sum(1 for node in noted if node in members.get(name, ()))
        if expected >= LEAST_MEMBERS and 2 * len(gone) > expected:
            without_key = frozenset(node for node in gone if node not in accepted)
            place = network.place_of("nodes") if network else None
            result.append(Loss(name, expected, frozenset(gone) - without_key, without_key, place))
    return result
