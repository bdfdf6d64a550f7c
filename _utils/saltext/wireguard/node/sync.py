"""What the master calls when something changed: a sync with a fresh pillar; a change of peers or a move without one."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from ..device import guard
from ..errors import NodeError, RolledBackError, WireguardError
from ..formats import wg_quick
from ..model import answers, fields
from ..model.peer import Peer
from ..model.statements import ABSENT, REGISTER_TAG, REPORT_TAG
from ..model.view import REGISTER, View
from ..system import files
from . import (
    apply,
    boot_files,
    clones,
    config_files,
    converge,
    keys,
    preflight,
    registration,
    removal,
    renaming,
    reports,
    teardown,
    withdrawal,
)
from .arguments import argument, described_peers, keys_by_network, peers_by_network
from .minion import Minion
from .outcome import Outcome
from .ownership import refuse_foreign
from .pillar import generation_of, networks, valid_views
from .signing import Signed
from .trial import Safety
from .withdrawal import is_outdated

Part = dict[str, Any]


def sync(minion: Minion, test: bool, signed: bool, force: bool, reason: str | None) -> dict[str, Any]:
    """
    Apply a fresh pillar, and take down the interfaces of networks that this minion is no longer in.

    :param signed: return statements, rather than send them as events
    :raises WireguardError: or OSError, if there is no pillar; an error in one network is in that network's result
    """
    safety = minion.safety(force, reason)
    pillar = minion.fresh_pillar()
    if networks(pillar) is None:
        return {"networks": {}, "comment": "the pillar says nothing about WireGuard; nothing was touched"}
    return _Sync(minion, test, safety, generation_of(pillar)).run(*valid_views(pillar)).to_dict(minion, signed)


def delta(
    minion: Minion,
    drop: object,
    peers: object,
    signed: bool,
    generation: int,
    withdrawn: object,
) -> dict[str, Any]:
    """
    Drop and set peers at once, without a pillar.

    :param drop: network -> public keys
    :param peers: network -> name -> peer as in a pillar
    :param signed: as in ``sync``
    :param generation: that of the registry when this was decided; 0 if unknown
    :param withdrawn: those of the keys to drop that are no longer trusted, and so are removed without a trial
    :raises WireguardError: for arguments that mean nothing
    """
    leaving = argument("drop", drop, keys_by_network)
    given = argument("peers", peers, described_peers)
    distrusted = argument("withdrawn", withdrawn, keys_by_network)
    if given and not generation:
        raise NodeError(
            "peers need the generation of the registry: an earlier job must not bring back what was removed"
        )
    answer = _Answer({REPORT_TAG: []})
    for interface, network in config_files.managed().items():
        if network is not None and network in {*leaving, *given}:
            keys_to_drop = leaving.get(network, [])
            if renaming.is_left_over(interface):
                _drop_from_files(minion, interface, keys_to_drop)
                continue
            bare = View(interface, (), network=network, generation=generation)
            job = replace(bare, withdrawn=tuple(distrusted.get(network, ())))
            answer.results[network] = _Peers(minion, job, answer).run(keys_to_drop, given.get(network, ()))
    return answer.to_dict(minion, signed)


def move(minion: Minion, networks: object, signed: bool, generation: int, at: float) -> dict[str, Any]:
    """
    Put networks behind other peers at once, without a pillar.

    :param networks: network of the mesh file -> network -> public key of the peer that it is to be behind
    :param signed: as in ``sync``
    :param generation: as in ``delta``
    :param at: when to do so, in Unix seconds, so that all nodes do it at the same moment; 0 for now
    """
    moves = argument("networks", networks, peers_by_network)
    moment = argument("at", at, fields.seconds)
    answer = _Answer({REPORT_TAG: []})
    for interface, network in config_files.managed().items():
        if network in moves:
            job = View(interface, (), network=network, generation=generation)
            answer.results[str(network)] = _Move(minion, job, answer, moment).run(moves[str(network)])
    return answer.to_dict(minion, signed)


def _drop_from_files(minion: Minion, interface: str, public_keys: Collection[str]) -> None:
    with minion.lock(interface):
        text = files.read(config_files.config_file(interface))
        boot_files.rewrite(interface, wg_quick.without_peers(text, interface, public_keys), None)


def succeeded(answer: Mapping[str, Any]) -> bool:
    """Whether no network failed in what ``sync``, ``delta`` or ``drift`` answered."""
    return all(part.get("result") is not False for part in answer["networks"].values())


def gone(minion: Minion, networks: object) -> list[str]:
    """The interfaces that a state run takes down, by the pillar in memory. Raises NodeError or OSError."""
    kept = argument("networks", networks, fields.list_of(fields.text))
    return departed_interfaces(minion, kept, generation_of(minion.pillar))


def departed_interfaces(minion: Minion, networks: Collection[str], generation: int) -> list[str]:
    """
    The managed interfaces whose network is not among these, without those set up by explicit arguments and those of
    networks that this node joined after the pillar was compiled.

    :param generation: that of the pillar
    """
    return [
        interface
        for interface, network in config_files.managed().items()
        if network is not None
        and network not in networks
        and not is_outdated(View(interface, (), generation=generation), minion.journal(interface))
    ]


@dataclass
class _Answer:
    """The statements by tag, and the results by network or interface."""

    statements: dict[str, list[Signed]]
    results: dict[str, Part] = field(default_factory=dict)

    def to_dict(self, minion: Minion, signed: bool) -> dict[str, Any]:
        """With the statements if ``signed``; otherwise these are sent as events."""
        if signed:
            return {"networks": self.results, **self.statements}
        for tag, each in self.statements.items():
            minion.send(tag, each)
        return {"networks": self.results}


class _Sync:
    """One sync of all networks. Never waits: the master syncs again once it has the registration."""

    def __init__(self, minion: Minion, test: bool, safety: Safety, generation: int) -> None:
        self._minion = minion
        self._test = test
        self._safety = safety
        self._generation = generation
        self._answer = _Answer({REGISTER_TAG: [], REPORT_TAG: []})

    def run(self, views: Mapping[str, View], broken: Mapping[str, str]) -> _Answer:
        """``broken``: network -> why there is no view of it."""
        wanted = [*views, *broken]
        for name, view in views.items():
            self._answer.results[name] = self._result(view)
        for name, why in broken.items():
            self._answer.results[name] = {"result": False, "comment": why}
        for interface in departed_interfaces(self._minion, wanted, self._generation):
            self._answer.results[interface] = _or_failure(partial(self._removed, interface))
        if not self._test and self._minion.has_master:
            self._answer.statements[REPORT_TAG] += self._reports_of_absence(wanted)
        return self._answer

    def _result(self, view: View) -> Part:
        def rolled_back() -> None:
            if not self._test:
                self._minion.send(REPORT_TAG, reports.of_rollback(self._minion, view))

        return _or_failure(partial(self._network, view), rolled_back)

    def _network(self, view: View) -> Part:
        clone = clones.shut_down_clone(self._minion, view, self._test)
        if clone:
            return {"result": False, "comment": clone, "clone": True}
        if self._test:
            return _brief(apply.preview(self._minion, view, self._safety))
        refuse_foreign(view, renaming.key_file(view))
        own_key = self._minion.keypair_of(view)
        self._register(view, own_key)
        if view.public_key != own_key:
            return {"result": True, "comment": "registered; to be applied once the master has accepted that"}
        return self._applied(view)

    def _register(self, view: View, own_key: str) -> None:
        if not self._minion.has_master:
            apply.refuse_unregistered(self._minion, view, own_key)
            return
        if view.public_key != own_key or view.waiting == REGISTER:
            preflight.refuse_impossible(self._minion, view)
        elif not registration.offers_others(self._minion, view):
            return
        self._answer.statements[REGISTER_TAG].append(self._minion.statements().registration(view))

    def _applied(self, view: View) -> Part:
        key_file = renaming.key_file(view)
        outcome = apply.converge_locked(self._minion, view, key_file, False, self._safety)
        report = reports.of_success(self._minion, view, outcome.obstacles)
        self._answer.statements[REPORT_TAG] += report
        if clones.has_other_boot(view):  # if two machines answer one job, the master may see only the faster answer
            self._minion.send(REPORT_TAG, report)
        reports.refresh_schedule(self._minion, view)
        return _brief(outcome)

    def _removed(self, interface: str) -> Part:
        return _brief(apply.remove(self._minion, interface, self._test))

    def _reports_of_absence(self, wanted: Collection[str]) -> list[Signed]:
        """For networks that this node has left, and of which nothing remains: the master waits for these reports."""
        present = set(config_files.managed().values())
        left = [name for name in self._minion.notes().networks() if name not in wanted and name not in present]
        return [self._minion.statements().report(network, ABSENT) for network in left]


class _Delta:
    """A change to what was applied last in one network, without a pillar."""

    def __init__(self, minion: Minion, job: View, answer: _Answer) -> None:
        """``job``: a view with only interface, network, generation and ``withdrawn``; the rest is as applied last."""
        self._minion = minion
        self._job = job
        self._network = str(job.network)
        self._interface = job.interface
        self._answer = answer
        self._view: View | None = None

    def _changed(self, safety: Safety, change: Callable[[View], View]) -> tuple[Outcome, Sequence[Signed]]:
        """The caller holds the interface's lock."""
        boot = self._minion.boot()
        key_file = config_files.key_file(self._interface)
        withdrawal.withdraw(self._job, safety.journal(self._interface), boot, 1.0 if safety.forced else safety.share)
        wanted = change(removal.last_view(self._interface))
        self._view = view = replace(wanted, generation=self._job.generation)
        outcome = converge.converge(view, key_file, boot, False, safety)
        return outcome, reports.of_success(self._minion, view, outcome.obstacles)

    def _refuse_outdated(self) -> None:
        withdrawal.refuse_outdated(self._job, self._minion.journal(self._interface))

    def _rolled_back(self) -> None:
        if self._view:
            self._minion.send(REPORT_TAG, reports.of_rollback(self._minion, self._view))


