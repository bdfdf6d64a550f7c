"""
The digests of the peers of a view, as a tree of fixed shape.

Its hash identifies the set of peers. The set of a fleet of thousands, without one of these or with another, is hashed
in microseconds: only the branch of that one changes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import sha256

_WIDTH = 16


@dataclass(frozen=True)
class _Branch:
    """All digests with the same first four bits, in leaves by the next four. An empty part counts as nothing."""

    leaves: tuple[tuple[bytes, ...], ...] = ((),) * _WIDTH
    hashes: tuple[bytes, ...] = (b"",) * _WIDTH
    _without: dict[bytes, bytes] = field(default_factory=dict, compare=False, repr=False)

    def changed(self, gone: Collection[bytes], new: Iterable[bytes]) -> _Branch:
        leaves, hashes = [*self.leaves], [*self.hashes]
        for place, leaf in _by_bits({*gone, *new}, 0):
            kept = [each for each in leaves[place] if each not in gone]
            leaves[place] = tuple(sorted({*kept, *leaf.intersection(new)}))
            hashes[place] = _hash(leaves[place])
        return _Branch(tuple(leaves), tuple(hashes))

    @cached_property
    def hash(self) -> bytes:
        return _hash(self.hashes)

    def without(self, digest: bytes) -> bytes:
        """The hash without one of the digests. Remembered: a branch that is unchanged is part of the next tree."""
        found = self._without.get(digest)
        if found is None:
            place = digest[0] & 15
            leaf = _hash([each for each in self.leaves[place] if each != digest])
            found = self._without[digest] = _hash([*self.hashes[:place], leaf, *self.hashes[place + 1 :]])
        return found


@dataclass(frozen=True)
class PeerSet:
    """A set of digests of 32 bytes. It never changes: ``changed`` makes another that shares what is the same."""

    _branches: tuple[_Branch, ...] = (_Branch(),) * _WIDTH

    @classmethod
    def of(cls, digests: Iterable[bytes]) -> PeerSet:
        return cls().changed((), digests)

    def changed(self, gone: Iterable[bytes], new: Iterable[bytes]) -> PeerSet:
        """The same set without some digests and with others."""
        out, into = frozenset(gone), frozenset(new)
        branches = [*self._branches]
        for place, part in _by_bits(out | into, 4):
            branches[place] = branches[place].changed(out & part, into & part)
        return replace(self, _branches=tuple(branches))

    @cached_property
    def hashes(self) -> bytes:
        """What identifies the set."""
        return b"".join([branch.hash for branch in self._branches])

    def hashes_without(self, digest: bytes) -> bytes:
        """What identifies the set without one of its digests."""
        place = digest[0] >> 4
        before, after = self._around[place]
        return before + self._branches[place].without(digest) + after

    @cached_property
    def _around(self) -> list[tuple[bytes, bytes]]:
        """What is before each branch, and after it."""
        hashes = [branch.hash for branch in self._branches]
        return [(b"".join(hashes[:place]), b"".join(hashes[place + 1 :])) for place in range(_WIDTH)]


def _by_bits(digests: Iterable[bytes], shift: int) -> Iterable[tuple[int, set[bytes]]]:
    """The digests by four bits of their first byte."""
    parts: dict[int, set[bytes]] = {}
    for each in digests:
        parts.setdefault(each[0] >> shift & 15, set()).add(each)
    return parts.items()


def _hash(parts: Sequence[bytes]) -> bytes:
    """That of nothing is nothing, so that a small set is hashed as fast as it should be."""
    whole = b"".join(parts)
    return sha256(whole).digest() if whole else b""
