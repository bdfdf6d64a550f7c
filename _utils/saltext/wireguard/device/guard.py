"""
Changes that are more often a mistake than intended: a node makes them only if forced.

Pure: decided from the view applied last, the device, and the wanted view.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_interface

from ..model.device import Device
from ..model.view import View
from ..wording import some
from .operations import Applied

# Of fewer peers, any number may be removed: of three, one is already a third.
MIN_PEERS_UP = 4

DEFAULT_SHARE = 0.5


def objections(
    before: View | None,
    device: Device | None,
    wanted: View,
    now: int,
    share: float = DEFAULT_SHARE,
    has_master: bool = False,
) -> tuple[str, ...]:
    """
    Return the objections to applying a view, each as the end of a sentence that begins with "it would".

    :param before: the view that was applied last, None if unknown
    :param wanted: with two peers for one that announced a next key (``rotation.expand``)
    :param now: Unix seconds
    :param share: the share of the peers that are up which may be removed at once
    :param has_master: whether the Salt master runs on this machine
    """
    diverted = tuple(_diverts(before, wanted, has_master))
    if device is None:
        return diverted
    return (
        *diverted,
        *_empties(device, wanted),
        *_removes_many(before, device, wanted, now, share),
        *_takes_addresses(before, device, wanted),
    )


def _diverts(before: View | None, wanted: View, has_master: bool) -> Iterator[str]:
    """Answers to connections from outside would go through the exit, which drops them."""
    if wanted.via is None or (before is not None and before.via is not None):
        return
    if has_master:
        yield (
            f"route the answers of the Salt master on this machine through the exit node {wanted.via}, which cuts off"
            " all minions that reach it from outside the mesh (`via: false` exempts a node)"
        )
    elif not wanted.bypass_addresses:
        yield (
            f"route all answers of this machine through the exit node {wanted.via}: it knows neither a Salt"
            " master nor an ssh client whose address could bypass the exit, so nothing outside the mesh could reach it"
        )


def _empties(device: Device, wanted: View) -> Iterator[str]:
    if device.peers and not wanted.peers:
        yield f"leave no peer of the {len(device.peers)} that the device has"


def _removes_many(before: View | None, device: Device, wanted: View, now: int, share: float) -> Iterator[str]:
    """A peer with a new key is not removed. A peer without networks is the other key of one that rotates."""
    names = Applied.of(before).names
    stay = {peer.public_key for peer in wanted.peers}
    stay_by_name = {peer.name for peer in wanted.peers}
    up = [key for key in device.sessions(now) if device.peers[key].allowed_ips]
    removed = sorted(names.get(key, key) for key in up if key not in stay and names.get(key) not in stay_by_name)
    if wanted.peers and len(up) >= MIN_PEERS_UP and len(removed) > len(up) * share:
        yield f"remove {len(removed)} of the {len(up)} peers that are up ({some(removed)})"


def _takes_addresses(before: View | None, device: Device, wanted: View) -> Iterator[str]:
    """An address with another prefix length is the same address: pools may grow."""
    ours = {_host(address) for address in (before.addresses if before else device.addresses)}
    present = {_host(address) for address in device.addresses}
    gone = sorted((ours & present) - {_host(address) for address in wanted.addresses})
    if gone:
        yield f"take this node's own address {some(gone)} away (leaving {some(wanted.addresses) or 'no address'})"


def _host(address: str) -> str:
    return str(ip_interface(address).ip)
