"""
What an operator asks of the master about WireGuard, and the reconcile that reactor, engine and schedule call as well.

.. code-block:: bash

    salt-run wireguard.validate
    salt-run wireguard.nodes
    salt-run wireguard.view node1
    salt-run wireguard.reconcile
"""

import contextlib
import logging
import time

import salt.client
import salt.utils.event
from salt.exceptions import NotImplemented  # noqa: A004

try:
    from saltext.wireguard.utils.wgmesh import meshfile, turn
    from saltext.wireguard.utils.wgmesh.errors import ConfigError, MeshError, WireguardError
    from saltext.wireguard.utils.wgmesh.master import Master
    from saltext.wireguard.utils.wgmesh.reconcile import Reconcile
    from saltext.wireguard.utils.wgmesh.record import REGISTER_TAG, REPORT_TAG
except ImportError:  # synced from _utils/
    from wgmesh import meshfile, turn
    from wgmesh.errors import ConfigError, MeshError, WireguardError
    from wgmesh.master import Master
    from wgmesh.reconcile import Reconcile
    from wgmesh.record import REGISTER_TAG, REPORT_TAG

log = logging.getLogger(__name__)

__virtualname__ = "wireguard"

# A first state.apply installs packages, which takes its time.
FIRST_CONTACT_SECONDS = 180


def __virtual__():
    return __virtualname__


@contextlib.contextmanager
def _salt_errors():
    """Translate our errors into the only one that ``salt-run`` prints as its message instead of a traceback."""
    try:
        yield
    except WireguardError as exc:
        raise NotImplemented(str(exc)) from exc


def _shown(data, failed=False):
    """As ``salt-run`` prints it, with an exit code of 1 if ``failed``."""
    return {"outputter": "wireguard", "data": {**data, "retcode": 1} if failed else data}


def validate(mesh=None):
    """
    Check the mesh file, and say all that is wrong with it at once. Exit code 1 if anything is.

    mesh
        Another file or directory to check instead of the configured one, before it goes live.

    CLI Example:

    .. code-block:: bash

        salt-run wireguard.validate
        salt-run wireguard.validate mesh=/home/me/mesh.yml
    """
    with _salt_errors():
        path = mesh or Master.from_opts(__opts__).mesh_path
    try:
        parsed = meshfile.load(path)
    except MeshError as exc:
        return _shown({"valid": False, "errors": [str(problem) for problem in exc.problems]}, failed=True)
    networks = [
        {
            "network": network.name,
            "interface": network.interface,
            "subnets": [str(subnet) for subnet in network.subnets],
            "node entries": len(network.nodes),
            "peers": len(network.peers),
        }
        for network in parsed.networks
    ]
    return _shown({"valid": True, "networks": networks})


def nodes(network=None):
    """
    Who is in which network, with which addresses, and whether its device is what it should be.

    ``in_sync`` means that the node read the wanted configuration back from its device and signed that. ``last_seen`` is
    the time of its last registration or report. ``refused`` lists statements that the master did not believe.

    network
        Only this one.

    CLI Example:

    .. code-block:: bash

        salt-run wireguard.nodes
        salt-run wireguard.nodes network=backbone --out=json
    """
    with _salt_errors():
        master = Master.from_opts(__opts__)
        statuses = sorted(master.status(), key=lambda status: (status.network, status.member.node))
        table = [_node(status) for status in statuses if network in (None, status.network)]
        refused = [
            {
                "node": refusal.node,
                "network": refusal.network,
                "count": refusal.count,
                "last": _time(refusal.last),
                "reason": refusal.reason,
            }
            for refusal in master.registry.refusals()
        ]
    return _shown({"nodes": table, "refused": refused})


def _node(status):
    row = status.member.row
    seen = max(row.registered if row else 0, status.applied.reported if status.applied else 0)
    return {
        "network": status.network,
        "node": status.member.node,
        "addresses": [str(address) for address in status.member.addresses],
        "public_key": row.public_key if row else None,
        "endpoint": _endpoint_of(status.member.settings.endpoint, row),
        "in_sync": status.reason is None,
        "why": status.reason,
        "last_seen": _time(seen),
    }


