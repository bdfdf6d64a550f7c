"""Jobs to minions and what comes back over the master's event bus."""

from __future__ import annotations

import contextlib
import time

import salt.utils.event


def has_master(opts):
    """Whether a salt-master runs here, so that jobs can be published."""
    with salt.utils.event.get_event("master", opts=opts, listen=False) as bus:
        return bus.connect_pull(timeout=2)


class Bus:
    """Publishes jobs and hears what comes on the master's event bus."""

    def __init__(self, opts):
        self._opts = opts

    def __enter__(self):
        self._stack = contextlib.ExitStack()
        # listening comes first, so that no answer is missed
        bus = salt.utils.event.get_event("master", opts=self._opts, listen=True)
        self._bus = self._stack.enter_context(bus)
        self._client = self._stack.enter_context(salt.client.get_local_client(mopts=self._opts))
        return self

    def __exit__(self, *exc_info):
        self._stack.close()

    def publish(self, nodes, function, arguments):
        """Returns the job's id, None when nobody can take it."""
        job = self._client.run_job(sorted(nodes), function, arguments, tgt_type="list", listen=False)
        return job["jid"] if job else None

    def events(self, seconds):
        """(tag, data) of each event until the time is over."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            event = self._bus.get_event(wait=max(deadline - time.monotonic(), 0.01), full=True, auto_reconnect=True)
            if event:
                yield event["tag"], event["data"]

    def call(self, node, function, arguments, timeout):
        """What one node answers, as its return event says it; None when it does not answer in time."""
        jid = self.publish([node], function, arguments)
        if jid:
            for tag, data in self.events(timeout):
                if tag == f"salt/job/{jid}/ret/{node}":
                    return data
        return None

    def silent(self, nodes, timeout):
        """Those of the nodes that do not answer in time."""
        missing = set(nodes)
        jid = self.publish(missing, "test.ping", [])
        for tag, _ in self.events(timeout if jid and missing else 0):
            missing.discard(tag.removeprefix(f"salt/job/{jid}/ret/"))
            if not missing:
                break
        return missing


def announce(opts, master):
    """Fire an event for everything in the history that nobody has fired one for."""
    entries = master.registry.claim_history()
    if entries:
        with salt.utils.event.get_master_event(opts, opts["sock_dir"], listen=False) as bus:
            for entry in entries:
                bus.fire_event(entry.to_dict(), entry.tag)
