"""Which nodes are in sync, and why the others are not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..fleet.membership import Member
from ..registry.rows import Applied, NodeId
from ..registry.salt_keys import AcceptedKey

# Why a node is not in sync that announced a new key and never said whether it uses it.
UNFINISHED = "rotation not finished"

# Why a node is not in sync whose minion cannot be asked.
BY_SSH = "by ssh"

# Why a node is not in sync that was enrolled by ssh, and has a minion now.
ENROLLED = "enrolled by ssh; its minion has not registered yet"


@dataclass(frozen=True)
class Status:
    """
    Where one member stands. ``reason`` is None when its device is what it should be, which ``wanted`` is the digest of.

    ``wanted`` is None for a member that has not registered.
    """

    network: str
    member: Member
    applied: Applied | None
    reason: str | None
    wanted: str | None = None

    @property
    def seen(self) -> float:
        """The time of its last registration or report, in Unix seconds; 0 for never."""
        row = self.member.row
        return max(row.registered if row else 0.0, self.applied.reported if self.applied else 0.0)


def believed_report(
    applied: Mapping[NodeId, Applied], network: str, node: str, accepted_keys: Mapping[str, AcceptedKey]
) -> Applied | None:
    """The node's last report, unless another installation of it, with another Salt key, made that report."""
    report = applied.get((network, node))
    key = accepted_keys.get(node)
    return report if report and key and report.salt_key == key.fingerprint else None


def reason_of(member: Member, digest: str | None, report: Applied | None) -> str | None:
    if member.row is None:
        return "never registered"
    if not member.has_registered:
        return ENROLLED if member.has_key else BY_SSH
    if report is None:
        return "never reported"
    if report.digest != digest:
        tried = report.rollback
        return f"rolled back: {tried.why}" if tried and tried.tried == digest else "out of date"
    return UNFINISHED if member.row.next_key else None
