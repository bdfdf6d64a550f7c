"""A device with two peers and the operations that change it, for the tests of trials and rollbacks."""

from dataclasses import replace

from factories import public_key
from saltext.wireguard.device.diff import diff
from saltext.wireguard.device.operations import Applied
from saltext.wireguard.model.device import Device, DevicePeer
from saltext.wireguard.model.view import Peer, View

NOW = 1_700_000_000
OWN = public_key("own")
A = Peer("a", public_key("a"), ("10.42.0.2/32",), "192.0.2.2:51820")
B = Peer("b", public_key("b"), ("10.42.0.3/32", "192.168.3.0/24"), "192.0.2.3:51820", 25)
VIEW = View("wg0", ("10.42.0.1/16",), (A, B), "net", 51820, 1420)


def device(view=VIEW, **changes):
    """As it is after the view was applied, with a session with every peer."""
    have = {peer.public_key: on_device(peer) for peer in view.peers}
    made = Device(
        "wg0",
        True,
        OWN,
        view.port or 40000,
        view.mtu or 1380,
        frozenset(view.addresses),
        view.routes,
        have,
        view.routes,
    )
    return replace(made, **changes)


def on_device(peer, **changes):
    settings = (frozenset(peer.allowed_ips), NOW - 9, 1000, 1000, peer.keepalive, None)
    return replace(DevicePeer(peer.public_key, peer.endpoint, *settings), **changes)


def operations(before, wanted, applied=None):
    endpoints = {peer.endpoint: peer.endpoint for peer in wanted.peers if peer.endpoint}
    known = Applied.of(VIEW) if applied is None else applied
    facts = {"key_file": "wg0.key", "public_key": OWN, "endpoints": endpoints, "applied": known, "now": NOW}
    return diff(wanted, before, **facts)
