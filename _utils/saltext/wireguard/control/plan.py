"""A plan: what would change on which node, worked out by the master as far as it can, and else by asking the nodes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..master.master import Master, Moment
from ..master.status import leftovers, statuses
from ..meshfile.mesh import Mesh
from ..model.answers import ALL, Answer, Sessions, Step, total
from ..model.changes import Kind, Subject
from ..registry.rows import Applied, NodeId
from ..review.plan import Difference, compare, merge, outdated, projected, unregistered
from .bus import KEYWORDS
from .node_query import NodeQuery

# Network -> what a node answers about it.
NetworkAnswers = dict[str, Answer]

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
    why it cannot say. ``unreachable``: the nodes that did not answer. ``outdated``: the external peers
    that need another configuration then. ``obstacles``: nodes, and what their machines cannot have of what they should,
    unless they reported that.
    """

    changes: list[Step] = field(default_factory=list)
    drift: list[Step] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    unreachable: list[Silent] = field(default_factory=list)
    outdated: list[str] = field(default_factory=list)
    obstacles: list[tuple[str, str]] = field(default_factory=list)

    def answer(self) -> str:
        """All of it in a sentence."""
        steps = self.changes + self.drift
        cut: dict[tuple[str, str], dict[Subject, int]] = {}
        for step in steps:
            cut.setdefault((step.network, step.node), {})[step.change.subject] = step.disturbs or 0
        parts = [
            f"{_nodes({step.node for step in self.changes})} would change",
            f"{_nodes({step.node for step in self.drift})} drifted" if self.drift else "",
            f"{sum(total(each) for each in cut.values())} live sessions cut off" if steps else "",
            "not all sessions known" if any(step.disturbs is None for step in steps) else "",
            f"{_nodes({each.node for each in self.unreachable})} did not answer" if self.unreachable else "",
        ]
        return "; ".join(part for part in parts if part)

    @property
    def is_quiet(self) -> bool:
        """Whether nothing would change, as far as anybody knows."""
        return not self.changes and not self.drift and not any(silent.why for silent in self.unreachable)


def _nodes(names: Collection[str]) -> str:
    return f"{len(names)} node{'' if len(names) == 1 else 's'}"


