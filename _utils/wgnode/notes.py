"""What a node remembers of each network for its own use; nothing breaks when it is lost."""

from __future__ import annotations

import json
import os
import time
from typing import Any

from . import files


class Notes:
    """One JSON file a network in the folder ``wireguard`` of the minion's cache."""

    def __init__(self, cachedir: str) -> None:
        self._dir = os.path.join(cachedir, "wireguard")

    def networks(self) -> list[str]:
        """The networks that there are notes of: all that this node has been in."""
        return [os.path.splitext(name)[0] for name in files.names(self._dir) if name.endswith(".json")]

    def read(self, network: str) -> dict[str, Any]:
        """What was noted; nothing where that is damaged."""
        try:
            notes = json.loads(files.read(self._file(network)) or "{}")
        except ValueError:
            return {}
        return notes if isinstance(notes, dict) else {}

    def add(self, network: str, **values: Any) -> None:
        """Note these values besides what is noted already."""
        os.makedirs(self._dir, mode=0o700, exist_ok=True)
        files.replace(self._file(network), json.dumps({**self.read(network), **values}))

    def next_serial(self, network: str, last_serial: int) -> int:
        """
        Larger than any before, also when this node's clock or its cache was set back: the master tells its last one.
        """
        serial: int = max(time.time_ns(), last_serial + 1, self.read(network).get("serial", 0) + 1)
        self.add(network, serial=serial)
        return serial

    def _file(self, network: str) -> str:
        return os.path.join(self._dir, f"{os.path.basename(network)}.json")
