"""Finds out what stands between this machine and a peer, together with the peer, which does the same."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from typing import Any

from ..device.echo import SMALL
from ..device.firewall import dropping_chains
from ..device.ip_json import objects
from ..errors import NodeError, WireguardError
from ..model import fields
from ..model.device import Device, DevicePeer
from ..model.endpoint import Endpoint
from ..model.examination import Counters, Examination, Look, Target
from ..model.peer import Peer
from ..system.commands import run
from ..system.resolve import resolve_names
from . import config_files, devices, echo_sockets, endpoints, firewall
from .arguments import argument

# Handshakes of two that begin at the same moment cross, and are tried again after five seconds.
PING_SECONDS = 8.0
FULL_SECONDS = 1.0
TURN_SECONDS = 1.0


def examine(minion_id: str, network: str, targets: object) -> dict[str, Any]:
    """
    Network -> what is found, as data; empty where this machine is not meant.

    :param targets: minion id -> name of a peer -> the addresses to ping by way of it
    :raises NodeError: if this machine has no such network, or the targets are no such thing
    """
    by_node = argument("targets", targets, _targets)
    mine = by_node.get(minion_id)
    if mine is None:
        return {"networks": {}}
    interface = config_files.interface_of(network)
    time.sleep(TURN_SECONDS * sorted(by_node).index(minion_id))
    try:
        found = _examine(interface, mine)
    except (WireguardError, OSError) as exc:
        found = Examination(error=str(exc))
    return {"networks": {network: found.to_dict()}}


def _targets(value: object) -> dict[str, dict[str, list[str]]]:
    addresses = fields.list_of(fields.address)
    return {
        node: {peer: addresses(each) for peer, each in fields.mapping(peers).items()}
        for node, peers in fields.mapping(value).items()
    }


def _examine(interface: str, targets: Mapping[str, list[str]]) -> Examination:
    device = devices.read(interface)
    if device is None:
        raise NodeError(f"{interface} is not set up")
    answers = _ping(interface, device.mtu, [address for each in targets.values() for address in each])
    after = devices.peers(interface)
    view = config_files.written(interface)
    wanted = {peer.name: peer for peer in view.peers} if view else {}
    return Examination(
        interface=interface,
        up=device.up,
        public_key=device.public_key,
        port=device.port,
        mtu=device.mtu,
        forwards=tuple(devices.forwarded()),
        drops=dropping_chains(firewall.ruleset(), "input", "forward"),
        looks={
            name: _look(wanted.get(name), device, after, {address: answers[address] for address in addresses})
            for name, addresses in targets.items()
        },
    )


def _ping(interface: str, mtu: int, addresses: Collection[str]) -> dict[str, Target]:
    with echo_sockets.opened(interface) as sockets:
        small = sockets.ask(dict.fromkeys(addresses, SMALL), 1, PING_SECONDS)
        full = sockets.ask(dict.fromkeys(small, mtu), 2, FULL_SECONDS)
    return {address: Target(_route(address), address in small, address in full) for address in addresses}


def _route(address: str) -> str | None:
    """The network device by which packets to this address leave."""
    found = objects(run(["ip", "-json", "route", "get", address], check=False), "ip route get")
    return next((str(row["dev"]) for row in found if "dev" in row), None)


def _path(endpoint: str) -> str | None:
    """The same for an endpoint as a device has it. A link-local address names the device itself."""
    address, _, device = endpoint.rpartition(":")[0].strip("[]").partition("%")
    return device or _route(address)


def _look(peer: Peer | None, device: Device, after: Mapping[str, DevicePeer], targets: Mapping[str, Target]) -> Look:
    if peer is None:
        return Look(targets=targets)
    key = next((key for key in (peer.public_key, peer.next_key) if key and key in after), peer.public_key)
    before, now = device.peers.get(key), after.get(key)
    endpoint = now.endpoint if now else None
    return Look(
        public_key=key,
        configured=peer.endpoint,
        addresses=_addresses(peer.endpoint),
        endpoint=endpoint,
        path=_path(endpoint) if endpoint else None,
        allowed_ips=tuple(sorted(now.allowed_ips)) if now else (),
        before=_counters(before),
        after=_counters(now),
        targets=targets,
    )


def _addresses(endpoint: str | None) -> tuple[str, ...]:
    """What the name of an endpoint stands for now; an address stands for itself."""
    if endpoint is None:
        return ()
    host = Endpoint.parse(endpoint).host
    return resolve_names([host], endpoints.RESOLVE_SECONDS).get(host, ())


def _counters(peer: DevicePeer | None) -> Counters | None:
    if peer is None:
        return None
    age = int(time.time()) - peer.latest_handshake if peer.latest_handshake else None
    return Counters(age, peer.rx, peer.tx)