class Plan:
    """``query`` is None where nobody can be asked, because no salt-master runs."""

    def __init__(self, master: Master, query: NodeQuery | None) -> None:
        self._master = master
        self._query = query
        self._result = PlanResult()
        self._applied: Mapping[NodeId, Applied] = {}

    def present(self) -> PlanResult:
        """What the mesh file as it is would change, and what drifted."""
        moment = self._master.moment()
        self._applied = moment.applied
        before = moment.fleet()
        after = projected(moment.mesh, moment.snapshot, moment.keys, moment.now)
        self._result.outdated = outdated(before, after)
        differences = {(each.network, each.node): each for each in compare(before, after)}
        members = _members(moment)
        left = _left(moment)
        late = {node for (_, node), silent in {**members, **left}.items() if silent.why}
        settled = {node for _, node in members} - late
        keys = _keys(differences.values())
        answers = self._ask(_DRIFT, settled, [_live(keys)])
        # Whose file does not tell what it reported has to look at its pillar.
        digests = before.digests()
        unclear = {node for network, node in members if _is_unclear(answers.get(node), network, digests[network, node])}
        answers |= self._ask(_SYNC, late | unclear, ["test=True"])
        for node, said in sorted(answers.items()):
            self._take(node, _by_network(said, node, left), differences, keys, node in late)
        self._result.unreachable += [each for (_, node), each in {**members, **left}.items() if node not in answers]
        for each in differences.values():  # of those who were not asked, or did not answer
            self._result.changes += each.steps(None)
        return self._result

    def edited(self, mesh: Mesh) -> PlanResult:
        """What another mesh file would change in place of the present one."""
        moment = self._master.moment()
        sources = moment.snapshot, moment.keys, moment.now
        mentioned = [who for who, _ in unregistered(moment.fleet())]
        before = projected(moment.mesh, *sources, mentioned)
        after = projected(mesh, *sources, mentioned)
        self._result.outdated = outdated(before, after)
        differences = [*compare(before, after, mentioned)]
        keys = _keys(differences)
        concerned = {each.node for each in differences if each.cuts}
        answers = self._ask(_DRIFT, concerned, [_live(keys)])
        for each in differences:
            said = answers.get(each.node)
            self._result.changes += each.steps(_sessions(said, each.network, keys))
        self._result.failed |= {node: said for node, said in answers.items() if isinstance(said, str)}
        silent = concerned - answers.keys()
        self._result.unreachable += [each for (_, node), each in _members(moment).items() if node in silent]
        return self._result

    def _ask(self, function: str, nodes: Collection[str], arguments: Sequence[Any]) -> dict[str, NetworkAnswers | str]:
        return self._query.ask(function, nodes, arguments, Answer.from_dict) if self._query and nodes else {}

    def _take(
        self,
        node: str,
        said: NetworkAnswers | str,
        differences: dict[NodeId, Difference],
        keys: Sequence[str],
        is_late: bool,
    ) -> None:
        """What one node answered, with what the master knows of it besides."""
        if isinstance(said, str):
            self._result.failed[node] = said
            return
        steps = self._result.changes if is_late else self._result.drift
        for network, answer in said.items():
            if answer.error:
                self._result.failed[node] = answer.error
            reported = self._applied[network, node].obstacles if (network, node) in self._applied else ()
            self._result.obstacles += [(node, text) for text in answer.obstacles if text not in reported]
            difference = differences.pop((network, node), None)
            if difference and is_late:
                answer = replace(answer, changes=merge(answer.changes, difference.changes))
            elif difference:
                self._result.changes += difference.steps(_sessions(said, network, keys))
            steps += answer.steps(network, node)


def _members(moment: Moment) -> dict[NodeId, Silent]:
    """Those that registered: (network, node) -> what to say if it does not answer."""
    return {
        (status.network, status.member.node): Silent(status.network, status.member.node, status.reason, status.seen)
        for status in statuses(moment)
        if status.member.has_registered
    }


def _left(moment: Moment) -> dict[NodeId, Silent]:
    """The same for those that have left a network and still have an interface there."""
    return {who: Silent(*who, LEFT, moment.applied[who].reported) for who in leftovers(moment)}


def _by_network(said: NetworkAnswers | str, node: str, left: Iterable[NodeId]) -> NetworkAnswers | str:
    """An interface that goes is answered by its own name: the node's pillar does not say whose it is."""
    if isinstance(said, str):
        return said
    networks = [network for network, each in left if each == node]
    return {networks[0] if networks and _is_removal(answer, name) else name: answer for name, answer in said.items()}


def _is_removal(answer: Answer, interface: str) -> bool:
    return [change.subject for change in answer.changes] == [Subject(Kind.INTERFACE, interface)]


def _is_unclear(said: NetworkAnswers | str | None, network: str, digest: str) -> bool:
    if said is None or isinstance(said, str):
        return False
    return network not in said or (not said[network].error and said[network].digest != digest)


def _keys(differences: Iterable[Difference]) -> list[str]:
    """The public keys whose sessions are concerned."""
    return sorted({key for each in differences for key in each.cuts.values() if key != ALL})


def _live(keys: Sequence[str]) -> dict[str, Any]:
    return {**KEYWORDS, "live": keys if len(keys) <= MAX_KEYS else []}


def _sessions(said: NetworkAnswers | str | None, network: str, keys: Sequence[str]) -> Sessions | None:
    """None where the node did not say; with too many keys to ask for, only their number is known."""
    if not isinstance(said, dict) or network not in said:
        return None
    sessions = said[network].sessions
    return sessions if len(keys) <= MAX_KEYS else replace(sessions, keys=None)
