"""One reconcile: each node that is out of date is asked, until it confirms, fails, or stays silent."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..fleet.steps import MOST_PEERS, Step
from ..master.deltas import delta_arguments, earlier, step_arguments
from ..master.intake import hear
from ..master.master import Master, Moment
from ..master.settling import await_mesh_file, keys_of, settle
from ..master.status import UNFINISHED, Status, carriers, just_booted, leftovers, revoked, statuses
from ..registry.rows import NodeId
from ..rollout.greetings import Greetings
from ..rollout.reconcile import Reconcile
from ..rollout.staged import Staged, Stages
from ..wording import shell
from .answers import failure, hear_all, is_of_clone
from .bus import KEYWORDS, Bus
from .progress import Progress, Say

log = logging.getLogger(__name__)

# A first state.apply installs packages, which takes its time.
FIRST_CONTACT_SECONDS = 180

# How much slower a machine may be than its copy, which answers the same job.
SECOND_ANSWER_SECONDS = 2.0


@dataclass(frozen=True)
class Request:
    """
    What one reconcile is to do.

    ``timeout``: seconds that a node has to answer. ``contact``: the members that never registered to ask for a first
    ``state.apply``; "*": all. ``suspects``: nodes to ask even if they are in sync for all the master knows; "*": all.
    ``rotating``: the node that is in the middle of a rotation right now. ``stages``: to be taken one by one; None: ask
    everybody at once. ``forced``: (who, why) when the guards, the master's and the nodes', are to be overridden.
    """

    timeout: float
    contact: str | Collection[str] = ()
    suspects: str | Collection[str] = ()
    rotating: NodeId | None = None
    stages: Stages | None = None
    forced: tuple[str, str] | None = None


class Reconciler:
    """One reconcile: asks, listens, and lets ``Reconcile`` decide."""

    def __init__(self, master: Master, bus: Bus, say: Say, request: Request) -> None:
        self._master = master
        self._bus = bus
        self._progress = Progress(say)
        self._request = request
        self._staged = Staged(request.timeout, stages=request.stages) if request.stages else None
        self._course: Reconcile = self._staged or Reconcile(request.timeout)
        self._jobs: dict[str, tuple[str, Collection[str]]] = {}  # jid -> (function, nodes)
        self._asked_at: dict[str, float] = {}  # node -> Unix seconds
        self._left: dict[str, list[str]] = {}  # network -> public keys of those that left it just now
        self._behind: set[str] = set()  # nodes that lack nothing but that, for all the master knows
        self._earlier = earlier(master.registry.place)
        self._last_line = ""

    def run(self) -> dict[str, Any]:
        """Returns what the runner's ``reconcile`` documents."""
        started = time.monotonic()
        log.info("wireguard: a reconcile begins")
        if not self._request.forced:
            await_mesh_file(self._master)
        with self._master.registry.held():
            self._left = settle(self._master, self._request.forced)
            self._behind = self._only_behind_departures()
            # not in stages: one that joins changes everybody, which is no way to be careful
            first = [] if self._staged else self._greet()
            self._pursue()
            if just_booted(self._master.moment()).intersection(self._asked_at):
                self._hear_out()
                self._pursue()
            settle(self._master)
            self._earlier.add(self._master.moment().fleet())
            result = self._result(first, started)
        if self._staged:
            result = {**self._result_of_stages(self._staged, result), **result}
        log.info("wireguard: a reconcile ends: %d nodes asked, %g s", len(result["asked"]), result["seconds"])
        return result

    def _greet(self) -> list[str]:
        """Ask members that never registered for a full state.apply; they register by it, and report."""
        first = self._unregistered()
        if first:
            self._publish(first, "state.apply", ["wireguard"])
            if self._request.contact == "*":  # an operator waits for that; others learn it from the registrations
                self._course.expect(first, time.monotonic() + FIRST_CONTACT_SECONDS)
        return first

    def _unregistered(self) -> list[str]:
        """
        The members to greet. Of those that merely appeared, only in networks that have a registered node already: the
        first state.apply of a new network is the operator's decision, and must not collide with one of ours.
        """
        found = statuses(self._master.moment())
        contact = self._request.contact
        missing = {(status.network, status.member.node) for status in found if status.member.is_to_register}
        if contact == "*":
            return sorted({node for _, node in missing})
        live = {status.network for status in found if status.member.row}
        appeared = {node for network, node in missing if network in live and node in contact}
        return Greetings(self._master.state_dir).due(appeared, time.time())

    def _pursue(self) -> None:
        excluded = revoked(self._master.moment())
        while True:
            if self._staged:
                excluded = self._drop_revoked(excluded)
            now = time.monotonic()
            self._forget_rotations()
            moment = self._master.moment()
            wanted = self._out_of_date(moment)
            steps = self._steps(moment, wanted)
            self._course.light = self._behind.union(steps)
            due = self._course.next(wanted, now, carriers(moment))
            self._tell_stage()
            if due:
                self._ask(moment, due, steps)
            waiting = self._course.waiting(now)
            if not waiting:
                return
            self._progress.wait_for(waiting)
            self._listen(time.monotonic() - now)

    def _drop_revoked(self, before: set[NodeId]) -> set[NodeId]:
        """
        Drop nodes that are revoked during the rollout, everywhere at once. A sync would bring the change to nodes that
        no stage has reached, and `revoke` itself waits for the last stage, to collect the proof.
        """
        moment = self._master.moment()
        excluded = revoked(moment)
        left = keys_of(moment.snapshot, excluded - before)
        if left:
            nodes = {member.node for _, member in moment.fleet().members() if member.has_registered}
            nodes.update(node for _, node in excluded - before)  # it takes its interface down
            self._bus.publish(nodes, "wireguard.delta", delta_arguments(moment, left))
        return excluded

    def _steps(self, moment: Moment, wanted: Mapping[str, str]) -> dict[str, tuple[Step, ...]]:
        """What those lack that can be told without a pillar."""
        if self._is_careful or self._request.suspects == "*":
            return {}
        gone = {node for _, node in leftovers(moment)}
        return self._earlier.steps(moment, wanted.keys() - gone - set(self._request.suspects))

    @property
    def _is_careful(self) -> bool:
        return bool(self._request.stages or self._request.forced)

    def _ask(self, moment: Moment, nodes: Sequence[str], steps: Mapping[str, tuple[Step, ...]]) -> None:
        """
        Ask nodes to sync, for which each fetches its pillar. Nodes that only have to set and drop peers are told which,
        for which one job does, and which costs the master a tenth. If the report after it is not the expected one, they
        are asked to sync.
        """
        self._earlier.add(moment.fleet())
        self._master.registry.mark_unconfirmed(nodes)
        groups: dict[tuple[Step, ...], list[str]] = {}
        told = {node for node in nodes if node in steps and not self._is_departure(steps[node])}
        for node in sorted(told):
            groups.setdefault(steps[node], []).append(node)
        for group, members in groups.items():
            self._publish(members, "wireguard.delta", [*step_arguments(moment, group), "signed=True"])
        rest = set(nodes) - told
        first = rest & self._behind.union(steps)
        self._behind -= set(nodes)
        if first:
            arguments = delta_arguments(self._master.moment(), self._left)
            self._publish(first, "wireguard.delta", [*arguments, "signed=True"])
        if rest != first:
            self._publish(rest - first, "wireguard.sync", self._sync_arguments(nodes))

    def _is_departure(self, steps: Sequence[Step]) -> bool:
        """Whether these only drop those that left just now, who are told the same."""
        drop = {step.network: {*step.drop} for step in steps if not step.peers}
        return len(drop) == len(steps) and drop == {network: {*keys} for network, keys in self._left.items()}

    def _sync_arguments(self, nodes: Collection[str]) -> list[Any]:
        if not self._request.forced:
            return ["signed=True"]
        who, why = self._request.forced
        self._master.registry.audit.note("forced", self._networks_of(nodes), who, why)
        return ["signed=True", {**KEYWORDS, "force": True, "reason": why}]

    def _networks_of(self, nodes: Collection[str]) -> list[NodeId]:
        moment = self._master.moment()
        members = [(status.network, status.member.node) for status in statuses(moment)]
        return [each for each in {*members, *leftovers(moment)} if each[1] in nodes]

    def _only_behind_departures(self) -> set[str]:
        """The nodes that left, and those that were in sync before, as far as can be told without their old views."""
        if self._is_careful or sum(map(len, self._left.values())) > MOST_PEERS:
            return set()
        moment = self._master.moment()
        staying = {
            status.member.node
            for status in statuses(moment)
            if status.network in self._left and status.reason and status.applied and status.applied.digest
        }
        return staying.union(node for network, node in leftovers(moment) if network in self._left)

    def _out_of_date(self, moment: Moment) -> dict[str, str]:
        """node -> what it must come to: the digests of its networks, and the networks that it must take down."""
        wanted: dict[str, str] = {}
        for status in statuses(moment):
            wrong = status.reason and not status.is_left and not self._is_rotating(status)
            if status.member.has_registered and (wrong or self._is_unchecked(status)):
                wanted[status.member.node] = wanted.get(status.member.node, "") + str(status.wanted)
        for network, node in leftovers(moment):
            wanted[node] = wanted.get(node, "") + f"without {network}"
        return wanted

    def _is_unchecked(self, status: Status) -> bool:
        """Whether this node is asked in any case, and has not said since that its device is as it should be."""
        asked = self._request.suspects == "*" or status.member.node in self._request.suspects
        return asked and not self._has_reported(status)

    def _has_reported(self, status: Status) -> bool:
        asked = self._asked_at.get(status.member.node)
        return bool(asked and status.applied and asked < status.applied.reported)

    def _is_rotating(self, status: Status) -> bool:
        return status.reason == UNFINISHED and (status.network, status.member.node) == self._request.rotating

    def _forget_rotations(self) -> None:
        """
        A node whose rotation broke off, and that has reported since this reconcile asked it, has the key that it had
        before: with the announced one it would have registered, which ends the announcement.
        """
        unfinished = [status for status in statuses(self._master.moment()) if status.reason == UNFINISHED]
        for status in unfinished:
            if self._has_reported(status) and not self._is_rotating(status):
                self._master.registry.forget_announced(status.network, status.member.node)

    def _publish(self, nodes: Collection[str], function: str, arguments: Sequence[Any]) -> None:
        self._asked_at.update(dict.fromkeys(nodes, time.time()))
        jid = self._bus.publish(nodes, function, arguments)
        if jid:
            self._jobs[jid] = function, frozenset(nodes)

    def _listen(self, look: float) -> None:
        """
        Handle what comes, until something changed what we wait for and nothing more comes right behind it.

        ``look``: the seconds that the last look at all nodes took. In a large fleet, answers come for as long before
        the next one, or the looks would take most of the time.
        """
        changed = False
        for tag, data in self._bus.events(0.5):
            changed = self._handle(tag, data) or changed
            if changed:
                break
        if changed:
            for tag, data in self._bus.events(max(look, 0.02)):
                self._handle(tag, data)

    def _hear_out(self) -> None:
        """Of two machines with one Salt key, the other one may answer later than the one that came up."""
        for tag, data in self._bus.events(SECOND_ANSWER_SECONDS):
            self._handle(tag, data)

    def _handle(self, tag: str, data: Any) -> bool:
        """Returns whether the event changed anything for us."""
        parts = tag.split("/")
        if tag.startswith("salt/job/") and len(parts) == 5 and parts[3] == "ret" and parts[2] in self._jobs:
            function, nodes = self._jobs[parts[2]]
            is_answer = isinstance(data, Mapping) and parts[4] in nodes and parts[4] == data.get("id")
            return is_answer and self._handle_return(function, data)
        return hear(self._master, tag, data)

    def _handle_return(self, function: str, data: Mapping[str, Any]) -> bool:
        node, answer = data["id"], data.get("return")
        if not hear_all(self._master, node, answer) or is_of_clone(answer):
            return False  # the node itself may answer yet
        if function == "wireguard.delta":  # what it could not do, a sync can, or says why not
            self._course.answered(node)
            self._course.reconsider(node)
        else:
            self._course.answered(node, failure(function, data))
        return True

    def _tell_stage(self) -> None:
        """One line for each stage that is through."""
        if self._staged and self._staged.progress != self._last_line:
            self._last_line = self._staged.progress
            log.info("wireguard: %s", self._last_line)
            self._progress.tell(self._last_line)

    def _result(self, first: Iterable[str], started: float) -> dict[str, Any]:
        moment = self._master.moment()
        found = statuses(moment)
        out_of_date = {status.member.node for status in found if status.reason or self._is_unchecked(status)}
        out_of_date.update(node for _, node in leftovers(moment))
        course = self._course
        asked = sorted({*course.asked, *first})
        failed = {node: error for node, error in course.failed.items() if node in out_of_date}
        silent = course.silent(out_of_date)
        for (network, node), waiting in moment.snapshot.waiting.items():
            if node in silent:  # it did its part
                failed[node] = (
                    f"waits in network {network} ({waiting.question}): {shell('salt-run wireguard.admit', node)}"
                )
        return {
            "asked": asked,
            "confirmed": [node for node in asked if node not in out_of_date],
            "failed": failed,
            "silent": [node for node in silent if node not in failed],
            "unregistered": sorted({s.member.node for s in found if s.member.is_to_register}),
            "in_sync": sum(1 for status in found if status.reason is None),
            "seconds": round(time.monotonic() - started, 2),
        }

    def _result_of_stages(self, course: Staged, result: Mapping[str, Any]) -> dict[str, Any]:
        """What an operator who goes step by step wants to know first."""
        counted = ("confirmed", "failed", "silent")
        left = sorted(self._out_of_date(self._master.moment()).keys() - course.asked.keys())
        return {
            "answer": course.progress or "every node is in sync",
            "stopped": course.stopped,
            "counts": {**{name: len(result[name]) for name in counted}, "not_asked": len(left)},
            "not_asked": left,
        }
