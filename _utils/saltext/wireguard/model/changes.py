"""
What changes on a node, thing by thing. It is typed wherever we work with it and wherever it travels; only what leaves
us for Salt or for people is put into words, see ``as_salt``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

Facts = str | dict[str, object] | None


class Kind(Enum):
    """What a change is about. The value is how it travels."""

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
    # Those that an answer has no room for; its name is their number.
    MORE = "more"


# A path begins with a slash, and a service is `wg-quick@...` or `systemd-networkd`: no other words are like these.
_WORDS = {
    Kind.DEFAULT_ROUTE: "{} default route",
    Kind.BYPASS: "outside the tunnel: {}",
    Kind.FORWARDING: "{} forwarding",
    Kind.FILE: "{}",
    Kind.SERVICE: "{}",
    Kind.MORE: "{} more changes",
}


class Subject(NamedTuple):
    """The one thing that a change is about; ``name`` is empty where an interface has only one of the kind."""

    kind: Kind
    name: str = ""

    def __str__(self) -> str:
        """In words, which differ for any two subjects: a peer called ``mtu`` is not the MTU."""
        if self.kind in _WORDS:
            return _WORDS[self.kind].format(self.name)
        return f"{self.kind.value} {self.name}" if self.name else self.kind.value


@dataclass(frozen=True)
class Change:
    """What was there and what will be; None for nothing. Neither side ever has a secret."""

    kind: Kind
    name: str
    old: Facts
    new: Facts

    @property
    def subject(self) -> Subject:
        """What it is about."""
        return Subject(self.kind, self.name)

    def followed_by(self, later: Change) -> Change:
        """Both as one: what only one of them knows of a side counts."""
        old = self.old if later.old is None else later.old
        new = self.new if later.new is None else later.new
        return Change(self.kind, self.name, old, new)


# Not more than one change a subject.
Changes = tuple[Change, ...]


def united(changes: Iterable[Change]) -> Changes:
    """One change a subject, in the order in which they came first; those that change nothing are left out."""
    found: dict[Subject, Change] = {}
    for change in changes:
        if change.old != change.new:
            before = found.get(change.subject)
            found[change.subject] = before.followed_by(change) if before else change
    return tuple(found.values())


def removal(interface: str) -> Changes:
    """That an interface goes."""
    return (Change(Kind.INTERFACE, interface, "present", None),)


def as_salt(changes: Iterable[Change]) -> dict[str, dict[str, Facts]]:
    """Salt's ``changes``: what each is about, in words, to ``old`` and ``new``."""
    return {str(change.subject): {"old": change.old, "new": change.new} for change in changes}