class _Peers(_Delta):
    """Peers of one network to drop and to set; or the network itself goes."""

    def run(self, drop: Collection[str], peers: Collection[Peer]) -> Part:
        return _or_failure(partial(self._done, drop, peers), self._rolled_back)

    def _done(self, drop: Collection[str], peers: Collection[Peer]) -> Part:
        with self._minion.lock(self._interface):
            self._refuse_outdated()
            if keys.public_key(config_files.key_file(self._interface)) in drop:
                outcome, report = self._left()
            else:
                safety = self._safety(only_drops=not peers)
                outcome, report = self._changed(safety, lambda view: removal.changed(view, drop, peers))
        self._answer.statements[REPORT_TAG] += report
        return _brief(outcome)

    def _left(self) -> tuple[Outcome, Sequence[Signed]]:
        outcome = teardown.remove(self._interface, self._minion.boot(), test=False)
        self._minion.notes().add(self._network, reported=ABSENT)
        return outcome, [self._minion.statements().report(self._network, ABSENT)]

    def _safety(self, only_drops: bool) -> Safety:
        """Any peer of a small mesh may be dropped, even the last; in a larger one, the guard stops mistakes."""
        written = config_files.written(self._interface)
        few = only_drops and written is not None and len(written.peers) < guard.MIN_PEERS_UP
        return self._minion.safety(few, "its peers are to be dropped")


