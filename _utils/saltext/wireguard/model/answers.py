"""A node's answer to the question what it would change, and how that travels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any

from ..errors import ViewError
from . import fields
from .changes import Change, Changes, Facts, Kind, Subject
from .device import Device
from .fields import Fields

# In ``cuts``: every session of the interface.
ALL = "*"


@dataclass(frozen=True)
class Sessions:
    """A node's live sessions in one network: their number and their peers' public keys, None if unknown."""

    count: int = 0
    keys: AbstractSet[str] | None = frozenset()

    @classmethod
    def of(cls, device: Device, now: int) -> Sessions:
        """The live sessions of a device. ``now``: Unix seconds."""
        live = device.sessions(now)
        return cls(len(live), live.keys())

    def cut(self, session: str) -> int | None:
        """How many of them a value of ``cuts`` stands for; None if unknown."""
        if session == ALL:
            return self.count
        return None if self.keys is None else int(session in self.keys)


# Answers travel over the event bus and are stored, and a fleet makes many of them.
MAX_CHANGES = 50
MAX_TEXT = 200


@dataclass(frozen=True)
class Step:
    """
    One thing that would change on one node.

    ``disturbs``: the number of live sessions that it would cut off, None if unknown.
    """

    network: str
    node: str
    change: Change
    disturbs: int | None

    def to_dict(self) -> dict[str, Any]:
        """As data for people and programs: ``subject`` is in words, ``kind`` is one of a few."""
        return {
            "network": self.network,
            "node": self.node,
            "kind": self.change.kind.value,
            "subject": str(self.change.subject),
            "old": self.change.old,
            "new": self.change.new,
            "disturbs": self.disturbs,
        }


@dataclass(frozen=True)
class Answer:
    """
    What a node would change in one network, and its live sessions there.

    ``digest``: that of the view in its configuration file. ``more``: the number of changes that were left out.
    ``error``: why it cannot answer. ``obstacles``: what its machine cannot have of the view, and why.
    """

    changes: Changes = ()
    disturbs: Mapping[Subject, int] = field(default_factory=dict)
    digest: str | None = None
    sessions: Sessions = field(default_factory=Sessions)
    more: int = 0
    error: str | None = None
    obstacles: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As it travels; see ``brief``."""
        if self.error:
            return {"result": False, "comment": self.error}
        return {
            **brief(self.changes, self.disturbs),
            "digest": self.digest,
            "live": self.sessions.count,
            "live_keys": sorted(self.sessions.keys or ()),
            "obstacles": list(self.obstacles[:MAX_CHANGES]),
        }

    @classmethod
    def from_dict(cls, data: object) -> Answer:
        """From a job's return, which may be forged and so have any shape."""
        try:
            return _answer(data)
        except (ViewError, ValueError, RecursionError):
            return cls(error="its answer is malformed")

    def steps(self, network: str, node: str) -> Iterator[Step]:
        """Its changes one by one."""
        for change in self.changes:
            yield Step(network, node, change, self.disturbs.get(change.subject, 0))
        if self.more:
            yield Step(network, node, Change(Kind.MORE, str(self.more), None, None), None)


def brief(changes: Changes, disturbs: Mapping[Subject, int]) -> dict[str, Any]:
    """
    Changes for the event bus: at most MAX_CHANGES, those first that cut sessions off, and the number of the others.
    """
    first = sorted(changes, key=lambda each: (-disturbs.get(each.subject, 0), str(each.subject)))[:MAX_CHANGES]
    return {
        "changes": [_travelling(change, disturbs.get(change.subject, 0)) for change in first],
        "more": len(changes) - len(first),
    }


def _travelling(change: Change, disturbs: int) -> dict[str, Any]:
    return {
        "kind": change.kind.value,
        "name": change.name,
        "old": change.old,
        "new": change.new,
        "disturbs": disturbs,
    }


def total(disturbs: Mapping[Subject, int]) -> int:
    """The total number of sessions cut off. A session that several changes cut off counts once."""
    peers = sum(number for subject, number in disturbs.items() if subject.kind == Kind.PEER)
    return max([peers, *disturbs.values()]) if disturbs else 0


def _answer(data: object) -> Answer:
    given = Fields(data, "answer: ", ViewError)
    if failure := given.failure():
        return Answer(error=failure)
    changes = given.get("changes", fields.list_of(_change, MAX_CHANGES), [])
    disturbs = {change.subject: number for change, number in changes}
    if len(disturbs) < len(changes):
        raise ValueError("two changes of the same thing")
    return Answer(
        changes=tuple(change for change, _ in changes),
        disturbs={subject: number for subject, number in disturbs.items() if number},
        digest=given.get("digest", _text, None),
        sessions=Sessions(
            given.get("live", _COUNT, 0), frozenset(given.get("live_keys", fields.list_of(fields.short_text), []))
        ),
        more=given.get("more", _COUNT, 0),
        obstacles=tuple(given.get("obstacles", fields.list_of(_text, MAX_CHANGES), [])),
    )


def _change(data: object) -> tuple[Change, int]:
    """A change, and the number of sessions that it cuts off."""
    given = Fields(data, "change: ", ViewError)
    old, new = (given.get(side, _facts, None) for side in ("old", "new"))
    change = Change(given.get("kind", Kind), given.get("name", _text, ""), old, new)
    return change, given.get("disturbs", _COUNT, 0)


_COUNT = fields.integer(0, 2**20 - 1)


def _text(value: object) -> str:
    return fields.text(value)[:MAX_TEXT]


def _facts(value: object) -> Facts:
    if isinstance(value, Mapping):
        return {_text(name): _fact(each) for name, each in value.items()}
    return str(_fact(value))


def _fact(value: object) -> object:
    if isinstance(value, list):
        return [_text(item) for item in value[:MAX_CHANGES]]
    return value if value is None or isinstance(value, int) else _text(value)
