"""Which keys are due for a rotation."""

from __future__ import annotations

import hashlib

# When a rotation by `rotate_every` that failed is tried again.
ROTATE_AGAIN_SECONDS = 3600.0


def share(text: str) -> float:
    """A number from 0 to 1, always the same for the same text."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") / 2**32
