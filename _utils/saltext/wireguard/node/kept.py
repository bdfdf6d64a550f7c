"""
What an interface keeps from before it was taken over: hooks and others of its settings, and preshared keys.

A view knows nothing of them, and so they are not in its digest: each node keeps its own, in its configuration file. The
preshared key of a pair stays until the mesh file gives the pair another one.
"""

from __future__ import annotations

from dataclasses import replace

from ..device.operations import Applied
from ..formats import wg_quick
from ..formats.foreign import HOOKS, Config
from ..model.peer import Peer
from ..model.view import View
from ..system import files
from . import config_files, devices, inventory

# What stays of others' settings. ``Table`` and ``SaveConfig`` cannot: our file makes its own routes, and is ours.
KEPT = (*HOOKS, "DNS", "FwMark")


def with_kept(view: View, former: str | None = None) -> View:
    """
    The view with what its interface has had so far, by our own file, or by that of somebody else.

    :param former: the interface that this one follows
    """
    if view.network is None:
        return view
    text = files.read(config_files.config_file(former or view.interface))
    if wg_quick.is_managed(text):
        written = wg_quick.parse(text, view.interface)
        return _by_own_file(view, written) if written else view
    found = inventory.find(view.interface)
    has_device = devices.exists(view.interface)
    if found is None and not has_device:
        return view
    config = found.config if found else Config()
    keys = devices.preshared_keys(view.interface) if has_device else dict(config.preshared_keys)
    peers = devices.peers(view.interface).values() if has_device else config.peers
    keepalives = {peer.public_key: peer.keepalive for peer in peers}
    return replace(
        view,
        kept=lines(config),
        peers=tuple(_with(each, keys.get(each.public_key), keepalives.get(each.public_key, 0)) for each in view.peers),
    )


def applied_before(interface: str) -> Applied | None:
    """What was applied last, by the files of somebody else: so a peer that has roamed since is left where it is."""
    if wg_quick.is_managed(files.read(config_files.config_file(interface))):
        return None
    found = inventory.find(interface)
    if found is None:
        return None
    peers = found.config.peers
    return Applied(
        endpoints={peer.public_key: peer.endpoint for peer in peers if peer.endpoint},
        names={peer.public_key: peer.name for peer in peers if peer.name},
    )


def lines(config: Config) -> tuple[str, ...]:
    """What is kept of the settings of somebody else's file, as lines of wg-quick."""
    others = [(name, value) for name, value in config.others if name in KEPT]
    return tuple(f"{name} = {value}" for name, value in (*others, *config.hooks))


def _by_own_file(view: View, written: View) -> View:
    """By name: a peer that gets another public key keeps its preshared key, as the other end does."""
    before = {each.other_key.node: each for each in written.peers if each.other_key}
    before |= {key: each for each in written.peers if not each.other_key for key in (each.public_key, each.name)}
    peers = []
    for peer in view.peers:
        each = before.get(peer.name) or before.get(peer.public_key)
        key = each.preshared_key if each and not each.preshared else None
        peers.append(_with(peer, key, each.kept_keepalive if each else 0))
    return replace(view, kept=written.kept, peers=tuple(peers))


def _with(peer: Peer, preshared_key: str | None, keepalive: int) -> Peer:
    if not peer.keepalive:
        peer = replace(peer, kept_keepalive=keepalive)
    if peer.has_preshared_key or preshared_key is None:
        return peer
    return replace(peer, preshared_key=preshared_key, next_preshared_key=preshared_key if peer.next_key else None)
