"""
What a trial checks: which peers must answer after a change, and when too many of them do not.

Pure: ``node.trial`` watches the device and waits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..model.changes import Facts, Kind, Subject
from ..model.device import Device, DevicePeer
from ..model.peer import Peer
from ..model.view import View
from .operations import Operation

# Changes to the interface itself that concern the sessions with all peers.
_FOR_ALL = (Kind.PRIVATE_KEY, Kind.LISTEN_PORT, Kind.LINK, Kind.ADDRESS)

# Changes to a peer after which it need not answer. A preshared key takes effect only once the other end has it too, and
# the live session leaves time for that.
_HARMLESS = {"keepalive", "preshared_key"}


def affected(operations: Iterable[Operation], wanted: View, device: Device | None, now: int) -> frozenset[str]:
    """
    Return the public keys of the peers that must answer after the operations: those that have a session now, stay, and
    are touched. A peer that is only added, removed or rekeyed need not answer.

    :param device: as it is before the operations
    :param now: Unix seconds
    """
    if device is None:
        return frozenset()
    sessions = device.sessions(now)
    staying = {peer.public_key: peer for peer in wanted.peers if peer.public_key in sessions}
    changed = {operation.change.subject: operation.change.new for operation in operations}
    if any(subject.kind in _FOR_ALL for subject in changed):
        return frozenset(staying)
    return frozenset(key for key, peer in staying.items() if _is_touched(peer, changed))


def _is_touched(peer: Peer, changed: Mapping[Subject, Facts]) -> bool:
    facts = changed.get(Subject(Kind.PEER, peer.name))
    # A wrong endpoint that a peer offers itself must not keep a change from everybody else.
    harmless = _HARMLESS | {"endpoint"} if peer.is_offered else _HARMLESS
    return bool(isinstance(facts, Mapping) and facts.keys() - harmless) or any(
        Subject(Kind.ROUTE, network) in changed for network in peer.allowed_ips
    )


def new_exit(before: View | None, wanted: View, device: Device | None) -> str | None:
    """
    Return the public key of a new exit node, which must answer even if it had no session. None if the exit stays the
    same, and at a first set-up, which waits for nobody.

    :param before: the view that was applied last
    """
    if device is None or wanted.via is None or (before and before.via == wanted.via):
        return None
    return next((peer.public_key for peer in wanted.peers if peer.name == wanted.via), None)


def has_answered(before: DevicePeer, now: DevicePeer | None) -> bool:
    """Whether the peer has sent something in between."""
    return now is not None and (now.rx > before.rx or now.latest_handshake > before.latest_handshake)


def too_many_missing(missing: int, of: int, share: float) -> bool:
    """Whether the change failed, because too many peers did not answer."""
    return missing > of * share
