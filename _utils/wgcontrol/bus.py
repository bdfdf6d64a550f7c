"""Jobs to minions and what comes back over the master's event bus."""

import contextlib
import time

import salt.client
import salt.utils.event

try:
    from saltext.wireguard.utils.wgmesh.record import REGISTER_TAG, REPORT_TAG
except ImportError:  # synced from _utils/
    from wgmesh.record import REGISTER_TAG, REPORT_TAG

# A return carries one or two for each network of its node.
MAX_STATEMENTS = 100


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


def hear_all(master, node, answer):
    """
    Take in the signed statements in a node's return. A return can be forged; its statements cannot.

    Returns whether it may be the node's: not where there are statements, and none of them is believed.
    """
    outcomes = []
    for tag in (REGISTER_TAG, REPORT_TAG):
        statements = answer.get(tag) if isinstance(answer, dict) else None
        for signed in statements[:MAX_STATEMENTS] if isinstance(statements, list) else []:
            outcomes.append(master.take_in(tag, {"id": node, "data": {"signed": signed}}))
    return not outcomes or any(outcome is not None for outcome in outcomes)


def is_of_clone(answer):
    """Whether a copy of the node answered a sync. The node itself answers as well."""
    networks = answer.get("networks") if isinstance(answer, dict) else None
    parts = networks.values() if isinstance(networks, dict) else ()
    return any(isinstance(part, dict) and part.get("clone") for part in parts)


def failure(function, data):
    """A one-line reason when a job's return is not a success, else None. Returns can be forged: no shape is certain."""
    answer = data.get("return")
    parts = answer.values() if isinstance(answer, dict) else ()
    if function == "wireguard.sync" and isinstance(answer, dict):
        networks = answer.get("networks")
        parts = networks.values() if isinstance(networks, dict) else ()
    elif data.get("success") and not data.get("retcode"):
        return None
    bad = [_text(part.get("comment")) for part in parts if isinstance(part, dict) and part.get("result") is False]
    if bad or (function == "wireguard.sync" and isinstance(answer, dict)):
        return "; ".join(bad)[:500] or None
    return (_text(answer).splitlines() or ["it gave no reason"])[-1][:300]


def _text(answer):
    """What should be a text, or a list of texts; anything else may be nested too deeply to be printed."""
    if isinstance(answer, list):
        answer = "; ".join(part for part in answer if isinstance(part, str))
    return answer.strip() if isinstance(answer, str) else ""
