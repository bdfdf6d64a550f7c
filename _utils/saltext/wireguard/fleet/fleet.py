"""
The whole fleet at one moment: mesh file, registry and accepted keys, combined.

A node is a member of a network if the mesh file lists it, its Salt key is accepted, and its registration was signed
with that key; or if the mesh file lists it and an operator vouches for its public key. All views follow from these
three sources alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property

from ..errors import MeshError
from ..meshfile.mesh import Mesh
from ..model.preshared import Secret
from ..model.view import View
from ..registry.rows import NodeId, Snapshot
from ..registry.salt_keys import AcceptedKey
from .differences import differences
from .held import HeldAddresses
from .losses import Loss, Outside, Unfinished, losses, unfinished
from .membership import Member, vouched_keys
from .network import NetworkState


class Fleet:
    """
    Views and members of every network. Raises MeshError when mesh file and registry contradict each other.

    ``now`` and ``valid_until`` are in Unix seconds: the time for which this was computed, and the next at which a node
    expires. ``losses``: changes that reach no node before an operator confirms them. ``unfinished``: changes that reach
    no node before the mesh file has settled. ``secret``: the source of preshared keys, if they matter.
    """

    def __init__(
        self,
        mesh: Mesh,
        snapshot: Snapshot,
        accepted: Mapping[str, AcceptedKey],
        now: float,
        secret: Secret | None = None,
        before: Fleet | None = None,
    ) -> None:
        """``before``: the fleet of the same mesh and secret by earlier sources, from which the rest is taken."""
        self.mesh = mesh
        self._snapshot = snapshot
        self._accepted = accepted
        self._secret = secret
        self.networks = (before and self._changed_networks(before, now)) or self._new_networks(now)
        self._has_lapsed = any(each.until is not None and each.until <= now for each in snapshot.drains.values())
        self.unfinished = unfinished(mesh, snapshot, now)
        moments = [moment for state in self.networks.values() for moment in state.expiries() if moment > now]
        moments += [each.until for each in self.unfinished if each.until is not None]
        self.valid_until = min(moments, default=float("inf"))
        problems = [problem for state in self.networks.values() for problem in state.problems()]
        if problems:
            raise MeshError(problems)
        members = {name: state.members for name, state in self.networks.items()}
        trusted = {*accepted, *vouched_keys(snapshot)}
        self.losses: list[Loss | Outside] = [*losses(mesh, snapshot, trusted, members, now), *self._outside()]

    def _new_networks(self, now: float) -> dict[str, NetworkState]:
        networks, snapshot = self.mesh.networks, self._snapshot
        self._held = HeldAddresses(networks, snapshot)
        return {
            network.name: NetworkState(network, snapshot, self._accepted, now, self._secret, networks, self._held)
            for network in networks
        }

    def _changed_networks(self, before: Fleet, now: float) -> dict[str, NetworkState] | None:
        """None where the change is about more than single nodes."""
        found = differences(before._snapshot, self._snapshot, before._accepted, self._accepted)
        if found is None or now >= before.valid_until:
            return None
        held = before._held.changed(self._snapshot, found.rows)
        networks = {}
        for name, state in before.networks.items():
            changed = state.changed(self._snapshot, self._accepted, now, found.nodes, held)
            if changed is None:
                return None
            networks[name] = changed
        self._held = held[0]
        return networks

    def _outside(self) -> Iterator[Outside]:
        for network in self.mesh.networks:
            nodes = self.networks[network.name].addresses_outside()
            if nodes:
                yield Outside(network.name, nodes, network.place_of("subnets"))

    def members(self) -> Iterator[tuple[str, Member]]:
        """(network, member) of all networks."""
        for name, state in self.networks.items():
            for member in state.members.values():
                yield name, member

    @property
    def sources(self) -> str:
        """Identifies the sources of views besides the registry: the mesh file and the secret of preshared keys."""
        return f"{self.mesh.digest} {self._secret.name}" if self._secret else self.mesh.digest

    @cached_property
    def generation(self) -> int:
        """
        That of the registry, or the next one while something has changed that the registry does not know yet: a source,
        an accepted key, the end of a membership or of a drain. So views after the change are newer than all views
        before it. The next reconcile records the change and advances the registry's generation.
        """
        noted = {name: nodes for name, nodes in self._snapshot.noted.items() if nodes}
        registered = {name: state.registered for name, state in self.networks.items() if state.registered}
        is_settled = self.sources == self._snapshot.sources and registered == noted and not self._has_lapsed
        generation = self._snapshot.generation
        return generation if is_settled or not generation else generation + 1

    def views(self, node: str) -> dict[str, View]:
        """
        Network -> the view of ``node`` without the preshared keys. Empty for a minion that is in no network.
        """
        networks = {name: state for name, state in self.networks.items() if node in state.members}
        return {name: self._dated(state.view(node)) for name, state in networks.items()}

    def _dated(self, view: View) -> View:
        return replace(view, generation=self.generation)

    def views_with_secrets(self, node: str) -> dict[str, View]:
        """The same with the preshared keys: for the node itself, and for nobody else."""
        networks = {name: state for name, state in self.networks.items() if node in state.members}
        return {name: self._dated(state.view_with_secrets(node)) for name, state in networks.items()}

    def digests(self) -> dict[NodeId, str]:
        """What every registered member should report as applied. Computed once: n nodes hash n * n times 32 bytes."""
        return self._digests

    @cached_property
    def _digests(self) -> dict[NodeId, str]:
        return {
            (name, node): digest for name, state in self.networks.items() for node, digest in state.digests().items()
        }

    def digest(self, network: str, node: str) -> str | None:
        """The same of one member of a network; None if it has not registered."""
        return self.networks[network].digest(node)

    def losses_of(self, node: str) -> list[Loss | Outside | Unfinished]:
        """The losses of networks that the node is in, or was in when they were last settled."""
        return [
            loss
            for loss in (*self.losses, *self.unfinished)
            if node in self._snapshot.noted.get(loss.network, ())
            or (loss.network in self.networks and node in self.networks[loss.network].members)
        ]

    def was_member(self, node: str) -> bool:
        """Whether the registry remembers the node from some network."""
        return node in self._known_nodes

    @cached_property
    def _known_nodes(self) -> frozenset[str]:
        return frozenset(node for _, node in self._snapshot.rows)


_Sources = tuple[Mesh, Snapshot, Mapping[str, AcceptedKey], Secret | None]
_current: dict[str, tuple[_Sources, Fleet]] = {}


def current(
    registry: str,
    mesh: Mesh,
    snapshot: Snapshot,
    accepted: Mapping[str, AcceptedKey],
    now: float,
    secret: Secret | None = None,
) -> Fleet:
    """
    The fleet of these sources; ``registry`` is the path of the registry. The same object is returned until one of the
    other four is another object, or a membership expires.

    Threads may call this at the same time. Then each may compute a fleet, and the last one is kept, together with its
    sources.
    """
    sources = (mesh, snapshot, accepted, secret)
    known = _current.get(registry)
    if known and all(old is new for old, new in zip(known[0], sources, strict=True)) and now < known[1].valid_until:
        return known[1]
    is_of_same_mesh = known is not None and known[0][0] is mesh and known[0][3] is secret
    fleet = Fleet(mesh, snapshot, accepted, now, secret, known[1] if known and is_of_same_mesh else None)
    _current[registry] = (sources, fleet)
    return fleet
