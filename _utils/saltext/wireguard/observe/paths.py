"""How pings between the nodes of a network come back, in each direction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ..fleet.network import NetworkState
from ..model.probe import Echo, Probe


@dataclass(frozen=True)
class Path:
    """
    From ``source`` to its peer ``target``. ``echoes``: IP version -> how pings came back; None where the source does
    not say, and empty where it has no such peer, or no address to ping there.
    """

    network: str
    source: str
    target: str
    echoes: Mapping[int, Echo] | None

    @property
    def loss(self) -> float | None:
        """The share of pings lost, at the IP version where more were. 1 for a peer that is missing."""
        return None if self.echoes is None else max((each.loss for each in self.echoes.values()), default=1.0)

    @property
    def rtt(self) -> float | None:
        """The mean round-trip time in ms, at the slower IP version; None where nothing came back."""
        return max((each.rtt for each in (self.echoes or {}).values() if each.rtt is not None), default=None)


def paths(network: str, state: NetworkState, probes: Mapping[str, Probe]) -> Iterator[Path]:
    """
    From every registered node to each of its peers.

    :param probes: node -> what it says of this network; one that says nothing, or only an error, may be missing
    """
    for node in sorted(state.registered):
        probe = probes.get(node)
        for peer in state.view(node).peers:
            if probe is None or probe.error is not None:
                yield Path(network, node, peer.name, None)
            else:
                keys = [key for key in (peer.public_key, peer.next_key) if key and key in probe.peers]
                yield Path(network, node, peer.name, probe.peers[keys[0]] if keys else {})
