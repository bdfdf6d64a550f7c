"""What a node answers when it is asked what it would change, and how that travels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import asdict, dataclass, field
from typing import Any

from .changes import Changes, Facts
from .device import Device, live_peers

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
        live = live_peers(device, now)
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
    One thing that would change on one node; ``old`` and ``new`` as in Salt's ``changes``.

    ``disturbs`` is the number of live sessions that it would cut off; None: not known.
    """

    network: str
    node: str
    subject: str
    old: Facts
    new: Facts
    disturbs: int | None

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Answer:
    """
    What a node would change in one network, and its live sessions there.

    ``digest`` names the view that its configuration file was written from. ``more`` is the number of changes that were
    left out. ``error``: why it cannot say.
    """

    changes: Changes = field(default_factory=dict)
    disturbs: Mapping[str, int] = field(default_factory=dict)
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
        for subject, change in self.changes.items():
            yield Step(network, node, subject, change["old"], change["new"], self.disturbs.get(subject, 0))
        if self.more:
            yield Step(network, node, f"{self.more} more changes", None, None, None)


def brief(changes: Changes, disturbs: Mapping[str, int]) -> dict[str, Any]:
    """Changes as they travel over the event bus: not more than MAX_CHANGES, and the number of those left out."""
    subjects = sorted(changes, key=lambda subject: (-disturbs.get(subject, 0), subject))[:MAX_CHANGES]
    return {
        "changes": {subject: changes[subject] for subject in subjects},
        "disturbs": {subject: disturbs[subject] for subject in subjects if subject in disturbs},
        "more": len(changes) - len(subjects),
    }


def total(disturbs: Mapping[str, int]) -> int:
    """The number of sessions cut off altogether: one that several changes of an interface cut off counts once."""
    peers = sum(number for subject, number in disturbs.items() if subject.startswith("peer "))
    return max([peers, *disturbs.values()]) if disturbs else 0


def _answer(data: Mapping[str, object]) -> Answer:
    if data.get("result") is False:
        return Answer(error=_text(data.get("comment")) or "it gave no reason")
    changes = {
        _text(subject): {"old": _facts(_mapping(change).get("old")), "new": _facts(_mapping(change).get("new"))}
        for subject, change in [*_mapping(data.get("changes", {})).items()][:MAX_CHANGES]
    }
    disturbs = {_text(subject): _count(number) for subject, number in _mapping(data.get("disturbs", {})).items()}
    keys = [_text(key) for key in _listed(data.get("live_keys") or [])]
    digest = data.get("digest")
    return Answer(
        changes=changes,
        disturbs=disturbs,
        digest=_text(digest) if digest else None,
        sessions=Sessions(_count(data.get("live") or 0), frozenset(keys)),
        more=_count(data.get("more") or 0),
    )


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
