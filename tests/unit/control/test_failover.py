"""Nodes that leave a hub or a gateway that fails them, and come back; the nodes are stand-ins, and so is the clock."""

import itertools

import pytest

from factories import mesh_text
from operating import operator_of
from saltext.wireguard.control import drain as verbs
from saltext.wireguard.control.failover import Failover
from saltext.wireguard.model.statements import REACHED, Reached
from unit.control.test_drain import BEHIND, GATEWAYS, HUBS, carrier, fleet_of

LINKS = "links: [[h, '*'], [i, '*']]"
USERS = "abcd"


def mesh(policy="auto", nodes=HUBS, links=LINKS, more=""):
    return mesh_text(nodes, extra="\n    ".join(filter(None, [f"failover: {policy}", links, more])))


class Watch:
    """A failover whose rounds begin when the clock says so."""

    def __init__(self, fleet, clock):
        self.fleet = fleet
        self.clock = clock
        self.operator = operator_of(fleet)
        self.restart()

    def restart(self):
        self.failover = Failover(self.operator, self.clock)

    def run(self, seconds):
        """Rounds, for so long. Returns the nodes that are drained then."""
        until = self.clock.now + seconds
        while self.clock.now < until:
            self.failover.round()
            self.clock.now = max(self.clock.now + 2, self.failover.next)
        return {node for _, node in self.fleet.master.registry.snapshot().drains}

    def announced(self):
        return [what for what, _ in self.operator.announced]


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def watch(tmp_path):
    def start(text=mesh(), names=(*USERS, "h", "i")):  # noqa: B008
        fleet = fleet_of(tmp_path, HUBS, names, extra=LINKS)
        fleet.mesh.write_text(text)
        fleet.reconcile()
        fleet.forget()
        return Watch(fleet, Clock())

    return start


def dead(fleet, hub="h"):
    fleet.off.add(hub)
    forwards_nothing(fleet, hub)
    fleet.lost |= {(node, hub) for node in USERS}


def forwards_nothing(fleet, hub="h"):
    fleet.lost |= {(hub, node) for node in USERS}


def test_a_dead_hub_is_left_by_all_at_once(watch):
    run = watch()
    assert run.run(60) == set()
    dead(run.fleet)
    before = run.clock.now
    while not run.run(1):
        assert run.clock.now < before + 20
    assert [carrier(run.fleet, node) for node in USERS] == [["i"]] * 4
    ((_, nodes, _),) = [job for job in run.fleet.jobs if job[0] == "wireguard.move"]
    assert nodes == list(USERS)
    assert run.announced() == ["failed_over"]
    entry = run.fleet.master.registry.audit.history("h")[-1]
    assert (entry.what, entry.who) == ("failed_over", "failover")
    assert entry.why == "4 of 4 witnesses reach nothing through it; i takes over"


def test_a_hub_that_answers_and_forwards_nothing_is_left(watch):
    run = watch()
    forwards_nothing(run.fleet)
    assert run.run(30) == {"h"}


def test_the_nodes_come_back_when_it_has_been_well_for_a_while(watch):
    run = watch(mesh(more="failback: 2m"))
    dead(run.fleet)
    run.run(30)
    run.fleet.off.clear()
    run.fleet.lost.clear()
    assert run.run(100) == {"h"}
    assert run.run(40) == set()
    assert [carrier(run.fleet, node) for node in USERS] == [["h"]] * 4
    assert run.announced() == ["failed_over", "failed_back"]


def test_a_hub_that_fails_again_and_again_is_left_for_longer_each_time(watch):
    run = watch(mesh(more="failback: 1m"))
    for least, most in ((30, 80), (80, 150)):
        forwards_nothing(run.fleet)
        run.run(30)
        run.fleet.lost.clear()
        assert run.run(least) == {"h"}
        assert run.run(most - least) == set()


def test_with_failback_never_they_stay_until_an_operator_undrains_it(watch):
    run = watch(mesh(more="failback: never"))
    dead(run.fleet)
    run.run(30)
    run.fleet.off.clear()
    run.fleet.lost.clear()
    assert run.run(900) == {"h"}
    verbs.undrain(run.operator, "h", None, "", 0.5)
    assert carrier(run.fleet, "a") == ["h"]


