"""What a change does to the sessions that live now: which of them it cuts off."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..model.answers import ALL, Sessions
from ..model.changes import Change, Changes, Facts, Kind, Subject
from ..model.device import Device
from ..model.view import Peer

# What of an interface all its sessions depend on.
_ALL_DEPEND_ON = (Kind.INTERFACE, Kind.PRIVATE_KEY, Kind.LISTEN_PORT)


def public_keys(peers: Iterable[Peer], device: Device) -> dict[Subject, str]:
    """Subject of a change to the public key of the peer that it is about, for all peers and routes of a device."""
    routed = {Subject(Kind.ROUTE, net): key for key, peer in device.peers.items() for net in peer.allowed_ips}
    return routed | {Subject(Kind.PEER, peer.name): peer.public_key for peer in peers}


def cuts(changes: Changes, keys: Mapping[Subject, str]) -> dict[Subject, str]:
    """
    Subject to the public key of the session that its change cuts off, ALL for every session of the interface.

    A peer that is new, or gains something, loses no packet, and neither does one whose endpoint, keepalive or preshared
    key changes: that counts from the next handshake on, when the other end has it as well.

    :param keys: see ``public_keys``
    """
    found = {}
    for change in changes:
        by = _cut(change, keys)
        if by:
            found[change.subject] = by
    return found


def _cut(change: Change, keys: Mapping[Subject, str]) -> str | None:
    kind, old, new = change.kind, change.old, change.new
    if old is None:
        return None
    if kind in _ALL_DEPEND_ON or (kind == Kind.ADDRESS and new is None):
        return ALL
    if kind == Kind.ROUTE and new is None:
        return keys.get(change.subject)
    if kind == Kind.PEER and isinstance(old, dict) and (new is None or _loses(old, new)):
        return str(old.get("public_key") or keys.get(change.subject, ""))
    return None


def _loses(old: dict[str, object], new: Facts) -> bool:
    """Whether a peer has another key afterwards, or networks less."""
    if not isinstance(new, dict):
        return True
    fewer = {*_list(old.get("allowed_ips"))} - {*_list(new.get("allowed_ips"))} if "allowed_ips" in new else set()
    return bool(fewer) or ("public_key" in old and old["public_key"] != new.get("public_key"))


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def disturbed(changes: Changes, peers: Iterable[Peer], device: Device | None, now: int) -> dict[Subject, int]:
    """Subject to the number of live sessions that its change cuts off, where that is any. ``now``: Unix seconds."""
    if device is None:
        return {}
    sessions = Sessions.of(device, now)
    found = cuts(changes, public_keys(peers, device))
    return {subject: number for subject, by in found.items() if (number := sessions.cut(by))}
