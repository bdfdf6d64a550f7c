"""The external peers of a mesh file, which run no minion, and the configurations exported for them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from ..errors import ConfigError
from ..fleet.fleet import Fleet
from ..meshfile.mesh import ExternalPeer, Network
from ..model.view import View
from ..registry.exports import Export
from .master import Moment


@dataclass(frozen=True)
class PeerStatus:
    """
    The state of one external peer. ``export``: None unless it was exported. ``is_current``: whether an export would
    give it the same configuration now.
    """

    network: str
    peer: ExternalPeer
    export: Export | None
    is_current: bool


def peer_statuses(moment: Moment) -> Iterator[PeerStatus]:
    """All external peers. Raises what ``Moment.fleet`` raises."""
    fleet = moment.fleet()
    for network in fleet.mesh.networks:
        state = fleet.networks[network.name]
        for peer in network.peers:
            export = moment.snapshot.exports.get((network.name, peer.name))
            known = state.peers.get(peer.name, peer)
            if export and export.exported and known.public_key:
                yield PeerStatus(network.name, known, export, state.is_current(peer.name))
            else:
                yield PeerStatus(network.name, known, None, False)


def find_peer(moment: Moment, name: str, network: str | None = None) -> tuple[Network, ExternalPeer]:
    """The peer of this name. Raises ConfigError if there is none, or if several networks have one."""
    networks = [each for each in moment.mesh.networks if network in (None, each.name)]
    candidates = [(each, peer) for each in networks for peer in [each.peer(name)] if peer]
    if not candidates:
        where = f"network {network} of the mesh file" if network else "the mesh file"
        raise ConfigError(f"{where} has no peer {name}: write `peers: {{{name}: }}` into its network first")
    if len(candidates) > 1:
        names = ", ".join(each.name for each, _ in candidates)
        raise ConfigError(f"{name} is a peer in the networks {names}: say which by `network=`")
    return candidates[0]


def view_with_key(moment: Moment, network: str, peer: str, public_key: str) -> View:
    """
    The view of a peer that was prepared for export, with this public key in place of its own.

    Raises what ``Moment.fleet`` raises.
    """
    export = replace(moment.snapshot.exports[network, peer], public_key=public_key)
    projected = replace(moment.snapshot, exports={**moment.snapshot.exports, (network, peer): export})
    fleet = moment.guard(Fleet(moment.mesh, projected, moment.keys, moment.now, moment.secret))
    return fleet.networks[network].view_of_peer(peer)
