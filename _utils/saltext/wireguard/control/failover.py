"""
Moving the nodes off a hub or a gateway that fails them, and back. The engine does so where the mesh file wants it.

``observe.failover`` decides. What it decides by is in memory: after a restart of the master, it begins anew.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass

from ..errors import RefusedError
from ..fleet.fleet import Fleet
from ..fleet.network import NetworkState
from ..fleet.takeover import shares
from ..master.master import Moment
from ..meshfile.mesh import Network
from ..model.statements import REACHED, Reached
from ..observe.failover import Decision, Limits, Trend, Verdict, Vote, decide, verdict
from ..registry.drains import Cause
from ..registry.evidence import verify
from ..registry.rows import NodeId
from ..wording import shell
from .bus import KEYWORDS, Bus
from .drain import shift
from .operator import Operator

log = logging.getLogger(__name__)

WHO = "failover"

# Seconds between two rounds while all is well, and after one that was not.
CALM_SECONDS = 8.0
ALERT_SECONDS = 1.0

# How long witnesses have to answer: a minion begins with a job, and pings for up to 2 seconds.
ANSWER_SECONDS = 5.0
SHIFT_SECONDS = 5.0

# So many witnesses are asked; more of them after a round that was not well.
FEW, MANY = 5, 15

# A witness that has not answered for so long is not expected to.
SILENT_SECONDS = 300.0

THROUGH, OTHER = "through", "other"


@dataclass(frozen=True)
class Watched:
    """
    A node that others use, or have left for another. ``users``: those that use it, or would. ``other``: the one that
    takes over, or has.
    """

    network: str
    node: str
    users: tuple[str, ...]
    other: str
    has_left: bool

    @property
    def key(self) -> tuple[NodeId, bool]:
        """Users may come and go meanwhile."""
        return (self.network, self.node), self.has_left


class Failover:
    """Looks, round by round. Each begins at ``next`` at the earliest, by a monotonic ``clock``."""

    def __init__(self, operator: Operator, clock: Callable[[], float] = time.monotonic) -> None:
        self._operator = operator
        self._clock = clock
        self._trends: dict[tuple[NodeId, bool], Trend] = {}
        self._answered: dict[str, float] = {}  # node -> when, by the monotonic clock
        self._advised: set[NodeId] = set()
        self._known: tuple[Fleet, list[Watched]] | None = None
        self._rounds = 0
        self.next = 0.0

    def round(self) -> None:
        """Ask the witnesses of all that is watched, and do what follows from that."""
        self.next = self._clock() + CALM_SECONDS
        moment = self._operator.master.moment()
        watched = self._watched(moment) if any(each.failover != "off" for each in moment.mesh.networks) else []
        self._trends = {key: trend for key, trend in self._trends.items() if key in {each.key for each in watched}}
        if not watched:
            return
        self._rounds += 1
        asked = {each: self._witnesses(each) for each in watched}
        began = self._clock()
        with self._operator.bus() as bus:
            votes = _ask(bus, moment, asked)
        for each, found in votes.items():
            self._answered.update((vote.node, began) for vote in found)
            expected = sum(
                1 for node in asked[each] if self._answered.get(node, -SILENT_SECONDS) > began - SILENT_SECONDS
            )
            seen = verdict(found, expected)
            self._trends[each.key] = self._trends.get(each.key, Trend()).then(seen, began)
            if seen is not Verdict.WELL and found:
                self.next = self._clock() + ALERT_SECONDS
            self._act(moment, each, found)

    def _watched(self, moment: Moment) -> list[Watched]:
        """Worked out once for each state of the fleet."""
        fleet = moment.fleet()
        if self._known is None or self._known[0] is not fleet:
            self._known = fleet, [*_all_watched(moment)]
        return self._known[1]

    def _witnesses(self, watched: Watched) -> list[str]:
        """Others each time, so that watching costs each of them little."""
        trend = self._trends.get(watched.key, Trend())
        count = MANY if trend.verdict is Verdict.LOST else FEW
        users, start = watched.users, FEW * (self._rounds if count == FEW else 0)
        return [users[(start + number) % len(users)] for number in range(min(count, len(users)))]

    def _act(self, moment: Moment, watched: Watched, votes: Collection[Vote]) -> None:
        network = moment.mesh.network(watched.network)
        if network is None:
            return
        audit, where = moment.master.registry.audit, (watched.network, watched.node)
        limits = Limits(network.failover_after, network.failback)
        failures = audit.count("failed_over", *where, since=time.time() - 86_400) if watched.has_left else 0
        decision = decide(self._trends[watched.key], self._clock(), limits, watched.has_left, failures)
        if decision is None:
            if self._trends[watched.key].verdict is Verdict.WELL:
                self._advised.discard(where)
            return
        self._trends.pop(watched.key)
        lost = sorted(vote.node for vote in votes if vote.reaches_other and not vote.reaches)
        if decision is Decision.RETURN:
            self._move(where, Cause("failed_back", WHO, f"well for {limits.back} s or more"), is_back=True)
        elif network.failover == "ask":
            self._advise(where, f"{_lost(lost, votes)}; {watched.other} could take over")
        else:
            why = f"{_lost(lost, votes)}; {watched.other} takes over"
            self._move(where, Cause("failed_over", WHO, why, automatic=True), is_back=False)

    def _advise(self, where: NodeId, why: str) -> None:
        if where not in self._advised:
            self._advised.add(where)
            self._operator.master.registry.audit.note("failover_advised", [where], WHO, why)
            self._operator.announce()
            log.warning("wireguard: %s: %s; %s", where[1], why, shell("salt-run wireguard.drain", where[1]))

    def _move(self, where: NodeId, cause: Cause, is_back: bool) -> None:
        drains = self._operator.master.registry.drains
        with self._operator.turn(), self._operator.bus() as bus:
            before = self._operator.master.moment()
            done = drains.end(*where, cause) if is_back else drains.begin(*where, cause)
            if done:
                self._operator.announce()
                log.warning("wireguard: %s: %s: %s", cause.what, where[1], cause.why)
                shift(self._operator, bus, before, SHIFT_SECONDS, lead=0.0)


def _lost(lost: Collection[str], votes: Collection[Vote]) -> str:
    counted = sum(1 for vote in votes if vote.reaches_other)
    return f"{len(lost)} of {counted} witnesses reach nothing through it"


def _all_watched(moment: Moment) -> Iterator[Watched]:
    for network in moment.mesh.networks:
        if network.failover != "off":
            yield from _watched_in(moment, network)


def _can_be_left(state: NetworkState, node: str) -> bool:
    """Whether another could take over anything. If not, there is no need to work out what would follow."""
    here = state.members[node].settings
    if not (here.carries or here.exit):
        return False
    others = [each.settings for name, each in state.members.items() if name != node and each.row]
    return any(
        (here.hub and other.hub)
        or not set(here.routes).isdisjoint(other.routes)
        or (len(other.exits) > 1 and node in other.exits)
        for other in others
    )


def _watched_in(moment: Moment, network: Network) -> Iterator[Watched]:
    state = moment.unguarded.networks[network.name]
    for node, member in state.members.items():
        drain = state.drains.get(node)
        if not _can_be_left(state, node) or not member.row or (drain and not drain.automatic):
            continue
        changed = moment.if_drained(network.name, node, drained=drain is None).networks[network.name]
        here, there = (changed, state) if drain else (state, changed)
        moved = [share for share in shares(node, here, there) if share.to != node and share.to not in state.drains]
        users = tuple(sorted({user for share in moved for user in share.users if state.members[user].has_key}))
        if moved and users:
            yield Watched(network.name, node, users, moved[0].to, has_left=drain is not None)


def _ask(bus: Bus, moment: Moment, asked: Mapping[Watched, Collection[str]]) -> dict[Watched, list[Vote]]:
    """One job for each that is watched, all at the same time."""
    jobs: dict[str, tuple[Watched, str]] = {}
    waiting: dict[str, set[str]] = {}
    for watched, nodes in asked.items():
        question = uuid.uuid4().hex
        arguments = {**KEYWORDS, "network": watched.network, "question": question, **_targets(moment, watched, nodes)}
        jid = bus.publish(nodes, "wireguard.reaches", [arguments])
        if jid:
            jobs[jid] = watched, question
            waiting[jid] = set(nodes)
    votes: dict[Watched, list[Vote]] = {watched: [] for watched in asked}
    for tag, data in bus.events(ANSWER_SECONDS if jobs else 0):
        parts = tag.split("/")
        if len(parts) != 5 or parts[3] != "ret" or parts[4] not in waiting.get(parts[2], ()):
            continue
        watched, question = jobs[parts[2]]
        said = _said(moment, data, parts[4], watched.network, question)
        if said:
            waiting[parts[2]].discard(parts[4])
            votes[watched].append(Vote(said.node, THROUGH in said.reached, OTHER in said.reached))
        if not any(waiting.values()):
            break
    return votes


def _targets(moment: Moment, watched: Watched, nodes: Collection[str]) -> dict[str, object]:
    """
    Of a hub that is in use, what is behind it: the other witnesses, as far as they are no peers. What is behind a
    gateway, nobody knows.
    """
    members = moment.unguarded.networks[watched.network].members
    is_hub = members[watched.node].settings.hub and not watched.has_left and len(nodes) > 1
    targets = {THROUGH: nodes if is_hub else [watched.node], OTHER: [watched.other]}
    return {
        "targets": {
            name: [str(address) for node in each for address in members[node].addresses]
            for name, each in targets.items()
        },
        "by": {THROUGH: watched.node} if is_hub else {},
    }


def _said(moment: Moment, data: object, node: str, network: str, question: str) -> Reached | None:
    """What a node says, if it is its own word and about this question: a return can be forged or sent again."""
    answer = data.get("return") if isinstance(data, Mapping) else None
    signed = answer.get(REACHED) if isinstance(answer, Mapping) else None
    if not isinstance(signed, list) or len(signed) != 1:
        return None
    try:
        said, _ = verify(signed[0], Reached, moment.keys)
    except RefusedError:
        return None
    return said if (said.node, said.network, said.question) == (node, network, question) else None
