"""The one place where the master is opened, what happened is announced, and errors become Salt's."""

import pytest
import salt.exceptions

from answering import Fleet
from operating import operator_of
from saltext.wireguard.control.exit_codes import DIFFERS, FAILED, exiting
from saltext.wireguard.control.operator import Operator, run, teller
from saltext.wireguard.errors import ConfigError


@pytest.fixture
def fleet(tmp_path):
    return Fleet(tmp_path)


def test_an_error_of_ours_is_one_that_salt_run_prints_as_a_message():
    def fail(operator):
        raise ConfigError("write it into the file")

    with pytest.raises(salt.exceptions.NotImplemented, match=r"^write it into the file$"):
        run(fail, Operator({}, print), {})


def test_an_error_of_anybody_else_stays_what_it_is():
    with pytest.raises(ZeroDivisionError):
        run(lambda operator: 1 / 0, Operator({}, print), {})


def test_a_master_that_is_not_configured_is_an_error_only_when_it_is_needed():
    operator = Operator({"cachedir": "/nowhere"}, print)
    assert run(lambda operator: "fine", operator, {}) == "fine"
    with pytest.raises(salt.exceptions.NotImplemented, match="ext_pillar:"):
        run(lambda operator: operator.master, operator, {})


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


def judged(answer, context=None, **opts):
    """What a command returns to Salt, and whether Salt is to take the job for a failed one."""
    context = {} if context is None else context
    returned = run(lambda operator: answer, Operator(opts, print), context)
    return returned, bool(context["retcode"])


def test_what_failed_is_failed_to_salt_and_exits_with_one():
    assert judged(exiting(FAILED, {"a": 1})) == ({"a": 1, "retcode": 1}, True)


def test_a_plan_that_would_change_something_exits_with_two_and_has_not_failed():
    assert judged(exiting(DIFFERS, {"a": 1})) == ({"a": 1, "retcode": 2}, False)


def test_success_has_no_exit_code_and_does_not_inherit_the_failure_of_an_earlier_run():
    context = {"retcode": 1}
    assert judged(exiting(0, {"a": 1}), context) == ({"a": 1}, False)
    assert judged(True, context) == (True, False)


def test_the_answer_says_how_to_show_it_only_to_a_salt_run_that_shows_it():
    """Salt took what it found below `data` for results of states, and so every job for a failed one."""
    assert judged({"a": 1}, fun="wireguard.nodes")[0] == {"outputter": "wireguard", "a": 1}
    assert judged({"a": 1}, fun="wireguard.nodes", output="json")[0] == {"a": 1}
    assert judged({"a": 1})[0] == {"a": 1}
    assert judged({"a": 1}, fun="state.orchestrate")[0] == {"a": 1}


@pytest.mark.parametrize(
    ("user", "name"), [("alice", "alice"), ("sudo_bob", "bob"), ("Reactor", "Reactor"), ("UNKNOWN", "root")]
)
def test_an_operator_is_who_came_by_api_or_orchestration_or_is_behind_sudo(monkeypatch, user, name):
    """The history said `root`, whoever came by API or orchestration."""
    monkeypatch.setattr("salt.utils.user.get_specific_user", lambda: "root")
    assert Operator({}, print, user).name == name


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
