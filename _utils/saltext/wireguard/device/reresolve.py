"""
Peers without a session whose endpoint is a name, which may have another address by now, or one of several.

WireGuard itself knows only addresses. The endpoint of a peer with a session is where its packets come from, whatever
its name resolves to. Pure: ``node.reresolve`` resolves the names.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..model.device import DevicePeer
from ..model.endpoint import canonical_endpoint
from ..model.view import View


def lost_peers(view: View, peers: Mapping[str, DevicePeer], now: int) -> dict[str, str]:
    """
    Return public key to endpoint of the peers whose endpoint is a name or one of several, and that have no session.

    :param view: what was applied last
    :param peers: those of the device, by public key; peers that are not there are left alone
    :param now: Unix seconds
    """
    return {
        peer.public_key: peer.endpoint
        for peer in view.peers
        if peer.endpoint and peer.may_move and peer.public_key in peers and not peers[peer.public_key].has_session(now)
    }


def moved_endpoints(
    peers: Mapping[str, DevicePeer], lost: Mapping[str, str], addresses: Mapping[str, str]
) -> dict[str, str]:
    """
    Return public key to the new ``ip:port`` of the lost peers whose names have another address now.

    :param addresses: endpoint in the view to ``ip:port``, for those that resolve
    """
    resolved = {key: canonical_endpoint(addresses[name]) for key, name in lost.items() if name in addresses}
    return {key: address for key, address in resolved.items() if peers[key].endpoint != address}