def _endpoint_of(configured, row):
    if configured is False:
        return "none: it calls the others"
    if configured:
        return str(configured)
    return row.endpoints[0] if row and row.endpoints else None


def _time(seconds):
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds)) if seconds else "never"


def view(node):
    """
    What the pillar of ``node`` holds under ``wireguard``.

    CLI Example:

    .. code-block:: bash

        salt-run wireguard.view node1
    """
    with _salt_errors():
        master = Master.from_opts(__opts__)
        if node not in master.accepted():
            raise ConfigError(f"{node} is not an accepted minion: see `salt-key -L`")
        networks = {name: each.to_dict() for name, each in master.fleet().views(node).items()}
        if not networks:
            raise ConfigError(f"{node} is in no network of the mesh file {master.mesh_path}")
    return {"networks": networks}


def hear(tag, event):
    """
    Take in what a node said in an event with the tag ``wireguard/register`` or ``wireguard/report``. For the reactor.

    The event's own words are not believed, only the signed statement in it. A new registration is followed by a
    reconcile. Returns whether the event brought news.

    CLI Example:

    .. code-block:: bash

        salt-run wireguard.hear wireguard/register '{"data": {"signed": {"statement": "...", "signature": "..."}}}'
    """
    with _salt_errors():
        news = Master.from_opts(__opts__).hear(tag, event)
    if news and tag == REGISTER_TAG:
        reconcile(contact=[], wait=False)
    return news


def reconcile(contact="*", wait=True, timeout=20):
    """
    Ask every node that is out of date to fetch its pillar and apply it, and say who did.

    Compares what each node must have with what it last reported as applied, and asks the nodes that differ. Members
    that never registered are asked for ``state.apply wireguard``, which brings the modules along. Safe to run at any
    time, by any number at once: while one runs, all others together cost one more.

    contact
        Which members that never registered are asked: ``*`` for all, or a list of minion ids that have just appeared.

    wait
        False: return at once when another reconcile waits for its turn already.

    timeout
        Seconds that a node has to answer.

    Returns ``asked``, ``confirmed``, ``failed`` (node: error), ``silent``, ``unregistered``, ``in_sync`` (a count) and
    ``seconds``. Exit code 1 when a node failed or was silent.

    CLI Example:

    .. code-block:: bash

        salt-run wireguard.reconcile
    """
    with _salt_errors():
        master = Master.from_opts(__opts__)
        with turn.take(master.state_dir, wait=wait) as ours:
            if not ours:
                return _shown({"queued": "another reconcile is about to start and will see this"})
            result = _Round(master, contact, timeout).run()
    failed = bool(result["failed"] or result["silent"])
    if failed:
        log.warning("wireguard: reconcile: failed: %s; silent: %s", result["failed"], result["silent"])
    return _shown(result, failed)


