"""Operations on the peers of an interface."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from graphlib import CycleError, TopologicalSorter

from ..model.changes import Change, Kind
from ..model.device import Device, DevicePeer, fingerprint
from ..model.endpoint import canonical_endpoint
from ..model.peer import Peer
from ..model.view import View
from .operations import Applied, Operation, PresharedKeyOf


def peers_set(view: View, device: Device, endpoints: Mapping[str, str], applied: Applied, now: int) -> list[Operation]:
    moved = _moved(view, device)
    operations = {}
    for peer in view.peers:
        have = device.peers.get(peer.public_key)
        endpoint = _endpoint(peer, have, endpoints, applied, now)
        if have is None:
            operations[peer.public_key] = _peer_added(view, peer, endpoint)
            continue
        operation = _peer_changed(view, peer, have, endpoint, moved)
        if operation.change.new:
            operations[peer.public_key] = operation
    return [operations[key] for key in _gaining_peers_first(view, device, operations)]


def _moved(view: View, device: Device) -> frozenset[str]:
    """Return the networks that some peer gains; WireGuard takes each from its current peer by itself."""
    gained: set[str] = set()
    for peer in view.peers:
        have = device.peers.get(peer.public_key)
        gained.update(set(peer.allowed_ips) - have.allowed_ips if have else peer.allowed_ips)
    return frozenset(gained)


def _endpoint(
    peer: Peer, have: DevicePeer | None, endpoints: Mapping[str, str], applied: Applied, now: int
) -> str | None:
    """Return the endpoint to set, if any. A peer that roamed keeps its endpoint while its session lives."""
    resolved = _resolved(peer, endpoints)
    if resolved is None or have is None:
        return resolved
    configured_anew = applied.endpoints.get(peer.public_key) != peer.endpoint
    return resolved if have.endpoint != resolved and (configured_anew or not have.has_session(now)) else None


def _resolved(peer: Peer, endpoints: Mapping[str, str]) -> str | None:
    if peer.endpoint is None or peer.endpoint not in endpoints:
        return None
    resolved = endpoints[peer.endpoint]
    if resolved == peer.endpoint:  # an address, which is canonical in a view, or a comparison of two views
        return resolved
    try:
        return canonical_endpoint(resolved)
    except ValueError:  # a resolver may answer anything: a bad answer concerns this peer alone
        return None


def _peer_added(view: View, peer: Peer, endpoint: str | None) -> Operation:
    new: dict[str, object] = {"public_key": peer.public_key, "allowed_ips": list(peer.allowed_ips)}
    words: list[str] = []
    if peer.has_preshared_key:
        new["preshared_key"] = "set"
        words += ["preshared-key", PresharedKeyOf(peer.public_key)]
    if endpoint:
        new["endpoint"] = endpoint
        words += ["endpoint", endpoint]
    new["keepalive"] = peer.effective_keepalive
    words += ["persistent-keepalive", str(peer.effective_keepalive), "allowed-ips", ",".join(peer.allowed_ips)]
    return Operation(Change(Kind.PEER, peer.name, None, new), _peer_argv(view, peer.public_key, words))


def _peer_changed(view: View, peer: Peer, have: DevicePeer, endpoint: str | None, moved: frozenset[str]) -> Operation:
    """Return the operation for what differs about a peer; it does not set again what is right."""
    old: dict[str, object] = {}
    new: dict[str, object] = {}
    words: list[str] = []
    if endpoint:
        old["endpoint"], new["endpoint"] = have.endpoint, endpoint
        words += ["endpoint", endpoint]
    if have.keepalive != peer.effective_keepalive:
        old["keepalive"], new["keepalive"] = have.keepalive, peer.effective_keepalive
        words += ["persistent-keepalive", str(peer.effective_keepalive)]
    if have.allowed_ips != set(peer.allowed_ips):
        old["allowed_ips"], new["allowed_ips"] = sorted(have.allowed_ips), list(peer.allowed_ips)
    # A peer that only loses networks to others needs no command: a command of its own would briefly remove them all.
    if have.allowed_ips - moved != set(peer.allowed_ips):
        words += ["allowed-ips", ",".join(peer.allowed_ips)]
    if have.preshared_key != _fingerprint(peer):
        old["preshared_key"] = "set" if have.preshared_key else None
        new["preshared_key"] = ("changed" if have.preshared_key else "set") if peer.has_preshared_key else "removed"
        # `wg set` reads an empty file as the all-zero key, which stands for none.
        words += ["preshared-key", PresharedKeyOf(peer.public_key) if peer.has_preshared_key else "/dev/null"]
    argv = _peer_argv(view, peer.public_key, words) if words else ()
    return Operation(Change(Kind.PEER, peer.name, old, new), argv)


def _fingerprint(peer: Peer) -> str | None:
    """In a comparison of two views, where the key is not known, all keys are equal."""
    return fingerprint(peer.preshared_key or "") if peer.has_preshared_key else None


def _peer_argv(view: View, public_key: str, words: Iterable[str]) -> tuple[str, ...]:
    return ("wg", "set", view.interface, "peer", public_key, *words)


def _gaining_peers_first(view: View, device: Device, operations: Mapping[str, Operation]) -> list[str]:
    """
    Return the keys of the operations in such an order that a network's new peer gets it before its old peer loses it.

    Any order leads to the same result, as every command sets a peer's whole list; this order leaves no gap. If peers
    swap networks, one of them has to come first.
    """
    owners = {network: key for key, peer in device.peers.items() for network in peer.allowed_ips}
    order: TopologicalSorter[str] = TopologicalSorter(dict.fromkeys(operations, ()))
    for peer in view.peers:
        for network in peer.allowed_ips:
            owner = owners.get(network, peer.public_key)
            if peer.public_key in operations and owner in operations and owner != peer.public_key:
                order.add(owner, peer.public_key)
    with suppress(CycleError):
        order.prepare()
    keys: dict[str, None] = {}
    while ready := order.get_ready():
        keys.update(dict.fromkeys(ready))
        order.done(*ready)
    return [*keys, *(key for key in operations if key not in keys)]


def peers_removed(view: View, device: Device, applied: Applied) -> list[Operation]:
    wanted = {peer.public_key for peer in view.peers}
    # A removed peer may share its name only with the new key of the same node.
    taken = {peer.name for peer in view.peers if peer.public_key in device.peers}
    operations = []
    for key in sorted(set(device.peers) - wanted):
        peer = device.peers[key]
        name = applied.names.get(key, key)
        if name in taken:
            name = key
        taken.add(name)
        old: dict[str, object] = {"public_key": key, "allowed_ips": sorted(peer.allowed_ips)}
        if peer.endpoint:
            old["endpoint"] = peer.endpoint
        old["keepalive"] = peer.keepalive
        operations.append(Operation(Change(Kind.PEER, name, old, None), _peer_argv(view, key, ["remove"])))
    return operations
