"""
The changes of a node, one for each thing that changes. They are typed, and become words only for Salt and for people
(``as_salt``).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

Facts = str | dict[str, object] | None


class Kind(Enum):
    """The kind of thing that a change concerns. The value is how it travels."""

    INTERFACE = "interface"
    DEVICE = "device"
    PRIVATE_KEY = "private key"
    LISTEN_PORT = "listen port"
    MARK = "mark of its own packets"
    MTU = "mtu"
    LINK = "link"
    ADDRESS = "address"
    PEER = "peer"
    ROUTE = "route"
    DEFAULT_ROUTE = "default route"
    BYPASS = "bypass"
    PATH_FILTER = "reverse path filter"
    FORWARDING = "forwarding"
    HOST_NAMES = "host names"
    FILE = "file"
    SERVICE = "service"
    # The changes that an answer has no room for; the name is their number.
    MORE = "more"


# No other words look like a path, which begins with a slash, or a service, `wg-quick@...` or `systemd-networkd`.
_WORDS = {
    Kind.DEFAULT_ROUTE: "{} default route",
    Kind.BYPASS: "outside the tunnel: {}",
    Kind.FORWARDING: "{} forwarding",
    Kind.FILE: "{}",
    Kind.SERVICE: "{}",
    Kind.MORE: "{} more changes",
}


class Subject(NamedTuple):
    """The thing that a change concerns; ``name`` is empty if an interface has only one of the kind."""

    kind: Kind
    name: str = ""

    def __str__(self) -> str:
        """In words that are unique to the subject: a peer called ``mtu`` is not the MTU."""
        if self.kind in _WORDS:
            return _WORDS[self.kind].format(self.name)
        return f"{self.kind.value} {self.name}" if self.name else self.kind.value


@dataclass(frozen=True)
class Change:
    """The old and the new state of a thing, None for absent. Neither contains a secret."""

    kind: Kind
    name: str
    old: Facts
    new: Facts

    @property
    def subject(self) -> Subject:
        """The thing that changes."""
        return Subject(self.kind, self.name)

    def followed_by(self, later: Change) -> Change:
        """Both as one change; a None is filled in from the other one."""
        old = self.old if later.old is None else later.old
        new = self.new if later.new is None else later.new
        return Change(self.kind, self.name, old, new)


# At most one change for each subject.
Changes = tuple[Change, ...]


def united(changes: Iterable[Change]) -> Changes:
    """One change for each subject, in order of first appearance, without those that change nothing."""
    by_subject: dict[Subject, Change] = {}
    for change in changes:
        if change.old != change.new:
            before = by_subject.get(change.subject)
            by_subject[change.subject] = before.followed_by(change) if before else change
    return tuple(by_subject.values())


def removal(interface: str) -> Changes:
    """The changes when an interface is removed."""
    return (Change(Kind.INTERFACE, interface, "present", None),)


def as_salt(changes: Iterable[Change]) -> dict[str, dict[str, Facts]]:
    """Salt's ``changes``: subject in words -> ``old`` and ``new``."""
    return {str(change.subject): {"old": change.old, "new": change.new} for change in changes}
