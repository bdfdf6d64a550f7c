"""What changes are made of."""

from __future__ import annotations

from collections.abc import Mapping

Facts = str | dict[str, object] | None


Changes = Mapping[str, Mapping[str, Facts]]
