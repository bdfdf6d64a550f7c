"""A plan: what would change on which node, found out on paper as far as that goes, and else by asking the nodes."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace

from ..master.status import leftovers, statuses
from ..model.answers import ALL, Answer, Step, total
from ..review.plan import compare, merge, outdated, projected, unregistered
from ..rollout.reconcile import Reconcile
from .answers import failure

# A job's arguments go to every minion: a key has 44 bytes.
MAX_KEYS = 100

_DRIFT, _SYNC = "wireguard.drift", "wireguard.sync"


# Why a node is out of date that has left a network.
LEFT = "has not taken its interface down"


@dataclass(frozen=True)
class Silent:
    """A node that did not answer. ``why`` it is out of date; None: its drift is unknown. ``seen``: Unix seconds."""

    network: str
    node: str
    why: str | None
    seen: float


@dataclass
class PlanResult:
    """
    ``changes``: what would change. ``drift``: what was changed by hand, and would be put right. ``failed``: node to
    why it cannot say. ``unreachable``: the nodes that did not answer. ``outdated``: the peers that are not minions and
    need another configuration then.
    """

    changes: list[Step] = field(default_factory=list)
    drift: list[Step] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    unreachable: list[Silent] = field(default_factory=list)
    outdated: list[str] = field(default_factory=list)

    def answer(self):
        """All of it in a sentence."""
        steps = self.changes + self.drift
        cut = {}
        for step in steps:
            cut.setdefault((step.network, step.node), {})[step.subject] = step.disturbs or 0
        parts = [
            f"{_nodes({step.node for step in self.changes})} would change",
            f"{_nodes({step.node for step in self.drift})} drifted" if self.drift else "",
            f"{sum(total(each) for each in cut.values())} live sessions cut off" if steps else "",
            "not all sessions known" if any(step.disturbs is None for step in steps) else "",
            f"{_nodes({each.node for each in self.unreachable})} did not answer" if self.unreachable else "",
        ]
        return "; ".join(part for part in parts if part)

    @property
    def is_quiet(self):
        """Whether nothing would change, as far as anybody knows."""
        return not self.changes and not self.drift and not any(silent.why for silent in self.unreachable)


def _nodes(names):
    return f"{len(names)} node{'' if len(names) == 1 else 's'}"


class NodeQuery:
    """Asks nodes what they would change, which changes nothing."""

    def __init__(self, bus, timeout, progress):
        self._bus = bus
        self._timeout = timeout
        self._progress = progress

    def ask(self, function, nodes, arguments):
        """Node -> its Answer for each network, or the text of its error; silent nodes are missing."""
        course = Reconcile(self._timeout)
        jobs, answers = set(), {}
        while True:
            left = {node: function for node in nodes if node not in answers}
            due = course.next(left, time.monotonic())
            if due:
                jobs.add(self._bus.publish(due, function, arguments))
            waiting = course.waiting(time.monotonic())
            if not waiting:
                return answers
            self._progress.wait_for(waiting)
            for tag, data in self._bus.events(0.2):
                node = data.get("id")
                if tag.rpartition("/")[0] in {f"salt/job/{jid}/ret" for jid in jobs} and node in left:
                    answers[node] = _answers(function, data)
                    if answers.keys() >= set(waiting):
                        break


def _answers(function, data):
    """A job's return can be forged: no shape is certain."""
    answer = data.get("return")
    networks = answer.get("networks") if isinstance(answer, dict) else None
    if not isinstance(networks, dict):
        return failure(function, {**data, "success": False}) or "its answer is not understood"
    return {str(network): Answer.from_dict(each) for network, each in networks.items()}


