"""Views and devices for the tests of operations, and the operations that lead from one to the other."""

import base64
import hashlib

from saltext.wireguard.device.diff import diff
from saltext.wireguard.device.operations import Applied
from saltext.wireguard.model.device import Device, DevicePeer, fingerprint
from saltext.wireguard.model.view import Peer, View

NOW = 1_700_000_000


def key(name):
    return base64.b64encode(hashlib.sha256(name.encode()).digest()).decode()


OWN = key("own")
ONE, OTHER = key("one preshared key"), key("another preshared key")
A, B = "192.0.2.1:51820", "192.0.2.2:51820"  # endpoints


def peer(name, *allowed_ips, public_key=None, **settings):
    return Peer(name, public_key or key(name), tuple(sorted(allowed_ips)), **settings)


def view(*peers, addresses=("10.42.0.1/16",), **settings):
    return View("wg0", tuple(addresses), peers, **settings)


def have(name, *allowed_ips, endpoint=None, latest_handshake=NOW - 10, keepalive=0, preshared_key=None):
    allowed = frozenset(allowed_ips)
    return DevicePeer(
        key(name),
        endpoint,
        allowed,
        latest_handshake,
        1000,
        2000,
        keepalive,
        preshared_key and fingerprint(preshared_key),
    )


def device(*peers, addresses=("10.42.0.1/16",), routes=(), **settings):
    defaults = {"up": True, "public_key": OWN, "port": 51820, "mtu": 1420, "boot_routes": frozenset(routes)}
    return Device(
        interface="wg0",
        addresses=frozenset(addresses),
        routes=frozenset(routes),
        peers={peer.public_key: peer for peer in peers},
        **{**defaults, **settings},
    )


def operations(view, device, endpoints=(), applied=None, **facts):
    return diff(
        view,
        device,
        key_file="/etc/wireguard/wg0.key",
        public_key=OWN,
        endpoints=dict(endpoints),
        applied=applied or Applied(),
        now=NOW,
        **facts,
    )


def argvs(*args, **kwargs):
    return [" ".join(operation.argv) for operation in operations(*args, **kwargs)]


def applied_by(view):
    """What the configuration file says after the view was applied."""
    return Applied(
        {peer.public_key: peer.endpoint for peer in view.peers if peer.endpoint},
        view.routes,
        {peer.public_key: peer.name for peer in view.peers},
    )
