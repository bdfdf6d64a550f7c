"""Which live sessions a change cuts off."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..model.answers import ALL, Sessions
from ..model.changes import Change, Changes, Facts, Kind, Subject
from ..model.device import Device
from ..model.peer import Peer

# Parts of an interface that all its sessions depend on.
_ALL_DEPEND_ON = (Kind.INTERFACE, Kind.PRIVATE_KEY, Kind.LISTEN_PORT)


def public_keys(peers: Iterable[Peer], device: Device) -> dict[Subject, str]:
    """Subject of a change -> public key of the peer that it concerns, for all peers and routes of a device."""
    routed = {Subject(Kind.ROUTE, net): key for key, peer in device.peers.items() for net in peer.allowed_ips}
    return routed | {Subject(Kind.PEER, peer.name): peer.public_key for peer in peers}


def cuts(changes: Changes, keys: Mapping[Subject, str]) -> dict[Subject, str]:
    """
    Subject -> public key of the session that its change cuts off; ALL stands for every session of the interface.

    A peer that is new, or gains something, loses no packet. Neither does one whose endpoint, keepalive or preshared key
    changes: a new preshared key counts from the next handshake, when the other end has it too.

    :param keys: see ``public_keys``
    """
    sessions = ((change.subject, _cut(change, keys)) for change in changes)
    return {subject: session for subject, session in sessions if session}


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
    """Whether a peer has another key or fewer networks afterwards."""
    if not isinstance(new, dict):
        return True
    fewer = {*_list(old.get("allowed_ips"))} - {*_list(new.get("allowed_ips"))} if "allowed_ips" in new else set()
    return bool(fewer) or ("public_key" in old and old["public_key"] != new.get("public_key"))


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def disturbed(changes: Changes, peers: Iterable[Peer], device: Device | None, now: int) -> dict[Subject, int]:
    """Subject -> number of live sessions that its change cuts off, unless that is 0. ``now``: Unix seconds."""
    if device is None:
        return {}
    sessions = Sessions.of(device, now)
    cut = cuts(changes, public_keys(peers, device))
    return {subject: number for subject, session in cut.items() if (number := sessions.cut(session))}
