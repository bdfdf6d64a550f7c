"""
Addresses and networks of an interface that other interfaces of the machine have as well.

The kernel takes them all. Which interface a packet then leaves by depends on metrics and on who came first.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any

from ..model.addresses import Subnet, contains
from ..model.peer import Peer
from ..wording import some
from .findings import Finding
from .ip_json import objects, parsing

_COMMAND = "`ip -json address show`"


@dataclass(frozen=True)
class Held:
    """An address of another interface, and the network that the kernel routes there for it."""

    device: str
    address: str
    network: Subnet


def held_by_others(text: str, ours: Collection[str]) -> tuple[Held, ...]:
    """The addresses of other interfaces in the output of ``ip -json address show``. Raises DeviceError."""
    links = objects(text, _COMMAND)
    with parsing(_COMMAND):
        return tuple(
            _held(str(link["ifname"]), info)
            for link in links
            if link["ifname"] not in ours
            for info in link.get("addr_info", ())
            if info.get("scope") == "global" and "local" in info
        )


def _held(device: str, info: Mapping[str, Any]) -> Held:
    """The network of a point-to-point device is that of its other end."""
    other_end = info.get("address", info["local"])
    return Held(device, str(info["local"]), ip_network(f"{other_end}/{info['prefixlen']}", strict=False))


def shared_addresses(addresses: Iterable[str], held: Collection[Held]) -> Iterator[Finding]:
    """Addresses of the view that another interface has."""
    for text in addresses:
        address = text.partition("/")[0]
        found = {each.device for each in held if each.address == address}
        if found:
            yield Finding(
                f"address {address} alone",
                f"{some(found)} has it too",
                "Remove it there, or give this node another one by `addresses:`",
            )


def taken_peers(peers: Iterable[Peer], held: Collection[Held]) -> Iterator[Finding]:
    """Peers one of whose addresses this machine has itself: packets to it never leave the machine."""
    devices = {each.address: each.device for each in held}
    for peer in peers:
        for text in peer.allowed_ips:
            address = text.partition("/")[0]
            if address in devices and ip_network(text).num_addresses == 1:
                yield Finding(
                    f"peer {peer.name} at {address}", f"{devices[address]} has this address", "Remove it there"
                )


def shared_networks(networks: Iterable[str], held: Collection[Held]) -> Iterator[Finding]:
    """
    Networks that other interfaces have, in whole or in part: who has an address there is looked for by them. A single
    address, such as a virtual one, is in nobody's way.
    """
    wide = [each for each in held if each.network.num_addresses > 1]
    for text in networks:
        network = ip_network(text)
        inside = {f"{each.device} has {each.network}" for each in wide if contains(network, each.network)}
        if inside:
            yield Finding(
                f"all of network {text}",
                some(inside),
                "Nodes with addresses there cannot be reached from here; choose another subnet for the mesh, or for"
                " that interface",
            )


def surrounding_networks(networks: Iterable[str], held: Collection[Held]) -> Iterator[Finding]:
    """Networks that lie in one of another interface, which loses its neighbours with these addresses."""
    for text in networks:
        network = ip_network(text)
        for device, around in sorted({(each.device, each.network) for each in held}, key=str):
            if around != network and contains(around, network):
                yield Finding(
                    f"neighbours of {device} in {text}",
                    f"it has {around}, and packets to {text} go into the tunnel",
                    "If there are any, choose another subnet for the mesh",
                )
