"""What a change does to the sessions that live now: which of them it cuts off."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..model.answers import ALL, Sessions
from ..model.changes import Changes, Facts
from ..model.device import Device
from ..model.view import Peer


def public_keys(peers: Iterable[Peer], device: Device) -> dict[str, str]:
    """Subject of a change to the public key of the peer that it is about, for all peers and routes of a device."""
    routed = {f"route {network}": key for key, peer in device.peers.items() for network in peer.allowed_ips}
    return routed | {f"peer {peer.name}": peer.public_key for peer in peers}


def cuts(changes: Changes, interface: str, keys: Mapping[str, str]) -> dict[str, str]:
    """
    Subject to the public key of the session that its change cuts off, ALL for every session of the interface.

    A peer that is new, or gains something, loses no packet, and neither does one whose endpoint, keepalive or preshared
    key changes: that counts from the next handshake on, when the other end has it as well.

    :param keys: see ``public_keys``
    """
    found = {}
    for subject, change in changes.items():
        by = _cut(subject, change["old"], change["new"], interface, keys)
        if by:
            found[subject] = by
    return found


def _cut(subject: str, old: Facts, new: Facts, interface: str, keys: Mapping[str, str]) -> str | None:
    if old is None:
        return None
    kind = subject.partition(" ")[0]
    if subject in (interface, "private key", "listen port"):
        return ALL
    if kind == "address" and new is None:
        return ALL
    if kind == "route" and new is None:
        return keys.get(subject)
    if kind == "peer" and isinstance(old, dict) and (new is None or _loses(old, new)):
        return str(old.get("public_key") or keys.get(subject, ""))
    return None


def _loses(old: dict[str, object], new: Facts) -> bool:
    """Whether a peer has another key afterwards, or networks less."""
    if not isinstance(new, dict):
        return True
    fewer = {*_list(old.get("allowed_ips"))} - {*_list(new.get("allowed_ips"))} if "allowed_ips" in new else set()
    return bool(fewer) or ("public_key" in old and old["public_key"] != new.get("public_key"))


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def disturbed(changes: Changes, peers: Iterable[Peer], device: Device | None, now: int) -> dict[str, int]:
    """Subject to the number of live sessions that its change cuts off, where that is any. ``now``: Unix seconds."""
    if device is None:
        return {}
    sessions = Sessions.of(device, now)
    found = cuts(changes, device.interface, public_keys(peers, device))
    return {subject: number for subject, by in found.items() if (number := sessions.cut(by))}
