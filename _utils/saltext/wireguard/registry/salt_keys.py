"""
The minion keys that the master has accepted: the evidence that everything else is checked against.

Reads Salt's key directory (``<pki_dir>/minions``, one PEM file an accepted minion). Key stores other than that
directory are refused by the callers, which know Salt's options.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass


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
    for entry in _files(directory):
        with contextlib.suppress(FileNotFoundError):  # deleted since the directory was listed
            info = entry.stat()
            stamp = (info.st_mtime_ns, info.st_size, info.st_ino)
            old = known.get(entry.name)
            fresh[entry.name] = old if old and old[0] == stamp else (stamp, _read(entry.path))
    if fresh != known or directory not in _cache:
        result = {name: key for name, (_, key) in fresh.items()}
        _cache[directory] = (fresh, result)
    return result


def _files(directory: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(directory) as entries:
            return [entry for entry in entries if not entry.name.startswith(".") and entry.is_file()]
    except FileNotFoundError:
        return []


def _read(path: str) -> AcceptedKey:
    with open(path, "rb") as handle:
        pem = handle.read()
    return AcceptedKey(pem, hashlib.sha256(b"".join(pem.split())).hexdigest())
