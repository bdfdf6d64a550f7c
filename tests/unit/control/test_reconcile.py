"""The reconcile of operator, engine and reactor: its outcome, holds, newcomers, and whose turn it is."""

import fcntl
import os

import pytest

from answering import Fleet, serials
from factories import mesh_text, public_key, registration
from operating import operator_of
from saltext.wireguard.control.reconcile import hear, hold, reconcile, release
from saltext.wireguard.errors import ConfigError
from saltext.wireguard.model.statements import REGISTER_TAG, REPORT_TAG, Report
from saltext.wireguard.rollout.hold import current_hold
from saltext.wireguard.rollout.lock import reconcile_lock

SYNC = "wireguard.sync"


@pytest.fixture
def fleet(tmp_path):
    return Fleet(tmp_path, "abc")


def event(fleet, statement):
    return {"id": statement.node, "data": {"signed": fleet.sign(statement)}}


def test_nodes_that_are_out_of_date_are_asked_and_that_is_no_failure(fleet):
    fleet.change_everybody()
    said = reconcile(operator_of(fleet))
    assert (said["confirmed"], "retcode" in said) == (["a", "b", "c"], False)
    assert fleet.functions == [(SYNC, ["a", "b", "c"])]


def test_a_node_that_fails_or_is_silent_makes_it_a_failure(fleet):
    fleet.change_everybody()
    fleet.broken = {"a": "no module"}
    fleet.off = {"b"}
    said = reconcile(operator_of(fleet), timeout=0.2)
    assert (said["failed"], said["silent"], said["retcode"]) == ({"a": "no module"}, ["b"], 1)


def test_a_member_that_never_registered_is_asked_for_a_first_state_apply(fleet):
    fleet.accept("new")
    operator = operator_of(fleet)
    said = reconcile(operator)
    assert fleet.functions[0] == ("state.apply", ["new"])
    assert "new" in said["confirmed"]
    assert ("joined", "new") in operator.announced


def test_while_another_one_waits_for_its_turn_nobody_queues(fleet):
    directory = fleet.master.state_dir
    with reconcile_lock(directory):
        waiting = os.open(f"{directory}/reconcile.waiting", os.O_RDWR)
        fcntl.flock(waiting, fcntl.LOCK_EX)
        assert "queued" in reconcile(operator_of(fleet), contact=[], wait=False)
        os.close(waiting)


def test_force_needs_a_reason_before_anybody_is_asked(fleet):
    fleet.change_everybody()
    for reason in ("", " ", None):
        with pytest.raises(ConfigError, match="force=True needs a reason"):
            reconcile(operator_of(fleet), force=True, reason=reason)
    assert fleet.jobs == []


def test_on_hold_only_a_reconcile_in_stages_asks_anybody(fleet):
    operator = operator_of(fleet)
    sentence = hold(operator, " new\nports ")["held"]
    assert "by alice (new ports)" in sentence
    fleet.change_everybody()
    assert reconcile(operator) == {"held": sentence, "retcode": 1}
    assert fleet.jobs == []
    said = reconcile(operator, canary="a", batch=1)
    assert (said["stopped"], said["confirmed"]) == (None, ["a", "b", "c"])
    assert current_hold(fleet.master.state_dir) is None


def test_the_canary_alone_leaves_a_hold_and_is_a_success(fleet):
    operator = operator_of(fleet)
    fleet.change_everybody()
    said = reconcile(operator, canary="a", batch=0)
    assert (said["confirmed"], said["not_asked"], said["stopped"], "retcode" in said) == (
        ["a"],
        ["b", "c"],
        None,
        False,
    )
    assert current_hold(fleet.master.state_dir)
    assert reconcile(operator, batch=1)["confirmed"] == ["b", "c"]
    assert current_hold(fleet.master.state_dir) is None
    reconcile(operator, canary="a", batch=0)
    assert current_hold(fleet.master.state_dir) is None  # nobody is left that it could be for


def test_stages_that_stopped_leave_a_hold_until_it_is_released(fleet):
    operator = operator_of(fleet)
    fleet.change_everybody()
    fleet.broken = {"a": "no module"}
    said = reconcile(operator, canary="a", timeout=0.2)
    assert said["stopped"]
    assert said["retcode"] == 1
    assert current_hold(fleet.master.state_dir)
    fleet.broken.clear()
    assert release(operator)["confirmed"] == ["a", "b", "c"]
    assert current_hold(fleet.master.state_dir) is None


def test_a_registration_that_is_news_is_followed_by_a_reconcile(fleet):
    operator = operator_of(fleet)
    statement = registration("a", 10**6, public_key=public_key("a"), endpoints=("192.0.2.9",))
    assert hear(operator, REGISTER_TAG, event(fleet, statement)) is True
    assert fleet.functions[0][0] == "wireguard.delta"


def test_a_report_that_is_as_it_should_be_is_announced_and_followed_by_nothing(fleet):
    digest = fleet.master.moment().fleet().digests()["net", "a"]
    fleet.master.registry.mark_unconfirmed(["a"])
    operator = operator_of(fleet)
    assert hear(operator, REPORT_TAG, event(fleet, Report("a", "net", digest, 10**6))) is True
    assert fleet.jobs == []


def test_what_is_not_believed_is_announced_and_followed_by_nothing(fleet):
    operator = operator_of(fleet)
    forged = {"id": "a", "data": {"signed": {"statement": '{"node": "a", "network": "net"}', "signature": "QUJD"}}}
    assert hear(operator, REGISTER_TAG, forged) is False
    assert fleet.jobs == []
    assert operator.announced == [("refused", "a")]


def drift(fleet):
    digest = fleet.master.moment().fleet().views("a")["net"].digest
    fleet.say(REPORT_TAG, Report("a", "net", digest, next(serials), drift=("peer b",)))


def test_what_others_changed_on_a_node_is_put_right(fleet):
    drift(fleet)
    assert reconcile(operator_of(fleet))["confirmed"] == ["a"]
    assert fleet.functions == [(SYNC, ["a"])]


def test_unless_the_mesh_file_says_that_it_is_only_reported(fleet):
    fleet.mesh.write_text(mesh_text("'*': {}", extra="drift: report"))
    drift(fleet)
    said = reconcile(operator_of(fleet))
    assert (said["asked"], said["in_sync"], "retcode" in said) == ([], 2, False)
    fleet.change_everybody()
    assert reconcile(operator_of(fleet))["confirmed"] == ["a", "b", "c"]
