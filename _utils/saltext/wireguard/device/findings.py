"""What on a machine is in the way of a view: one form for all that look for it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Finding:
    """
    One thing in the way. ``subject``: what the machine cannot have; ``found``: why; ``advice``: what to do.

    ``stops``: whether nothing works for it. Otherwise everything else does.
    """

    subject: str
    found: str
    advice: str
    stops: bool = False

    def __str__(self) -> str:
        return f"{self.subject} ({self.found})"

    @property
    def sentence(self) -> str:
        """With the advice, for an error."""
        return f"{self}. {self.advice}"

    def to_dict(self) -> dict[str, Any]:
        """As data for people and programs."""
        return asdict(self)
