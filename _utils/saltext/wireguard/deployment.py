"""
The files of ours that are here, and their digest.

By the digest, a minion knows that its files are not those of its master, though both say that they are one version.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from . import LOADED, __version__

# The Salt modules that both a minion and a master have of ours. A master syncs no beacons, so its digest would differ.
KINDS = ("modules", "states", "output")
LIBRARY = Path(__file__).parent
PACKAGE = __name__.rpartition(".")[0]

# A file: its name, which is the same in every way of installation, its path, the time of its last change, its size.
_File = tuple[str, str, int, int]


def describe(extension_modules: str) -> dict[str, Any]:
    """
    The version and the digest of the files here, the folder of the library, and whether Salt has synced it there.

    :param extension_modules: the folder that Salt syncs to
    """
    synced = LIBRARY.resolve().is_relative_to(Path(extension_modules).resolve())
    return {"version": __version__, "digest": digest(), "folder": str(LIBRARY), "synced": synced}


def digest() -> str:
    """The digest of the files as they are now. They are read again only when one of them has changed."""
    return _digest_of(_files())


def forget_if_changed() -> None:
    """
    Forget the library where its files have changed since it was imported, so that the next import reads them.

    A sync replaces files, and Salt then loads its own modules again, but not what these import.
    """
    if _files() != _IMPORTED:
        for name in [name for name in sys.modules if f"{name}.".startswith(f"{PACKAGE}.")]:
            del sys.modules[name]
        importlib.invalidate_caches()


@lru_cache(maxsize=1)
def _digest_of(files: tuple[_File, ...]) -> str:
    whole = sha256()
    for name, path, _, _ in files:
        with suppress(FileNotFoundError):  # a sync is at work; afterwards the files are others
            whole.update(f"{name}\0{sha256(Path(path).read_bytes()).hexdigest()}\n".encode())
    return whole.hexdigest()[:16]


def _files() -> tuple[_File, ...]:
    """Every file that minions have. Asked for each pillar, so it takes less than a millisecond."""
    found = [file for kind in KINDS if (folder := _folder(kind)) for file in _ours(kind, folder)]
    # Where pip has installed the library, the Salt modules are packages below it.
    found += (file for file in _below(str(LIBRARY), "") if file[0].partition("/")[0] not in LOADED)
    return tuple(sorted(found))


def _ours(kind: str, folder: str) -> Iterator[_File]:
    """Beside modules of others, our own."""
    for path in sorted(Path(folder).glob("wireguard*.py")):
        with suppress(FileNotFoundError):
            yield _file(f"{kind}/{path.name}", str(path))


def _below(folder: str, prefix: str) -> Iterator[_File]:
    for entry in os.scandir(folder):
        with suppress(FileNotFoundError):
            if entry.name.endswith(".py"):
                yield _file(prefix + entry.name, entry)
            elif entry.name != "__pycache__" and entry.is_dir():
                yield from _below(entry.path, f"{prefix}{entry.name}/")


def _file(name: str, path: str | os.DirEntry[str]) -> _File:
    status = os.stat(path)
    return name, os.fspath(path), status.st_mtime_ns, status.st_size


def _folder(kind: str) -> str | None:
    """Where our Salt module of a kind is: installed, synced to Salt's folder for extensions, or in a checkout."""
    places = (f"{LIBRARY}/{kind}", f"{LIBRARY.parents[2]}/{kind}", f"{LIBRARY.parents[2]}/_{kind}")
    return next((place for place in places if os.path.isfile(f"{place}/wireguard.py")), None)


_IMPORTED = _files()
