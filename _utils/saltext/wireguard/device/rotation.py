"""
Key rotation without an outage: make before break.

A node announces its next public key. Its peers then have two WireGuard peers for it, one for each key. Either key can
handshake, so the node may switch from one to the other at any moment. WireGuard gives a network to one peer only, so
the addresses belong to the key that handshook last (``next_key_is_in_use``).

Pure: nothing here runs a command or sees a private key. ``docs/rotation.md`` describes the whole protocol.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace

from ..model.device import Device, DevicePeer
from ..model.peer import OtherKey, Peer
from ..model.view import View
from . import echo


def next_key_is_in_use(current: int, next_: int) -> bool:
    """
    Whether the next key is in use, by the latest handshake of each key in Unix seconds (0 for never).

    On a tie, it is: a node handshakes with it only after it has left the current one, and a node that restores its old
    key does so some seconds later.
    """
    return next_ > 0 and next_ >= current


def expand(view: View, device: Device | None) -> View:
    """
    Return the view with two peers, one for each key, in place of every peer that announced a next key.

    The key that is in use on the device has the peer's name, addresses and keepalive. The other one is marked
    (``OtherKey``) and has only the endpoint. Each has its own preshared key. A next key that this node or another peer
    has too is left out: WireGuard could not distinguish them, and one wrong announcement must not block the rest.
    """
    if not any(peer.next_key for peer in view.peers):
        return view
    taken = Counter(_keys(view))
    peers = (_expanded(peer, device, taken) for peer in view.peers)
    return replace(view, peers=tuple(each for pair in peers for each in pair))


def _keys(view: View) -> Iterable[str]:
    if view.public_key:
        yield view.public_key
    for peer in view.peers:
        yield peer.public_key
        if peer.next_key:
            yield peer.next_key


def _expanded(peer: Peer, device: Device | None, taken: Mapping[str, int]) -> tuple[Peer, ...]:
    """One peer or two. The one with the addresses comes first."""
    alone = replace(peer, next_key=None, next_preshared_key=None)
    if peer.next_key is None or taken[peer.next_key] > 1:
        return (alone,)
    next_ = replace(alone, public_key=peer.next_key, preshared_key=peer.next_preshared_key)
    if next_key_is_in_use(_latest_handshake(device, peer.public_key), _latest_handshake(device, peer.next_key)):
        return next_, _idle(alone, OtherKey(peer.name, is_next=False))
    return alone, _idle(next_, OtherKey(peer.name, is_next=True))


def _idle(peer: Peer, mark: OtherKey) -> Peer:
    return replace(peer, name=mark.label, allowed_ips=(), keepalive=0, kept_keepalive=0, other_key=mark)


def contract(view: View) -> View:
    """
    Undo ``expand``, whichever key was in use on the device. A next key that ``expand`` left out is lost.
    """
    others = {peer.other_key.node: peer for peer in view.peers if peer.other_key}
    return replace(view, peers=tuple(_contracted(peer, others) for peer in view.peers if not peer.other_key))


def _contracted(peer: Peer, others: Mapping[str, Peer]) -> Peer:
    other = others.get(peer.name)
    if other is None or other.other_key is None:
        return peer
    current, next_ = (peer, other) if other.other_key.is_next else (other, peer)
    return replace(
        peer,
        public_key=current.public_key,
        preshared_key=current.preshared_key,
        next_key=next_.public_key,
        next_preshared_key=next_.preshared_key,
    )


def _latest_handshake(device: Device | None, public_key: str) -> int:
    have = device.peers.get(public_key) if device else None
    return have.latest_handshake if have else 0


def move(interface: str, peers: Mapping[str, DevicePeer], current_key: str, next_key: str) -> tuple[str, ...]:
    """
    Return one command that moves everything from the current key to the next one; empty if there is nothing to move.

    WireGuard takes a network from its current peer by itself, so the network always belongs to one of the two.
    """
    current = peers.get(current_key)
    if current is None or next_key not in peers or not current.allowed_ips:
        return ()
    networks = ",".join(sorted(current.allowed_ips | peers[next_key].allowed_ips))
    taken: list[str] = []
    given: list[str] = []
    if current.keepalive:
        taken = ["persistent-keepalive", str(current.keepalive)]
        given = ["peer", current_key, "persistent-keepalive", "0"]
    return ("wg", "set", interface, "peer", next_key, *taken, "allowed-ips", networks, *given)


def handshaken_again(before: Mapping[str, int], now: Mapping[str, int]) -> frozenset[str]:
    """Return the peers that have handshaken again since ``before``."""
    return frozenset(key for key, seconds in before.items() if now.get(key, 0) > seconds)


def echo_addresses(peers: Iterable[DevicePeer]) -> list[str]:
    """Return one address of each peer, IPv4 if it has one. A packet to it makes WireGuard handshake."""
    addresses = (echo.host_addresses(peer.allowed_ips) for peer in peers)
    return sorted(each[min(each)] for each in addresses if each)
