"""
How to return a device to its last good state: what to remember before a change, and which view leads back.

Pure: ``node.converge`` and ``node.trial`` do it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from ..model.changes import Kind
from ..model.device import Device
from ..model.peer import Peer
from ..model.view import View
from .operations import Applied, Operation


@dataclass(frozen=True)
class RollbackState:
    """
    What a rollback needs besides the last good configuration.

    ``port`` and ``mtu`` are those that the system chose. ``endpoints``: public key to ``ip:port`` of the peers that
    the change moves or removes, so that a rollback resolves no name. ``routes``: the networks that the change routes.
    ``former``: the interface that this one follows.
    """

    port: int | None = None
    mtu: int | None = None
    endpoints: Mapping[str, str] | None = None
    routes: tuple[str, ...] = ()
    former: str | None = None

    @classmethod
    def of(cls, device: Device | None, operations: Iterable[Operation], wanted: View) -> RollbackState:
        """For operations that lead from this device to the wanted view."""
        needed = tuple(sorted(wanted.routes))
        if device is None:
            return cls(routes=needed)
        stay = _untouched_endpoints(device, operations, wanted)
        endpoints = {key: peer.endpoint for key, peer in device.peers.items() if peer.endpoint and key not in stay}
        return cls(device.port or None, device.mtu or None, endpoints, needed)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> RollbackState:
        """The opposite of ``to_dict``."""
        return cls(data["port"], data["mtu"], data["endpoints"], tuple(data["routes"]), data["former"])

    def to_dict(self) -> dict[str, Any]:
        """For the journal; nothing in it is secret."""
        return asdict(self)

    def before(self, later: RollbackState) -> RollbackState:
        """Return the state that undoes both changes: this one never finished, and a later one began."""
        endpoints = {**(later.endpoints or {}), **(self.endpoints or {})}
        return RollbackState(self.port, self.mtu, endpoints, tuple(sorted({*self.routes, *later.routes})), self.former)


def _untouched_endpoints(device: Device, operations: Iterable[Operation], wanted: View) -> set[str]:
    """The keys of the peers whose endpoints the change leaves alone."""
    changes = [operation.change for operation in operations if operation.change.kind == Kind.PEER]
    moved = {change.name for change in changes if isinstance(change.new, Mapping) and "endpoint" in change.new}
    return {peer.public_key for peer in wanted.peers if peer.public_key in device.peers and peer.name not in moved}


def rollback_target(before: View, state: RollbackState) -> tuple[View, Applied]:
    """
    Return the view to roll back to, and what ``diff`` is to take for applied. Peers that roamed by themselves keep
    their endpoints, and those that the change moved get theirs back.
    """
    endpoints = state.endpoints or {}
    peers = tuple(replace(peer, endpoint=endpoints.get(peer.public_key, peer.endpoint)) for peer in before.peers)
    view = replace(before, peers=peers, port=before.port or state.port, mtu=before.effective_mtu or state.mtu)
    known = Applied.of(before)
    untouched = {key: endpoint for key, endpoint in known.endpoints.items() if key not in endpoints}
    return view, replace(known, endpoints=untouched, routes=known.routes.union(state.routes))


def as_view(device: Device, network: str | None, preshared_keys: Mapping[str, str]) -> View:
    """
    Return a device as a view to roll back to, if no configuration file describes one. Public keys stand in for the
    names of the peers, which are unknown.

    :param preshared_keys: by public key of the peer, for those that have one
    """
    peers = tuple(
        Peer(
            key,
            key,
            tuple(sorted(peer.allowed_ips)),
            peer.endpoint,
            peer.keepalive,
            preshared=key in preshared_keys,
            preshared_key=preshared_keys.get(key),
        )
        for key, peer in sorted(device.peers.items())
    )
    addresses = tuple(sorted(device.addresses))
    return View(device.interface, addresses, peers, network, device.port or None, device.mtu or None)
