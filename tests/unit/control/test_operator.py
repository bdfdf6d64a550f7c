"""The one place where the master is opened, what happened is announced, and errors become Salt's."""

import pytest
import salt.exceptions

from answering import Fleet
from operating import operator_of
from saltext.wireguard.control.operator import Operator, run, shown, teller
from saltext.wireguard.errors import ConfigError


@pytest.fixture
def fleet(tmp_path):
    return Fleet(tmp_path)


def test_an_error_of_ours_is_one_that_salt_run_prints_as_a_message():
    def fail(operator):
        raise ConfigError("write it into the file")

    with pytest.raises(salt.exceptions.NotImplemented, match=r"^write it into the file$"):
        run(fail, Operator({}, print))


def test_an_error_of_anybody_else_stays_what_it_is():
    with pytest.raises(ZeroDivisionError):
        run(lambda operator: 1 / 0, Operator({}, print))


def test_a_master_that_is_not_configured_is_an_error_only_when_it_is_needed():
    operator = Operator({"cachedir": "/nowhere"}, print)
    assert run(lambda operator: "fine", operator) == "fine"
    with pytest.raises(salt.exceptions.NotImplemented, match="ext_pillar:"):
        run(lambda operator: operator.master, operator)


def test_what_happened_in_a_turn_is_announced_at_its_end_even_when_it_fails(fleet):
    operator = operator_of(fleet)

    def fail_in_turn():
        with operator.turn() as ours:
            assert ours
            operator.master.registry.admissions.revoke("net", "b", "alice", "")
            assert operator.announced == []
            raise ConfigError("no")

    with pytest.raises(ConfigError):
        fail_in_turn()
    assert operator.announced == [("revoked", "b")]


def test_an_exit_code_is_shown_only_where_there_is_one():
    assert shown({"a": 1}) == {"outputter": "wireguard", "data": {"a": 1}}
    assert shown({"a": 1}, 2)["data"] == {"a": 1, "retcode": 2}


class Events:
    def __init__(self):
        self.fired = []

    def fire_event(self, data, tag):
        self.fired.append((data, tag))


@pytest.mark.parametrize(("opts", "lines"), [({}, 1), ({"output": "json"}, 0)])
def test_progress_is_for_people_and_not_among_json(opts, lines):
    events = Events()
    teller(opts, events)("waiting")
    assert events.fired == [({"message": "waiting", "outputter": "wireguard"}, "progress")] * lines


def test_without_a_job_there_is_nobody_to_tell():
    assert teller({}, None)("waiting") is None
