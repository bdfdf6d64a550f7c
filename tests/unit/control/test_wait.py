"""What an operator waits for; the nodes are stand-ins, and waiting takes no time."""

import pytest

from answering import Fleet
from operating import operator_of
from saltext.wireguard.control import wait as module
from saltext.wireguard.control.wait import wait
from saltext.wireguard.errors import ConfigError


@pytest.fixture
def fleet(tmp_path):
    return Fleet(tmp_path, "abc")


@pytest.fixture
def clock(monkeypatch):
    """Waiting takes no time; ``then`` is done while somebody waits."""

    class Clock:
        now = 0.0
        then = staticmethod(lambda: None)

        def monotonic(self):
            return self.now

        def sleep(self, seconds):
            self.now += seconds
            self.then()

    made = Clock()
    monkeypatch.setattr(module, "time", made)
    return made


def test_what_is_so_already_is_not_waited_for(fleet, clock):
    assert wait(operator_of(fleet), None, None, "in_sync", 60) == {"answer": "in_sync", "seconds": 0.0, "missing": []}


def test_it_ends_as_soon_as_all_are_in_sync(fleet, clock):
    fleet.change_everybody()
    clock.then = lambda: clock.now >= 6 and fleet.reconcile()
    assert wait(operator_of(fleet), None, None, "in_sync", 60)["seconds"] == 6.0


def test_when_the_time_is_over_it_fails_and_names_what_is_missing(fleet, clock):
    fleet.change_everybody()
    answer = wait(operator_of(fleet), None, "b", "in_sync", 10)
    assert (answer["retcode"], answer["missing"]) == (1, ["b"])
    assert answer["answer"] == "not in_sync yet: b"
    assert clock.now <= 10


def test_what_nobody_can_wait_for_is_an_error(fleet):
    with pytest.raises(ConfigError, match="until must be in_sync or reachable, not 'better'"):
        wait(operator_of(fleet), None, None, "better", 10)


def test_for_what_there_is_not_nobody_waits(fleet):
    for network, node in (("other", None), (None, "z")):
        with pytest.raises(ConfigError):
            wait(operator_of(fleet), network, node, "in_sync", 0)


def test_reachable_is_what_answers_pings_in_both_directions(fleet, clock):
    assert wait(operator_of(fleet), None, None, "reachable", 60)["missing"] == []
    fleet.lost = {("a", "b")}
    assert wait(operator_of(fleet), None, None, "reachable", 10)["missing"] == ["a to b"]
    assert wait(operator_of(fleet), None, "c", "reachable", 10)["missing"] == []


def test_a_node_that_is_out_of_date_is_not_reachable_either(fleet, clock):
    fleet.change_everybody()
    assert wait(operator_of(fleet), None, "a", "reachable", 10)["missing"] == ["a"]
