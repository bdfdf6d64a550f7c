"""
What a node's devices say, as metrics.

Those that dashboards know have the names and labels of the exporters that the dashboards were made for:
prometheus_wireguard_exporter (``wireguard_sent_bytes_total``), wg-portal (``wireguard_peer_up``), wireguard_exporter
(``wireguard_peer_info``) and wg-easy (``wireguard_connected_peers``). An endpoint is a label of ``wireguard_peer_info``
only, because each one makes a series of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ..model.device import Device, DevicePeer
from ..model.live import LivePeer, State
from .prometheus import Metric, Sample

# What a node can say of a peer by itself.
_STATES = (State.up, State.idle, State.stale, State.down)


@dataclass(frozen=True)
class Interface:
    """
    One interface of ours. ``network``: None for one described by hand. ``device``: None where there is none. ``names``:
    public key -> the peer's name.
    """

    name: str
    network: str | None
    device: Device | None
    names: Mapping[str, str] = field(default_factory=dict)

    @property
    def labels(self) -> dict[str, str]:
        """Those of what concerns the whole interface."""
        return {"interface": self.name, "network": self.network or ""}

    @property
    def peers(self) -> Sequence[DevicePeer]:
        """By name, so that a limit leaves out the same ones each time."""
        found = self.device.peers.values() if self.device else ()
        return sorted(found, key=lambda peer: (self.names.get(peer.public_key, ""), peer.public_key))


def node_metrics(interfaces: Iterable[Interface], most_peers: int, now: int) -> list[Metric]:
    """
    :param most_peers: how many peers get series of their own, all interfaces together; of the others, there are sums
    :param now: Unix seconds
    """
    known = list(interfaces)
    shown = [(each, peer) for each in known for peer in each.peers][:most_peers]
    return [*_of_interfaces(known, now), *_of_peers(shown, now)]


def _of_interfaces(interfaces: Sequence[Interface], now: int) -> list[Metric]:
    present = [(each, _states(each, now)) for each in interfaces if each.device]
    return [
        Metric(
            "wireguard_mesh_interface_up",
            "gauge",
            "1 if the interface is there and up.",
            [Sample(bool(each.device and each.device.up), each.labels) for each in interfaces],
        ),
        Metric(
            "wireguard_mesh_peers",
            "gauge",
            "Peers of the interface by state, as this node sees them.",
            [
                Sample(states[state], {**each.labels, "state": state.name})
                for each, states in present
                for state in _STATES
            ],
        ),
        Metric(
            "wireguard_configured_peers",
            "gauge",
            "Peers of the interface.",
            [Sample(sum(states.values()), {"interface": each.name}) for each, states in present],
        ),
        Metric(
            "wireguard_connected_peers",
            "gauge",
            "Peers of the interface with a session.",
            [Sample(states[State.up], {"interface": each.name}) for each, states in present],
        ),
    ]


def _states(interface: Interface, now: int) -> Counter[State]:
    return Counter(LivePeer.of(peer, now).state(bool(peer.keepalive)) for peer in interface.peers)


def _of_peers(shown: Sequence[tuple[Interface, DevicePeer]], now: int) -> list[Metric]:
    labels = [_labels(*each) for each in shown]
    peers = [peer for _, peer in shown]

    def samples(values: Iterable[float]) -> list[Sample]:
        return [Sample(value, of) for value, of in zip(values, labels, strict=True)]

    return [
        Metric("wireguard_sent_bytes_total", "counter", "Bytes sent to the peer.", samples(peer.tx for peer in peers)),
        Metric(
            "wireguard_received_bytes_total",
            "counter",
            "Bytes received from the peer.",
            samples(peer.rx for peer in peers),
        ),
        Metric(
            "wireguard_latest_handshake_seconds",
            "gauge",
            "Time of the latest handshake with the peer in Unix seconds, 0 for never.",
            samples(peer.latest_handshake for peer in peers),
        ),
        Metric(
            "wireguard_peer_up",
            "gauge",
            "1 if there is a session with the peer: the latest handshake is less than 3 minutes old.",
            samples(peer.has_session(now) for peer in peers),
        ),
        Metric(
            "wireguard_peer_info",
            "gauge",
            "Always 1. Where the peer is now, and what it is called.",
            [Sample(1, _info(*each)) for each in shown],
        ),
    ]


def _labels(interface: Interface, peer: DevicePeer) -> dict[str, str]:
    return {
        "interface": interface.name,
        "public_key": peer.public_key,
        "allowed_ips": ",".join(sorted(peer.allowed_ips)),
        "friendly_name": interface.names.get(peer.public_key, ""),
    }


def _info(interface: Interface, peer: DevicePeer) -> dict[str, str]:
    return {
        "device": interface.name,
        "interface": interface.name,
        "public_key": peer.public_key,
        "endpoint": peer.endpoint or "",
        "name": interface.names.get(peer.public_key, ""),
        "network": interface.network or "",
    }