class Plan:
    """``survey`` is None where nobody can be asked, because no salt-master runs."""

    def __init__(self, master, survey):
        self._master = master
        self._survey = survey
        self._outlook = PlanResult()

    def present(self):
        """What the mesh file as it is would change, and what drifted."""
        moment = self._master.moment()
        before = moment.fleet()
        after = projected(moment.mesh, moment.snapshot, moment.keys, moment.now)
        self._outlook.outdated = outdated(before, after)
        differences = {(each.network, each.node): each for each in compare(before, after)}
        members = _members(moment)
        left = _left(moment)
        late = {node for (_, node), silent in {**members, **left}.items() if silent.why}
        settled = {node for _, node in members} - late
        keys = _keys(differences.values())
        answers = self._ask(_DRIFT, settled, [_live(keys)])
        # Whose file does not tell what it reported has to look at its pillar.
        digests = before.digests()
        doubtful = {
            node for network, node in members if _is_doubtful(answers.get(node), network, digests[network, node])
        }
        answers |= self._ask(_SYNC, late | doubtful, ["test=True"])
        for node, said in sorted(answers.items()):
            self._take(node, _by_network(said, node, left), differences, keys, node in late)
        self._outlook.unreachable += [each for (_, node), each in {**members, **left}.items() if node not in answers]
        for each in differences.values():  # of those who were not asked, or did not answer
            self._outlook.changes += each.steps(None)
        return self._outlook

    def edited(self, mesh):
        """What another mesh file would change in place of the present one."""
        moment = self._master.moment()
        sources = moment.snapshot, moment.keys, moment.now
        mentioned = [who for who, _ in unregistered(moment.fleet())]
        before = projected(moment.mesh, *sources, mentioned)
        after = projected(mesh, *sources, mentioned)
        self._outlook.outdated = outdated(before, after)
        differences = [*compare(before, after, mentioned)]
        keys = _keys(differences)
        concerned = {each.node for each in differences if each.cuts}
        answers = self._ask(_DRIFT, concerned, [_live(keys)])
        for each in differences:
            said = answers.get(each.node)
            self._outlook.changes += each.steps(_sessions(said, each.network, keys))
        self._outlook.failed |= {node: said for node, said in answers.items() if isinstance(said, str)}
        silent = concerned - answers.keys()
        self._outlook.unreachable += [each for (_, node), each in _members(moment).items() if node in silent]
        return self._outlook

    def _ask(self, function, nodes, arguments):
        return self._survey.ask(function, nodes, arguments) if self._survey and nodes else {}

    def _take(self, node, said, differences, keys, is_late):
        """What one node answered, with what the master knows of it besides."""
        if isinstance(said, str):
            self._outlook.failed[node] = said
            return
        steps = self._outlook.changes if is_late else self._outlook.drift
        for network, answer in said.items():
            if answer.error:
                self._outlook.failed[node] = answer.error
            difference = differences.pop((network, node), None)
            if difference and is_late:
                answer = replace(answer, changes=merge(answer.changes, difference.changes))
            elif difference:
                self._outlook.changes += difference.steps(_sessions(said, network, keys))
            steps += answer.steps(network, node)


def _members(moment):
    """Those that registered: (network, node) -> what to say if it does not answer."""
    return {
        (status.network, status.member.node): Silent(status.network, status.member.node, status.reason, status.seen)
        for status in statuses(moment)
        if status.member.has_registered
    }


def _left(moment):
    """The same for those that have left a network and still have an interface there."""
    return {who: Silent(*who, LEFT, moment.applied[who].reported) for who in leftovers(moment)}


def _by_network(said, node, left):
    """An interface that goes is answered by its own name: the node's pillar does not say whose it is."""
    if isinstance(said, str):
        return said
    networks = [network for network, each in left if each == node]
    return {networks[0] if networks and [*answer.changes] == [name] else name: answer for name, answer in said.items()}


def _is_doubtful(said, network, digest):
    if said is None or isinstance(said, str):
        return False
    return network not in said or (not said[network].error and said[network].digest != digest)


def _keys(differences):
    """The public keys whose sessions are concerned."""
    return sorted({key for each in differences for key in each.cuts.values() if key != ALL})


def _live(keys):
    # as Salt passes keyword arguments on; in a text they would be parsed as YAML
    return {"__kwarg__": True, "live": keys if len(keys) <= MAX_KEYS else []}


def _sessions(said, network, keys):
    """None where the node did not say; with too many keys to ask for, only their number is known."""
    if not isinstance(said, dict) or network not in said:
        return None
    sessions = said[network].sessions
    return sessions if len(keys) <= MAX_KEYS else replace(sessions, keys=None)
