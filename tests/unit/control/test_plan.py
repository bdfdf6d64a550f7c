"""Whom a plan asks what, and what it makes of the answers; the nodes are stand-ins, all else is real."""

import itertools

import pytest

from factories import accept, change, master_of, mesh_text, public_key, registration, salt_key, subject
from saltext.wireguard.control.node_query import NodeQuery
from saltext.wireguard.control.plan import LEFT, MAX_KEYS, Plan
from saltext.wireguard.control.progress import Progress
from saltext.wireguard.master.intake import hear
from saltext.wireguard.meshfile.load import load_mesh
from saltext.wireguard.model import statements
from saltext.wireguard.model.answers import Answer, Sessions, brief
from saltext.wireguard.model.changes import removal
from saltext.wireguard.model.statements import REGISTER_TAG, REPORT_TAG, Report

serials = itertools.count(100)
ROGUE = (change("peer rogue", {"public_key": "R"}, None),)


class Fleet:
    """Nodes a, b and c, in sync; c is off. ``says`` is what they answer, by node."""

    def __init__(self, path):
        self.path = path
        self.master = master_of(path, "'*': {}")
        for node in "abc":
            accept(self.master, node)
            self.say(REGISTER_TAG, registration(node, next(serials), public_key=public_key(node)))
        self.digests = self.master.moment().fleet().digests()
        for node in "abc":
            self.say(REPORT_TAG, Report(node, "net", self.digests["net", node], next(serials)))
        self.asked = []
        self.says = {}
        self._events = []

    def edit(self, nodes, **settings):
        (self.path / "mesh.yml").write_text(mesh_text(nodes, **settings))

    def say(self, tag, statement):
        signed = statements.sign(statement, salt_key(statement.node).private_pem)
        assert hear(self.master, tag, {"id": statement.node, "data": {"signed": signed}})

    def survey(self):
        return NodeQuery(self, 0.3, Progress(lambda _: None))

    def present(self):
        return Plan(self.master, self.survey()).present()

    def edited(self, nodes, **settings):
        other = self.path / "other.yml"
        other.write_text(mesh_text(nodes, **settings))
        return Plan(self.master, self.survey()).edited(load_mesh(str(other)))

    def publish(self, nodes, function, arguments):
        self.asked.append((function, sorted(nodes), arguments))
        self._events += [("salt/job/1/ret/" + node, self._return(node, function)) for node in nodes if node != "c"]
        return "1"

    def _return(self, node, function):
        said = self.says.get(node, Answer(digest=self.digests["net", node], sessions=Sessions(5)))
        data = said if not isinstance(said, Answer) else {"networks": {"net": said.to_dict()}}
        return {"id": node, "return": data, "success": True}

    def events(self, _):
        while self._events:
            yield self._events.pop(0)

    def jobs(self):
        return [(function, nodes) for function, nodes, _ in self.asked]


@pytest.fixture
def fleet(tmp_path):
    return Fleet(tmp_path)


def steps(found):
    return {(step.node, str(step.change.subject)): step.disturbs for step in found}


# -- the mesh file as it is


def test_nodes_in_sync_are_not_made_to_fetch_a_pillar(fleet):
    outlook = fleet.present()
    assert fleet.jobs() == [("wireguard.drift", ["a", "b", "c"])]
    assert (outlook.changes, outlook.drift, outlook.failed) == ([], [], {})
    assert outlook.is_quiet


def test_a_node_that_does_not_answer_is_named_and_is_no_change_by_itself(fleet):
    (silent,) = fleet.present().unreachable
    assert (silent.node, silent.why) == ("c", None)
    assert silent.seen > 0


def test_drift_is_told_apart_from_what_the_mesh_file_changes(fleet):
    fleet.says["a"] = Answer(ROGUE, {ROGUE[0].subject: 1}, fleet.digests["net", "a"])
    outlook = fleet.present()
    assert steps(outlook.drift) == {("a", "peer rogue"): 1}
    assert outlook.changes == []
    assert not outlook.is_quiet


def test_nodes_that_are_out_of_date_are_asked_what_their_pillar_would_change(fleet):
    fleet.edit("a: {}, b: {port: 4500}, c: {}")
    fleet.says["b"] = Answer((change("listen port", "51820", "4500"),), {subject("listen port"): 2})
    outlook = fleet.present()
    assert fleet.jobs() == [("wireguard.sync", ["a", "b", "c"])]
    assert fleet.asked[0][2] == ["test=True"]
    assert steps(outlook.changes) == {("b", "listen port"): 2}
    assert [(silent.node, silent.why) for silent in outlook.unreachable] == [("c", "out of date")]
    assert not outlook.is_quiet


def test_a_file_that_is_not_what_was_reported_is_asked_about_with_a_pillar(fleet):
    fleet.says["b"] = Answer(ROGUE, digest="0" * 64)
    outlook = fleet.present()
    assert fleet.jobs() == [("wireguard.drift", ["a", "b", "c"]), ("wireguard.sync", ["b"])]
    assert steps(outlook.drift) == {("b", "peer rogue"): 0}


