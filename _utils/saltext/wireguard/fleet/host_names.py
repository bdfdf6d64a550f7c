"""The host names in a network."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from ..meshfile.mesh import ExternalPeer, Network
from ..model.hosts import HostName, Hosts, nameless
from .membership import Member


class HostNames:
    """The host names of registered members and of peers with a key, if a hosts file can have them."""

    def __init__(self, network: Network, members: Mapping[str, Member], peers: Mapping[str, ExternalPeer]) -> None:
        machines = {m.node: m.addresses for m in members.values() if m.row}
        machines.update((peer.name, peer.addresses) for peer in peers.values())
        left_out = nameless({name: network.names(name) for name in machines}, network.domain)
        self._domain = network.domain
        self._names = {
            name: HostName(name, tuple(str(address) for address in addresses))
            for name, addresses in machines.items()
            if name not in left_out
        }
        self._shared: dict[frozenset[str], Hosts] = {}

    def of(self, node: str, linked: frozenset[str]) -> Hosts:
        """The names of all that the node is linked with, and its own. Nodes with the same links share one object."""
        if node not in linked:
            return self._only(linked | {node})
        if linked not in self._shared:
            self._shared[linked] = self._only(linked)
        return self._shared[linked]

    def _only(self, names: Collection[str]) -> Hosts:
        known = sorted(self._names.keys() & names)
        return Hosts(tuple(self._names[name] for name in known), self._domain)
