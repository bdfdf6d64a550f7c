"""The bus of a Salt master."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import salt.client
import salt.utils.event
import salt.utils.user

from ..registry.history import Entry


class SaltBus:
    """Publishes jobs and hears what comes on the master's event bus, within a ``with`` block."""

    def __init__(self, opts: Mapping[str, Any]) -> None:
        self._opts = opts

    def __enter__(self) -> SaltBus:
        self._stack = contextlib.ExitStack()
        # listening comes first, so that no answer is missed
        bus = salt.utils.event.get_event("master", opts=self._opts, listen=True)
        self._bus = self._stack.enter_context(bus)
        # An orchestration puts the person who started it here, for whom there is no key to publish with.
        mopts = {**self._opts, "user": salt.utils.user.get_user()}
        self._client = self._stack.enter_context(salt.client.get_local_client(mopts=mopts))
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stack.close()

    def publish(self, nodes: Collection[str], function: str, arguments: Sequence[Any]) -> str | None:
        job = self._client.run_job(sorted(nodes), function, arguments, tgt_type="list", listen=False)
        return str(job["jid"]) if job else None

    def events(self, seconds: float) -> Iterator[tuple[str, Any]]:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            event = self._bus.get_event(wait=max(deadline - time.monotonic(), 0.01), full=True, auto_reconnect=True)
            if event:
                yield event["tag"], event["data"]


def has_master(opts: Mapping[str, Any]) -> bool:
    """Whether a salt-master runs here, so that jobs can be published."""
    # Salt would try to connect as fast as it can until the time is over.
    if opts.get("ipc_mode") != "tcp" and not any(Path(opts["sock_dir"]).glob("*.ipc")):
        return False
    with salt.utils.event.get_event("master", opts=opts, listen=False) as bus:
        return bool(bus.connect_pull(timeout=2))


def fire(opts: Mapping[str, Any], entries: Collection[Entry]) -> None:
    """Fire an event for each entry of the history."""
    if entries:
        with salt.utils.event.get_master_event(opts, opts["sock_dir"], listen=False) as bus:
            for entry in entries:
                bus.fire_event(entry.to_dict(), entry.tag)