def test_addresses_that_the_registry_has_not_given_yet_are_told_before_it_does(fleet):
    fleet.edit("'*': {}", subnets='10.42.0.0/24, "fd42::/64"')
    found = steps(fleet.present().changes)
    assert ("a", "address fd42::1/64") in found
    assert ("c", "peer a") in found  # c is off, and known to have what it reported


def test_a_node_that_left_is_asked_and_what_it_would_take_down_is_of_its_network(fleet):
    fleet.edit("a: {}, c: {}")
    gone = brief(removal("wg0"), {subject("interface wg0"): 1})
    fleet.says["b"] = {"networks": {"wg0": {"result": None, **gone}}}
    fleet.says["a"] = Answer()
    outlook = fleet.present()
    assert [step.network for step in outlook.changes] == ["net"]
    assert steps(outlook.changes) == {("b", "interface wg0"): 1}


def test_a_node_that_left_and_is_off_is_named(fleet):
    fleet.edit("a: {}, b: {}")
    assert ("c", LEFT) in [(silent.node, silent.why) for silent in fleet.present().unreachable]


def test_an_error_of_a_node_is_its_own_and_the_others_are_told(fleet):
    fleet.says["a"] = "'wireguard.drift' is not available."
    fleet.says["b"] = Answer(ROGUE, digest=fleet.digests["net", "b"])
    outlook = fleet.present()
    assert outlook.failed == {"a": "'wireguard.drift' is not available."}
    assert steps(outlook.drift) == {("b", "peer rogue"): 0}


@pytest.mark.parametrize("odd", [None, 3, [], {}, {"networks": []}, {"networks": {"net": 1}}, {"networks": {1: None}}])
def test_a_return_of_any_shape_ends_nothing(fleet, odd):
    fleet.says["a"] = odd
    assert fleet.present().drift == []


def test_without_a_salt_master_all_are_unreachable_and_the_rest_is_said(fleet):
    fleet.edit("'*': {}", subnets='10.42.0.0/24, "fd42::/64"')
    outlook = Plan(fleet.master, None).present()
    assert {silent.node for silent in outlook.unreachable} == set("abc")
    assert {step.node for step in outlook.changes} == set("abc")


def test_the_registry_stays_as_it_is(fleet):
    before = (fleet.path / "state/registry.db").read_bytes()
    fleet.edit("a: {}", subnets="10.42.0.0/16")
    fleet.present()
    fleet.edited("b: {}", subnets="10.44.0.0/24")
    assert (fleet.path / "state/registry.db").read_bytes() == before
    assert {path.name for path in (fleet.path / "state").iterdir()} <= {
        "registry.db",
        "registry.db-wal",
        "registry.db-shm",
    }


# -- another mesh file


def test_only_those_are_asked_whose_sessions_are_concerned_and_only_for_these(fleet):
    outlook = fleet.edited("a: {}, b: {}")
    ((function, nodes, (arguments,)),) = fleet.asked
    assert (function, nodes) == ("wireguard.drift", ["a", "b", "c"])
    assert arguments["live"] == [public_key("c")]
    assert steps(outlook.changes) == {("a", "peer c"): 0, ("b", "peer c"): 0, ("c", "interface wg0"): None}
    assert [silent.node for silent in outlook.unreachable] == ["c"]


def test_a_live_session_with_who_leaves_is_counted(fleet):
    fleet.says["a"] = Answer(sessions=Sessions(3, frozenset([public_key("b")])))
    assert steps(fleet.edited("a: {}, c: {}").changes) == {
        ("a", "peer b"): 1,
        ("b", "interface wg0"): 5,
        ("c", "peer b"): None,
    }


def test_nobody_is_asked_when_nothing_is_cut_off(fleet):
    outlook = fleet.edited("'*': {}", extra="mtu: 1380")
    assert fleet.asked == []
    assert steps(outlook.changes) == {(node, "mtu"): 0 for node in "abc"}


def test_with_many_keys_only_the_number_of_sessions_is_asked_for(fleet, monkeypatch):
    monkeypatch.setattr("saltext.wireguard.control.plan.MAX_KEYS", 0)
    assert MAX_KEYS > 0
    outlook = fleet.edited("a: {}, c: {}")
    assert fleet.asked[0][2][0]["live"] == []
    assert steps(outlook.changes)["a", "peer b"] is None
    assert steps(outlook.changes)["b", "interface wg0"] == 5


def test_the_sentence_counts_nodes_and_every_session_once(fleet):
    fleet.says["a"] = Answer(sessions=Sessions(3, frozenset([public_key("b")])))
    assert fleet.edited("a: {}, c: {}").answer() == (
        "3 nodes would change; 6 live sessions cut off; not all sessions known; 1 node did not answer"
    )
    assert fleet.edited("'*': {}").answer() == "0 nodes would change"


def test_what_a_machine_cannot_have_is_named_unless_the_master_knows_it_already(fleet):
    fleet.says["a"] = Answer(digest=fleet.digests["net", "a"], obstacles=("route 10.9.0.0/16 (dev eth0)",))
    assert fleet.present().obstacles == [("a", "route 10.9.0.0/16 (dev eth0)")]
    told = Report("a", "net", fleet.digests["net", "a"], next(serials), obstacles=("route 10.9.0.0/16 (dev eth0)",))
    fleet.say(REPORT_TAG, told)
    assert fleet.present().obstacles == []