class _Move(_Delta):
    """A move of networks from peers to others, all at one moment."""

    def __init__(self, minion: Minion, job: View, answer: _Answer, at: float) -> None:
        super().__init__(minion, job, answer)
        self._at = at

    def run(self, networks: Mapping[str, str]) -> Part:
        return _or_failure(partial(self._moved, networks), self._rolled_back)

    def _moved(self, networks: Mapping[str, str]) -> Part:
        safety = replace(self._minion.safety(False, None), at=self._at)
        with self._minion.lock(self._interface):
            self._refuse_outdated()
            outcome, report = self._changed(safety, lambda view: view.moved(networks))
        self._answer.statements[REPORT_TAG] += report
        return _brief(outcome)


def _or_failure(work: Callable[[], Part], rolled_back: Callable[[], None] | None = None) -> Part:
    """One network's result. An error there does not affect the other networks."""
    try:
        return work()
    except RolledBackError as exc:
        if rolled_back:
            rolled_back()
        return {"result": False, "comment": str(exc)}
    except (WireguardError, OSError) as exc:
        return {"result": False, "comment": str(exc)}


def _brief(outcome: Outcome) -> Part:
    """Without the full changes: returns travel over the event bus and are stored, and a fleet makes many of them."""
    summary = {"changed": sorted(str(change.subject) for change in outcome.changes)[:20], "comment": outcome.comment}
    if outcome.pending:
        obstacles = [*outcome.obstacles[: answers.MAX_CHANGES]]
        return {"result": None, **summary, **answers.brief(outcome.changes, outcome.disturbs), "obstacles": obstacles}
    return {"result": True, **summary}
