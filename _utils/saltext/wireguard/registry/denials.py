"""
The denials of operators, kept beside the registry so that an older registry does not undo them.

A new registry, and one from a backup, lack later revocations. So each revocation, and each admission that ends, is also
in this file, from before the registry has it until it is undone. Of several masters that share a registry, each has a
file of its own.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, replace
from types import MappingProxyType

from ..errors import NodeError, RegistryError
from ..system import files
from .admission import REVOKED, UNDECIDED, Standing
from .rows import NodeId

_Stamp = tuple[int, int, int]
Denied = Mapping[NodeId, Standing]
NOTHING: Denied = MappingProxyType({})
_cache: dict[str, tuple[_Stamp, Denied]] = {}


class Denials:
    """The list in the file at ``path``. After a power cut, the file has its old or its new content."""

    def __init__(self, path: str) -> None:
        self.path = path

    def read(self) -> Denied:
        """All of them. The same object as before when nothing changed. Raises RegistryError."""
        try:
            info = os.stat(self.path)
        except FileNotFoundError:
            return NOTHING
        except OSError as exc:
            raise self._unusable(exc) from exc
        stamp = (info.st_mtime_ns, info.st_size, info.st_ino)
        known = _cache.get(self.path)
        if known and known[0] == stamp:
            return known[1]
        denied = self._parse()
        _cache[self.path] = (stamp, denied)
        return denied

    def _parse(self) -> Denied:
        """Half a list would let the others in, so a damaged one is an error."""
        try:
            with open(self.path, encoding="utf-8") as handle:
                return {(each.pop("network"), each.pop("node")): Standing(**each) for each in json.load(handle)}
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as exc:
            raise self._unusable(exc) from exc

    def note(self, decided: Mapping[NodeId, Standing]) -> None:
        """
        Store the denials among these decisions, in place of earlier ones of the same nodes.

        To be called within a transaction of the registry, so that two processes cannot lose each other's decisions.
        Raises RegistryError.
        """
        before = self.read()
        others = {node: standing for node, standing in before.items() if node not in decided}
        after = {**others, **{node: standing for node, standing in decided.items() if _denies(standing)}}
        if after == before:
            return
        rows = [{"network": network, "node": node, **asdict(each)} for (network, node), each in sorted(after.items())]
        try:
            os.makedirs(os.path.dirname(self.path), mode=0o700, exist_ok=True)
            files.replace(self.path, json.dumps(rows, indent=1) + "\n")
        except (NodeError, OSError) as exc:
            raise self._unusable(exc.__cause__ or exc) from exc

    def _unusable(self, exc: BaseException) -> RegistryError:
        return RegistryError(
            f"the list of nodes that are shut out, {self.path}, is not usable: {exc}. Check its owner, its mode and the"
            " free disk space, or restore it from a backup, and repeat the revocations since then; nothing was changed"
        )


def _denies(standing: Standing) -> bool:
    return standing.state == REVOKED or standing.expires is not None


def combined(recorded: Standing | None, denied: Standing | None) -> Standing | None:
    """
    What holds of a decision in the registry and one in the list of denials: that of the registry, if it has come to a
    later one, by another master; else of two different ones the stricter parts.
    """
    if denied is None or denied == recorded or (recorded and recorded.generation > denied.generation):
        return recorded
    moments = [each.expires for each in (recorded, denied) if each and each.expires is not None]
    expires = min(moments, default=None)
    if denied.state == REVOKED:
        return replace(denied, expires=expires)
    if recorded is None:
        return replace(denied, state=UNDECIDED)
    return replace(recorded, expires=expires)


def unrecorded(denied: Denied, recorded: Denied = NOTHING) -> dict[NodeId, Standing]:
    """The decisions that replace those of a registry that is older than the denials."""
    both = {node: combined(recorded.get(node), standing) for node, standing in denied.items()}
    return {node: standing for node, standing in both.items() if standing and standing != recorded.get(node)}
