"""Finds views that WireGuard or the kernel would accept, but silently apply in another way."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from ipaddress import ip_interface

from ..errors import ViewError
from ..model.addresses import LEAST_MTU
from ..model.peer import Peer
from ..model.view import View


def check(view: View, public_key: str) -> None:
    """Raise ViewError for such a view. ``public_key``: the node's own."""
    _check_unique(view.peers, "name", lambda peer: (peer.name,))
    _check_unique(view.peers, "public key", lambda peer: (peer.public_key,))
    _check_unique(view.peers, "allowed IP", lambda peer: dict.fromkeys(peer.allowed_ips))
    for peer in view.peers:
        _check_peer(view, peer, public_key)
    for address in view.addresses:
        if ip_interface(address).ip.is_link_local and ":" in address:
            raise ViewError(f"{view.interface}: address {address} is link-local; `dynamic_routing: true` makes one")
    _check_mtu(view)
    if view.via is not None and view.dynamic_routing:
        raise ViewError(f"{view.interface}: a routing daemon makes its routes, so it has no exit {view.via}")
    if view.via is not None and view.port is None:
        raise ViewError(f"{view.interface}: a default route through {view.via} needs a port, which marks its packets")


def _check_unique(peers: Iterable[Peer], what: str, values: Callable[[Peer], Iterable[str]]) -> None:
    owners: dict[str, str] = {}
    for peer in peers:
        for value in values(peer):
            if value in owners:
                raise ViewError(f"peers {owners[value]} and {peer.name} have the same {what} {value}")
            owners[value] = peer.name


def _check_peer(view: View, peer: Peer, public_key: str) -> None:
    if peer.public_key == public_key:
        raise ViewError(
            f"{view.interface}: peer {peer.name} has this node's own public key {public_key}, so WireGuard would"
            " ignore it; was one machine cloned from the other?"
        )
    for network in peer.allowed_ips:
        if network.endswith("/0") and view.via is None and not view.dynamic_routing:
            raise ViewError(
                f"{view.interface}: peer {peer.name} has the default route {network} among its allowed IPs, but is not"
                " this node's exit: the tunnel's own packets would be routed into the tunnel. To make it the"
                " exit, write `exit: true` and `via:` in the mesh file; for a routing daemon, `dynamic_routing: true`"
            )


def _check_mtu(view: View) -> None:
    mtu = view.effective_mtu
    if mtu is None or mtu >= LEAST_MTU[6]:
        return
    if any(":" in network for network in (*view.addresses, *view.routes)):
        raise ViewError(f"{view.interface}: mtu {mtu} is too small: IPv6 needs at least {LEAST_MTU[6]}")
