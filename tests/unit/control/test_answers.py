"""An answer counts only for the node that was asked: Salt publishes every job to every minion."""

import pytest

from answering import Fleet
from factories import public_key, registration
from saltext.wireguard.control.answers import hear_all, silent_nodes
from saltext.wireguard.control.rotation import Rotation, RotationFailed
from saltext.wireguard.model.statements import REGISTER_TAG, REPORT_TAG, Report
from saltext.wireguard.model.statements import Rotation as Announcement


@pytest.fixture
def fleet(tmp_path):
    return Fleet(tmp_path)


def test_the_statement_of_another_in_an_answer_is_not_believed(fleet):
    """An answer in the name of b with a fresh statement of a counted as one of b, which nobody waited for any more."""
    forged = {REPORT_TAG: [fleet.sign(Report("a", "net", "digest", 10**9))]}
    assert hear_all(fleet.master, "b", forged) is False
    assert hear_all(fleet.master, "a", forged) is True
    (refusal,) = fleet.master.registry.audit.refusals()
    assert (refusal.node, refusal.reason) == ("a", "it is a statement of a in an answer of b")


def test_a_registration_of_another_in_an_answer_is_not_believed(fleet):
    forged = {REGISTER_TAG: [fleet.sign(registration("a", 10**9, public_key=public_key("new")))]}
    assert hear_all(fleet.master, "b", forged) is False
    assert fleet.row("a").public_key == public_key("a")


class Impostor:
    """Answers every job in place of the node that was asked."""

    def __init__(self, fleet, answer):
        self._fleet = fleet
        self._answer = answer

    def publish(self, nodes, function, arguments):
        for node in nodes:
            self._fleet.fire_return(1, node, {"success": True, "return": self._answer})
        return "1"

    def events(self, seconds):
        return self._fleet.events(seconds)


@pytest.mark.parametrize(
    ("network", "next_key", "reason"),
    [
        ("net", "next", "it is an announcement of b for network net, and a was asked"),
        ("other", "next", "it is an announcement of b for network other, and a was asked"),
        ("net", "a", "it is an announcement of b for network net, and a was asked"),
    ],
)
def test_a_rotation_takes_no_announcement_of_another(fleet, network, next_key, reason):
    before = fleet.row("a"), fleet.row("b")
    answer = fleet.sign(Announcement("b", network, public_key("b"), public_key(next_key), 10**9))
    with pytest.raises(RotationFailed, match=reason):
        Rotation(fleet.master, Impostor(fleet, answer), print, "net", "a", 1, "alice", "").run()
    assert (fleet.row("a"), fleet.row("b")) == before


def test_a_return_for_a_job_that_was_not_for_its_node_is_passed_over(fleet):
    """It made a node that nobody had asked one that had to be asked again."""
    fleet.change_everybody()
    fleet.off = {"a"}
    publish, forged = fleet.publish, []

    def publish_and_forge(nodes, function, arguments):
        job = publish(nodes, function, arguments)
        forged.append(job)
        fleet.fire_return(job, "c", {"success": True, "return": {"networks": {}}})
        return job

    fleet.publish = publish_and_forge
    result = fleet.reconcile()
    assert forged
    assert (result["asked"], result["silent"]) == (["a", "b"], ["a"])


class Returns:
    """A bus on which these returns of the one job come."""

    def __init__(self, *returns):
        self._returns = returns

    def publish(self, nodes, function, arguments):
        self.asked = (sorted(nodes), function, arguments)
        return "1"

    def events(self, seconds):
        for node, answer in self._returns:
            yield f"salt/job/1/ret/{node}", {"id": node, "return": answer}


def report(fleet, node, serial=10**9):
    return {REPORT_TAG: [fleet.sign(Report(node, "net", "digest", serial))]}


def test_a_node_that_signs_a_new_statement_is_there(fleet):
    bus = Returns(("a", report(fleet, "a")))
    assert silent_nodes(bus, fleet.master, ["a", "b"], 1) == {"b"}
    assert bus.asked == (["a", "b"], "wireguard.sync", ["signed=True"])


def test_a_node_that_signs_anew_what_it_said_before_is_there(fleet):
    """Only news counted, and a node in sync has none: another secret was refused to every healthy fleet."""
    assert hear_all(fleet.master, "a", report(fleet, "a"))
    assert silent_nodes(Returns(("a", report(fleet, "a", 10**9 + 1))), fleet.master, ["a"], 1) == set()


def test_a_forged_return_does_not_prove_that_a_node_is_there(fleet):
    """A secret was changed on the word of a forged ping, and cut off the node that had not answered."""
    old = report(fleet, "b")
    assert hear_all(fleet.master, "b", old)
    returns = [("b", answer) for answer in (True, {}, {"networks": {}}, old, report(fleet, "a"), {REPORT_TAG: [None]})]
    assert silent_nodes(Returns(*returns), fleet.master, ["b"], 1) == {"b"}