class _Round:
    """One reconcile: publishes jobs, listens to the event bus, and lets ``Reconcile`` decide."""

    def __init__(self, master, contact, timeout):
        self._master = master
        self._contact = contact
        self._course = Reconcile(patience=timeout)
        self._jobs = {}  # jid -> function
        self._told = 0.0

    def run(self):
        started = time.monotonic()
        self._master.settle()
        with (
            salt.client.get_local_client(mopts=__opts__) as self._client,
            salt.utils.event.get_event("master", opts=__opts__, listen=True) as self._bus,
        ):
            first = self._greet()
            self._pursue()
        return self._result(first, started)

    def _greet(self):
        """Ask members that never registered for a full state.apply; they register by it, and report."""
        first = self._unregistered()
        if first:
            self._publish(first, "state.apply", ["wireguard"])
            if self._contact == "*":  # an operator waits for the outcome; others learn it from the registrations
                self._course.expect(first, time.monotonic() + FIRST_CONTACT_SECONDS)
        return first

    def _unregistered(self):
        """
        The members to greet. Of those that merely appeared, only in networks that have a registered node already: the
        first state.apply of a new network is the operator's decision, and must not collide with one of ours.
        """
        statuses = self._master.status()
        if self._contact == "*":
            return sorted({status.member.node for status in statuses if status.member.row is None})
        live = {status.network for status in statuses if status.member.row}
        return sorted(
            {
                status.member.node
                for status in statuses
                if status.member.row is None and status.network in live and status.member.node in self._contact
            }
        )

    def _pursue(self):
        while True:
            due = self._course.next(self._out_of_date(), time.monotonic())
            if due:
                self._publish(due, "wireguard.sync", ["signed=True"])
            waiting = self._course.waiting(time.monotonic())
            if not waiting:
                return
            self._tell_progress(waiting)
            self._listen(time.monotonic() + 0.5)

    def _out_of_date(self):
        """node -> the digests that it must come to, for registered members."""
        wanted = {}
        digests = self._master.fleet().digests()
        for status in self._master.status():
            if status.member.row and status.reason:
                node = status.member.node
                wanted[node] = wanted.get(node, "") + digests[(status.network, node)]
        return wanted

    def _publish(self, nodes, function, arguments):
        job = self._client.run_job(nodes, function, arguments, tgt_type="list", listen=False)
        if job:
            self._jobs[job["jid"]] = function

    def _listen(self, until):
        """Handle what comes until something changed what we wait for, or the time is over."""
        while time.monotonic() < until:
            event = self._bus.get_event(wait=max(until - time.monotonic(), 0.01), full=True, auto_reconnect=True)
            if event and self._handle(event["tag"], event["data"]):
                return

    def _handle(self, tag, data):
        """Returns whether the event changed anything for us."""
        parts = tag.split("/")
        if tag.startswith("salt/job/") and len(parts) == 5 and parts[3] == "ret" and parts[2] in self._jobs:
            return self._handle_return(self._jobs[parts[2]], data)
        return self._master.hear(tag, data)

    def _handle_return(self, function, data):
        node, answer = str(data.get("id")), data.get("return")
        if function == "wireguard.sync" and isinstance(answer, dict):
            for tag in (REGISTER_TAG, REPORT_TAG):
                for signed in answer.get(tag, []):
                    self._master.hear(tag, {"id": node, "data": {"signed": signed}})
        self._course.answered(node, _failure(function, data))
        return True

    def _tell_progress(self, waiting):
        """One line every few seconds, for the person who waits."""
        if time.monotonic() - self._told > 5:
            if self._told:
                names = ", ".join(sorted(waiting)[:5]) + (" ..." if len(waiting) > 5 else "")
                self._say(f"waiting for {len(waiting)} nodes: {names}")
            self._told = time.monotonic()

    def _say(self, text):
        with contextlib.suppress(NameError):  # __jid_event__ exists only where a runner was started as a job
            __jid_event__.fire_event({"message": f"wireguard.reconcile: {text}"}, "progress")

    def _result(self, first, started):
        statuses = self._master.status()
        out_of_date = {status.member.node for status in statuses if status.reason}
        course = self._course
        asked = sorted({*course.asked, *first})
        failed = {node: error for node, error in course.failed.items() if node in out_of_date}
        return {
            "asked": asked,
            "confirmed": [node for node in asked if node not in out_of_date],
            "failed": failed,
            "silent": course.silent(out_of_date),
            "unregistered": sorted({s.member.node for s in statuses if s.member.row is None}),
            "in_sync": sum(1 for status in statuses if status.reason is None),
            "seconds": round(time.monotonic() - started, 2),
        }


def _failure(function, data):
    """A one-line reason when a job's return is not a success, else None."""
    answer = data.get("return")
    if function == "wireguard.sync" and isinstance(answer, dict):
        bad = [f"{name}: {each.get('comment')}" for name, each in answer.get("networks", {}).items() if not each["result"]]
        return "; ".join(bad) or None
    if data.get("success") and not data.get("retcode"):
        return None
    if function == "state.apply" and isinstance(answer, dict):
        bad = [str(state.get("comment")) for state in answer.values() if state.get("result") is False]
        return "; ".join(bad)[:500] or "state.apply failed"
    return str(answer).strip().splitlines()[-1][:300] if answer else "no reason given"
