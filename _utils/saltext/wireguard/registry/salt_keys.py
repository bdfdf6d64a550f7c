"""
The minion keys that the master has accepted: the evidence that everything else is checked against.

Reads Salt's key directory (``<pki_dir>/minions``, one PEM file an accepted minion). Salt 3008 has other stores as well;
``control`` reads these, by Salt's own means.

As for Salt, a minion with a file in ``minions_rejected`` is rejected. A file in ``minions_denied`` means nothing: Salt
stores there what anybody sends in the minion's name.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class AcceptedKey:
    """A minion's accepted public key. ``fingerprint`` is the SHA-256 of its PEM text without white space."""

    pem: bytes
    fingerprint: str


_Stamp = tuple[int, int, int]
_Files = dict[str, tuple[_Stamp, AcceptedKey]]
_cache: dict[str, tuple[_Files, Mapping[str, AcceptedKey]]] = {}


def load_salt_keys(directory: str) -> Mapping[str, AcceptedKey]:
    """
    Minion id -> accepted key.

    Every file is looked at on every call, but read only when it changed: Salt replaces some keys in place, so the
    directory's own time does not tell. Returns the same object as before when nothing changed.
    """
    known, result = _cache.get(directory, ({}, {}))
    fresh: _Files = {}
    rejected = {entry.name for entry in _entries(_rejected(directory))}
    for entry in _files(directory):
        if entry.name in rejected:
            continue
        with contextlib.suppress(FileNotFoundError):  # deleted since the directory was listed
            info = entry.stat()
            stamp = (info.st_mtime_ns, info.st_size, info.st_ino)
            old = known.get(entry.name)
            fresh[entry.name] = old if old and old[0] == stamp else (stamp, _read(entry.path))
    if fresh != known or directory not in _cache:
        result = {name: key for name, (_, key) in fresh.items()}
        _cache[directory] = (fresh, result)
    return result


# How long a key that was replaced in place may go unnoticed by ``recent_salt_keys``; and a directory that changes twice
# within one tick of the file system's clock looks the same after both.
RECENT_SECONDS = 10.0
_SETTLED_NS = 100_000_000
_recent: dict[str, tuple[object, tuple[int, int], float, Mapping[str, AcceptedKey]]] = {}


def recent_salt_keys(directory: str, generation: object) -> Mapping[str, AcceptedKey]:
    """
    The same without a look at every file, as long as no file came or went, and ``generation`` is the same object. Each
    pillar needs them. Before nodes are asked to drop a peer, the registry has another generation.
    """
    now = time.monotonic()
    stamps = _stamp(directory), _stamp(_rejected(directory))
    known = _recent.get(directory)
    if known and known[0] is generation and known[1] == stamps and now < known[2] + RECENT_SECONDS:
        return known[3]
    keys = load_salt_keys(directory)
    if all(stamp + _SETTLED_NS < time.time_ns() for stamp in stamps):
        _recent[directory] = (generation, stamps, now, keys)
    return keys


def _stamp(directory: str) -> int:
    try:
        return os.stat(directory).st_mtime_ns
    except FileNotFoundError:
        return 0


def _files(directory: str) -> list[os.DirEntry[str]]:
    return [entry for entry in _entries(directory) if not entry.name.startswith(".") and entry.is_file()]


def _entries(directory: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(directory) as entries:
            return [*entries]
    except FileNotFoundError:
        return []


def _rejected(directory: str) -> str:
    return os.path.join(os.path.dirname(directory), "minions_rejected")


def _read(path: str) -> AcceptedKey:
    with open(path, "rb") as handle:
        return key_of(handle.read())


def key_of(pem: bytes) -> AcceptedKey:
    return AcceptedKey(pem, hashlib.sha256(b"".join(pem.split())).hexdigest())


def is_name(node: str) -> bool:
    """Whether a minion could have this id: who claims to be it made it up."""
    return bool(node) and not node.startswith(".") and "/" not in node and "\0" not in node


class SaltKeys(Mapping[str, AcceptedKey]):
    """The same keys, read one by one: a statement is checked against one key, however many there are."""

    def __init__(self, directory: str) -> None:
        self._directory = directory

    def __getitem__(self, node: str) -> AcceptedKey:
        key = load_salt_key(self._directory, node)
        if key is None:
            raise KeyError(node)
        return key

    def __iter__(self) -> Iterator[str]:
        return iter(load_salt_keys(self._directory))

    def __len__(self) -> int:
        return len(load_salt_keys(self._directory))


_single: dict[str, tuple[_Stamp, AcceptedKey]] = {}


def load_salt_key(directory: str, node: str) -> AcceptedKey | None:
    """
    The accepted key of one minion, if there is one. ``node`` may be anything: who claims to be it made it up.

    Only the name of a file in this very directory is looked up, and one that ``load_salt_keys`` would find.
    """
    if not is_name(node):
        return None
    path = os.path.join(directory, node)
    try:
        info = os.stat(path)
        if not stat.S_ISREG(info.st_mode) or os.path.lexists(os.path.join(_rejected(directory), node)):
            return None
        stamp = (info.st_mtime_ns, info.st_size, info.st_ino)
        known = _single.get(path)
        if known is None or known[0] != stamp:
            known = _single[path] = (stamp, _read(path))
    except (FileNotFoundError, ValueError):  # the last one for what no file name can be
        _single.pop(path, None)
        return None
    except OSError as exc:
        if exc.errno == errno.ENAMETOOLONG:
            return None
        raise
    return known[1]


class KeyStore(Protocol):
    """Where a master keeps the keys of minions."""

    def accepted(self) -> Mapping[str, AcceptedKey]:
        """Minion id -> accepted key; the same object as before when nothing changed."""

    def by_name(self) -> Mapping[str, AcceptedKey]:
        """The same, read one by one, for work that concerns few of them."""

    def pending(self) -> Collection[str]:
        """Who presents itself with a key that nobody has accepted yet."""

    def denied(self) -> Collection[str]:
        """In whose name somebody presents another key than the accepted one."""


class KeyDirectory:
    """Salt's directory of accepted keys, with those of the others beside it."""

    def __init__(self, directory: str) -> None:
        self._directory = directory

    def accepted(self) -> Mapping[str, AcceptedKey]:
        return load_salt_keys(self._directory)

    def by_name(self) -> Mapping[str, AcceptedKey]:
        return SaltKeys(self._directory)

    def pending(self) -> Collection[str]:
        return load_salt_keys(f"{self._directory}_pre").keys()

    def denied(self) -> Collection[str]:
        return load_salt_keys(f"{self._directory}_denied").keys()
