"""
Whether a change on a device has worked, and the way back if it has not.

Pure: the node looks and waits (``node.trial``); here is decided at what, and what it means.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from ..model.changes import Facts, Kind, Subject
from ..model.device import Device, DevicePeer
from ..model.view import Peer, View
from .operations import Applied, Operation

# What of the interface itself concerns the sessions with all peers.
_FOR_ALL = (Kind.PRIVATE_KEY, Kind.LISTEN_PORT, Kind.LINK, Kind.ADDRESS)

# What of a peer does not keep it from coming back; or, as a preshared key, not before the other end has it as well, for
# which the session that lives leaves time.
_HARMLESS = {"keepalive", "preshared_key"}


# -- who must come back


def concerned(operations: Iterable[Operation], wanted: View, device: Device | None, now: int) -> frozenset[str]:
    """
    Return the public keys of the peers that have a session now, stay, and are touched by the operations: those that
    must come back. A peer that is only added or removed, or has another key, is none of them.

    :param device: as it is before the operations
    :param now: Unix seconds
    """
    if device is None:
        return frozenset()
    sessions = device.sessions(now)
    staying = {peer.public_key: peer for peer in wanted.peers if peer.public_key in sessions}
    changed = {operation.change.subject: operation.change.new for operation in operations}
    if any(subject.kind in _FOR_ALL for subject in changed):
        return frozenset(staying)
    return frozenset(key for key, peer in staying.items() if _is_touched(peer, changed))


def new_exit(before: View | None, wanted: View, device: Device | None) -> str | None:
    """
    Return the public key of the exit node that the default route is to lead through from now on, and did not before:
    it must answer, whether or not it did. None without one, and at a first set-up, which waits for nobody.

    :param before: the view that was applied last
    """
    if device is None or wanted.via is None or (before and before.via == wanted.via):
        return None
    return next((peer.public_key for peer in wanted.peers if peer.name == wanted.via), None)


def _is_touched(peer: Peer, changed: Mapping[Subject, Facts]) -> bool:
    facts = changed.get(Subject(Kind.PEER, peer.name))
    return bool(isinstance(facts, Mapping) and facts.keys() - _HARMLESS) or any(
        Subject(Kind.ROUTE, network) in changed for network in peer.allowed_ips
    )


def is_back(before: DevicePeer, now: DevicePeer | None) -> bool:
    """Tell whether something came from the peer since."""
    return now is not None and (now.rx > before.rx or now.latest_handshake > before.latest_handshake)


def are_too_many(missing: int, of: int, share: float) -> bool:
    """Tell whether so many peers that did not come back are a failure."""
    return missing > of * share


# -- the way back


@dataclass(frozen=True)
class RollbackState:
    """
    What the last good configuration does not say of the device as it was, and what the change adds to it.

    ``port`` and ``mtu`` are those that the system chose. ``endpoints``: public key to ``ip:port`` of the peers that
    the change moves or removes; they need no lookup on the way back. ``routes``: networks that the change needs.
    """

    port: int | None = None
    mtu: int | None = None
    endpoints: Mapping[str, str] | None = None
    routes: tuple[str, ...] = ()

    @classmethod
    def of(cls, device: Device | None, operations: Iterable[Operation], wanted: View) -> RollbackState:
        """From the device as it is before the operations, which lead to the wanted view."""
        needed = tuple(sorted(wanted.routes))
        if device is None:
            return cls(routes=needed)
        stay = _untouched_endpoints(device, operations, wanted)
        endpoints = {key: peer.endpoint for key, peer in device.peers.items() if peer.endpoint and key not in stay}
        return cls(device.port or None, device.mtu or None, endpoints, needed)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> RollbackState:
        """The opposite of ``to_dict``."""
        return cls(data["port"], data["mtu"], data["endpoints"], tuple(data["routes"]))

    def to_dict(self) -> dict[str, Any]:
        """As it is kept on disk; nothing in it is secret."""
        return asdict(self)

    def before(self, later: RollbackState) -> RollbackState:
        """Return what leads back to before both changes, if this one was never finished and a later one began."""
        endpoints = {**(later.endpoints or {}), **(self.endpoints or {})}
        return RollbackState(self.port, self.mtu, endpoints, tuple(sorted({*self.routes, *later.routes})))


def _untouched_endpoints(device: Device, operations: Iterable[Operation], wanted: View) -> set[str]:
    """The keys of peers that the change leaves where they are."""
    changes = [operation.change for operation in operations if operation.change.kind == Kind.PEER]
    moved = {change.name for change in changes if isinstance(change.new, Mapping) and "endpoint" in change.new}
    return {peer.public_key for peer in wanted.peers if peer.public_key in device.peers and peer.name not in moved}


def way_back(before: View, kept: RollbackState) -> tuple[View, Applied]:
    """
    Return the view to go back to, and what ``diff`` is to take for applied: peers that moved by themselves stay where
    they are, and those that the change moved return.
    """
    endpoints = kept.endpoints or {}
    peers = tuple(replace(peer, endpoint=endpoints.get(peer.public_key, peer.endpoint)) for peer in before.peers)
    view = replace(before, peers=peers, port=before.port or kept.port, mtu=before.effective_mtu or kept.mtu)
    known = Applied.of(before)
    untouched = {key: endpoint for key, endpoint in known.endpoints.items() if key not in endpoints}
    return view, Applied(untouched, known.routes.union(kept.routes), known.names, known.mark)


def as_view(device: Device, network: str | None, preshared_keys: Mapping[str, str]) -> View:
    """
    Return a device as a view to come back to, where no configuration tells of one. Nobody knows peers' names.

    :param preshared_keys: by public key of the peer, for those that have one
    """
    peers = (
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
    return View(device.interface, addresses, tuple(peers), network, device.port or None, device.mtu or None)
