"""What a node answers when it is asked what it would change, and how that travels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any

from .changes import Change, Changes, Facts, Kind, Subject
from .device import Device

# In ``cuts``: not one session, but every one of the interface.
ALL = "*"


@dataclass(frozen=True)
class Sessions:
    """A node's live sessions in one network: how many, and with which public keys; None where that is not known."""

    count: int = 0
    keys: AbstractSet[str] | None = frozenset()

    @classmethod
    def of(cls, device: Device, now: int) -> Sessions:
        """Those of a device. ``now``: Unix seconds."""
        live = device.sessions(now)
        return cls(len(live), live.keys())

    def cut(self, by: str) -> int | None:
        """How many of them end, ``by`` being a value of ``cuts``; None where that is not known."""
        if by == ALL:
            return self.count
        return None if self.keys is None else int(by in self.keys)


# Answers travel over the event bus and are kept: a fleet makes many of them.
MAX_CHANGES = 50
MAX_TEXT = 200


@dataclass(frozen=True)
class Step:
    """
    One thing that would change on one node.

    ``disturbs`` is the number of live sessions that it would cut off; None: not known.
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

    ``digest`` names the view that its configuration file was written from. ``more`` is the number of changes that were
    left out. ``error``: why it cannot say.
    """

    changes: Changes = ()
    disturbs: Mapping[Subject, int] = field(default_factory=dict)
    digest: str | None = None
    sessions: Sessions = field(default_factory=Sessions)
    more: int = 0
    error: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """As it travels; see ``brief``."""
        if self.error:
            return {"result": False, "comment": self.error}
        return {
            **brief(self.changes, self.disturbs),
            "digest": self.digest,
            "live": self.sessions.count,
            "live_keys": sorted(self.sessions.keys or ()),
        }

    @classmethod
    def from_dict(cls, data: object) -> Answer:
        """From a job's return, of which no shape is certain: it can be forged."""
        try:
            return _answer(_mapping(data))
        except (ValueError, RecursionError):
            return cls(error="its answer is not understood")

    def steps(self, network: str, node: str) -> Iterator[Step]:
        """Its changes one by one."""
        for change in self.changes:
            yield Step(network, node, change, self.disturbs.get(change.subject, 0))
        if self.more:
            yield Step(network, node, Change(Kind.MORE, str(self.more), None, None), None)


def brief(changes: Changes, disturbs: Mapping[Subject, int]) -> dict[str, Any]:
    """
    Changes as they travel over the event bus: not more than MAX_CHANGES, those first that cut sessions off, and the
    number of those left out.
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
    """The number of sessions cut off altogether: one that several changes of an interface cut off counts once."""
    peers = sum(number for subject, number in disturbs.items() if subject.kind == Kind.PEER)
    return max([peers, *disturbs.values()]) if disturbs else 0


def _answer(data: Mapping[str, object]) -> Answer:
    if data.get("result") is False:
        return Answer(error=_text(data.get("comment")) or "it gave no reason")
    travelling = [_mapping(change) for change in _listed(data.get("changes") or [])]
    changes = {change.subject: change for change in map(_change, travelling)}
    counts = [_count(change.get("disturbs", 0)) for change in travelling]
    disturbs = dict(zip(changes, counts, strict=True))  # which fails where two changes are about the same
    keys = [_text(key) for key in _listed(data.get("live_keys") or [])]
    digest = data.get("digest")
    return Answer(
        changes=tuple(changes.values()),
        disturbs={subject: number for subject, number in disturbs.items() if number},
        digest=_text(digest) if digest else None,
        sessions=Sessions(_count(data.get("live") or 0), frozenset(keys)),
        more=_count(data.get("more") or 0),
    )


def _change(data: Mapping[str, object]) -> Change:
    return Change(Kind(data.get("kind")), _text(data.get("name", "")), _facts(data.get("old")), _facts(data.get("new")))


def _mapping(value: object) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError("not a mapping")
    return value


def _listed(value: object) -> list[object]:
    if not isinstance(value, list):
        raise ValueError("not a list")
    return value[:MAX_CHANGES]


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("not text")
    return value[:MAX_TEXT]


def _count(value: object) -> int:
    if not isinstance(value, int) or not 0 <= value < 2**20:
        raise ValueError("not a count")
    return int(value)


def _facts(value: object) -> Facts:
    if isinstance(value, Mapping):
        return {_text(name): _fact(each) for name, each in value.items()}
    return None if value is None else str(_fact(value))


def _fact(value: object) -> object:
    if isinstance(value, list):
        return [_text(item) for item in value[:MAX_CHANGES]]
    return value if value is None or isinstance(value, int) else _text(value)
