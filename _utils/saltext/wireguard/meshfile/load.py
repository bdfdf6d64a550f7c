"""The mesh file on disk: one file or a directory of ``*.yml`` files. Each process parses a change once."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Sequence
from dataclasses import replace

from ..errors import MeshError, Problem
from .mesh import Mesh
from .parse import parse_mesh
from .patterns import Nodegroups

Stamp = tuple[tuple[str, int, int, int], ...]  # (path, mtime in ns, size, inode) of every file
_cache: dict[str, tuple[tuple[Stamp, Nodegroups | None], Mesh | tuple[Problem, ...]]] = {}
_last_valid: dict[str, Mesh] = {}

# A file that is written twice within one tick of the file system's clock looks the same after both.
_SETTLED_NS = 100_000_000


def stamp(path: str) -> Stamp:
    """Identifies the content of ``path`` by stat calls alone. Raises MeshError if it cannot be read."""
    try:
        return tuple(_stamp(name) for name in _files(path))
    except OSError as exc:
        raise MeshError([Problem(path, 0, f"cannot be read: {exc.strerror}")]) from exc


def _stamp(name: str) -> tuple[str, int, int, int]:
    info = os.stat(name)
    return name, info.st_mtime_ns, info.st_size, info.st_ino


def load_mesh(path: str, nodegroups: Nodegroups | None = None) -> Mesh:
    """
    The mesh in ``path``. Raises MeshError if it is invalid or cannot be read.

    An unchanged file is not parsed again: it yields the same object, or the same problems.

    :param nodegroups: as of ``parse_mesh``
    """
    now = stamp(path)
    known = _cache.get(path)
    result = known[1] if known and known[0] == (now, nodegroups) else _parse(path, now, nodegroups)
    if isinstance(result, Mesh):
        return result
    raise MeshError(result)  # a new one: the traceback of an exception that is raised again and again grows


def read_files(path: str) -> list[tuple[str, str]]:
    """(name, text) of each file. Raises MeshError."""
    return [(name, _read(name)) for name, *_ in stamp(path)]


def last_valid(path: str) -> Mesh | None:
    """The last valid mesh that this process has read from ``path``, if any."""
    return _last_valid.get(path)


def _parse(path: str, now: Stamp, nodegroups: Nodegroups | None) -> Mesh | tuple[Problem, ...]:
    before = time.time_ns()
    result: Mesh | tuple[Problem, ...]
    try:
        result = _last_valid[path] = _mesh(path, [(name, _read(name)) for name, *_ in now], nodegroups)
    except MeshError as exc:
        result = exc.problems
    if all(before - mtime > _SETTLED_NS for _, mtime, _, _ in now):
        _cache[path] = ((now, nodegroups), result)
    return result


def _mesh(path: str, sources: Sequence[tuple[str, str]], nodegroups: Nodegroups | None) -> Mesh:
    mesh = parse_mesh(sources, nodegroups)
    cut_off = next((name for name, text in sources if not text.endswith("\n")), None)
    texts = [(name.removeprefix(path), text) for name, text in sources]  # masters may have them in different places
    said = [texts, nodegroups] if any(entry.is_nodegroup for entry in mesh.entries()) else texts
    digest = hashlib.sha256(json.dumps(said).encode()).hexdigest()
    return replace(mesh, changed_at=_changed_at(path, sources), cut_off=cut_off, digest=digest)


def _changed_at(path: str, sources: Sequence[tuple[str, str]]) -> float:
    """The directory counts too: a file that is missing there may be about to return."""
    try:
        return max(os.stat(name).st_mtime for name in {path, *(name for name, _ in sources)})
    except OSError:  # a file has just been removed
        return time.time()


def _files(path: str) -> list[str]:
    if not os.path.isdir(path):
        return [path]
    names = sorted(name for name in os.listdir(path) if name.endswith(".yml") and not name.startswith("."))
    if not names:
        raise MeshError([Problem(path, 0, "the directory has no *.yml file")])
    return [os.path.join(path, name) for name in names]


def _read(name: str) -> str:
    try:
        with open(name, "rb") as handle:
            return handle.read().decode("utf-8")
    except OSError as exc:
        raise MeshError([Problem(name, 0, f"cannot be read: {exc.strerror}")]) from exc
    except UnicodeDecodeError as exc:
        raise MeshError([Problem(name, 0, f"is not UTF-8 text: {exc.reason} at byte {exc.start}")]) from exc
