"""Views of a node in the network ``backbone``, for tests on real devices and on the machine that is made up."""

import base64
import hashlib
from dataclasses import replace

from saltext.wireguard.model.answers import Answer
from saltext.wireguard.model.changes import as_salt
from saltext.wireguard.model.view import Peer, View


def in_words(part):
    """The changes in an answer of ``drift`` or of ``sync test=True``, as those of ``apply`` are written."""
    return as_salt(Answer.from_dict(part).changes)


def peer(name, *allowed_ips, public_key=None, **settings):
    return Peer(name, public_key or key(name), tuple(sorted(allowed_ips)), **settings)


def key(name):
    """A public key, always the same for the same name."""
    raw = bytearray(hashlib.sha256(name.encode()).digest())
    raw[31] &= 0x3F  # well below 2^255 - 19
    return base64.b64encode(bytes(raw)).decode()


PEERS = (
    peer("node2", "10.42.0.2/32", "192.168.40.0/24", endpoint="127.0.0.1:4444", keepalive=25),
    peer("node3", "10.42.0.3/32", "fd42::3/128", "fd99::/64"),
    peer("node4", "10.42.0.4/32", endpoint="[::1]:4444"),
)


def preshared(each, name=""):
    """A peer with a preshared key, always the same for the same name."""
    return replace(each, preshared=True, preshared_key=key(f"preshared with {each.name} {name}"))


def view(public_key, *peers, **settings):
    """The view of a registered node in the network ``backbone``."""
    values = {"interface": "wg0", "addresses": ("10.42.0.1/16", "fd42::1/64"), "network": "backbone", "port": 51820}
    ordered = tuple(sorted(peers or PEERS, key=lambda peer: peer.name))
    return View(public_key=public_key, peers=ordered, **{**values, "mtu": 1380, **settings})


def registered(host, *peers, **settings):
    """Make a key and a pillar that bears it, as after a registration. Returns the view."""
    public_key = host.call("keypair", settings.get("interface", "wg0"))
    wanted = view(public_key, *peers, **settings)
    host.set_networks(wanted)
    return wanted