def test_one_spokes_own_outage_moves_nobody(watch):
    run = watch()
    run.fleet.lost = {("a", other) for other in "hi"} | {(hub, "a") for hub in "hi"}
    assert run.run(120) == set()


def test_one_spoke_that_has_lost_the_hub_alone_moves_nobody(watch):
    run = watch()
    run.fleet.lost = {("a", "h"), ("h", "a")}
    assert run.run(120) == set()


def test_where_the_next_hub_is_lost_too_nobody_moves(watch):
    run = watch()
    dead(run.fleet)
    dead(run.fleet, "i")
    assert run.run(120) == set()


def test_with_a_single_user_nobody_moves_on_its_word(watch):
    run = watch(names=("a", "h", "i"))
    dead(run.fleet)
    assert run.run(120) == set()


def test_what_is_forged_or_said_before_or_said_twice_is_no_vote(watch, monkeypatch):
    """Salt does not say who has sent a return."""
    run = watch()
    old = itertools.count()
    answer = run.fleet._reaches

    def forged(node, network, question, targets, by):
        if node == "a":
            return {REACHED: [run.fleet.sign(Reached("a", network, f"{next(old)}", ("other",)))]}
        if node == "b":
            return {REACHED: [run.fleet.sign(Reached("c", network, question, ("other",)))]}
        if node == "c":
            return {REACHED: [{**run.fleet.sign(Reached("c", network, question, ())), "statement": "{}"}]}
        return answer(node, network, question, targets, by)

    monkeypatch.setattr(run.fleet, "_reaches", forged)
    forwards_nothing(run.fleet)
    assert run.run(120) == set()


def test_a_restart_of_the_master_begins_anew_and_moves_nobody(watch):
    run = watch()
    for _ in range(10):
        run.fleet.off = set(USERS)
        run.run(20)
        run.restart()
        run.fleet.off = set()
        assert run.run(20) == set()


def test_ask_says_so_once_and_moves_nobody(watch):
    run = watch(mesh("ask"))
    dead(run.fleet)
    assert run.run(120) == set()
    assert run.announced() == ["failover_advised"]
    entry = run.fleet.master.registry.audit.history("h")[-1]
    assert entry.why == "4 of 4 witnesses reach nothing through it; i could take over"


def test_off_asks_nobody(watch):
    run = watch(mesh("off"))
    dead(run.fleet)
    assert run.run(120) == set()
    assert run.fleet.jobs == []


def test_what_an_operator_drained_is_not_touched(watch):
    run = watch(mesh(more="failback: 1m"))
    verbs.drain(run.operator, "h", None, "", 0.5, force=False)
    assert run.run(600) == {"h"}


def test_a_dead_gateway_is_left_for_the_other_with_the_same_network(watch):
    run = watch(mesh(nodes=GATEWAYS, links=""), names=("a", "b", "c", "g", "i"))
    assert carrier(run.fleet, "a", BEHIND) == ["g"]
    run.fleet.lost = {(node, "g") for node in "abci"}
    assert run.run(30) == {"g"}
    assert carrier(run.fleet, "a", BEHIND) == ["i"]


def test_a_hub_without_another_is_not_watched(watch):
    alone = "'*': {endpoint: false}, h: {hub: true, endpoint: 192.0.2.1}, i: {}"
    run = watch(mesh(nodes=alone, links="links: [[h, '*']]"))
    dead(run.fleet)
    assert run.run(60) == set()
    assert run.fleet.jobs == []


def test_a_dead_exit_is_left_for_the_next_of_via(watch):
    exits = "'*': {via: [h, i]}, h: {exit: true}, i: {exit: true}"
    run = watch(mesh(nodes=exits, links=""))
    assert run.fleet.views["a"].via == "h"
    run.fleet.lost = {(node, "h") for node in (*USERS, "i")}
    assert run.run(30) == {"h"}
    assert run.fleet.views["a"].via == "i"


def test_few_are_asked_at_a_time_and_others_each_time(watch):
    run = watch(names=(*"abcdefgjklmn", "h", "i"))
    run.run(40)
    asked = [nodes for function, nodes, _ in run.fleet.jobs if function == "wireguard.reaches"]
    assert {len(nodes) for nodes in asked} == {5}
    assert set(itertools.chain(*asked)) == set("abcdefgjklmn")
