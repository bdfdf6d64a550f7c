"""What moves to another hub, node or exit when the nodes are moved off one."""

from __future__ import annotations

from dataclasses import dataclass

from ..model.view import View
from .network import NetworkState


@dataclass(frozen=True)
class Share:
    """These ``users`` reach these ``networks`` through ``to`` then."""

    to: str
    networks: tuple[str, ...]
    users: tuple[str, ...]


def shares(node: str, before: NetworkState, after: NetworkState) -> list[Share]:
    """What members reach through a node before, besides its own addresses; what stays there has the node as ``to``."""
    own = {f"{address}/{address.max_prefixlen}" for address in before.members[node].addresses}
    users: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for member in sorted(before.registered & after.registered):
        now, then = before.carriers(member), after.carriers(member)
        networks: dict[str, list[str]] = {}
        for network in sorted(network for network, carrier in now.items() if carrier == node and network not in own):
            networks.setdefault(then.get(network, node), []).append(network)
        for to, found in networks.items():
            users.setdefault((to, tuple(found)), []).append(member)
    return [Share(to, networks, tuple(names)) for (to, networks), names in sorted(users.items())]


def moves(before: View, after: View) -> dict[str, str] | None:
    """Network -> public key of the peer that it comes behind; None where anything else changes, too."""
    had = {peer.public_key: peer.allowed_ips for peer in before.peers}
    found = {
        network: peer.public_key
        for peer in after.peers
        for network in peer.allowed_ips
        if network not in had.get(peer.public_key, ())
    }
    is_possible = had.keys() >= set(found.values())
    return found if is_possible and before.moved(found).digest == after.digest else None
