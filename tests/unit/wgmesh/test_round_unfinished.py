"""A reconcile settles rotations that broke off, and can ask nodes of which it believes that they are in sync."""

import itertools

import pytest
from factories import mesh_text, public_key, registration, salt_key
from wgcontrol.round import Round
from wgmesh import record
from wgmesh.master import Master
from wgmesh.record import ABSENT, REGISTER_TAG, REPORT_TAG, Report, Rotation

serials = itertools.count(100)


class Fleet:
    """Nodes that apply and report what they are asked for, or register the key that they have, if it is another."""

    def __init__(self, path):
        (path / "mesh.yml").write_text(mesh_text("'*': {}"))
        (path / "minions").mkdir()
        for node in "ab":
            (path / "minions" / node).write_bytes(salt_key(node).public_pem)
        self.master = Master(str(path / "mesh.yml"), str(path / "minions"), str(path / "state"))
        self.keys = {node: node for node in "ab"}
        self.asked = []
        self.off = set()
        self._events = []
        for node in "ab":
            self.say(REGISTER_TAG, registration(node, next(serials), public_key=public_key(node)))
        self.reconcile()
        self.asked.clear()

    def sign(self, statement):
        return record.sign(statement, salt_key(statement.node).private_pem)

    def say(self, tag, statement):
        assert self.master.hear(tag, {"id": statement.node, "data": {"signed": self.sign(statement)}})

    def announce(self, node):
        statement = Rotation(node, "net", public_key(node), public_key("next"), next(serials))
        assert self.master.announce(self.sign(statement), "alice", "")

    def reconcile(self, **options):
        return Round(self.master, self, [], 0.3, lambda _: None, **options).run()

    def publish(self, nodes, function, _):
        self.asked += sorted(nodes)
        self._events += [(f"salt/job/1/ret/{node}", node) for node in sorted(nodes) if node not in self.off]
        assert function == "wireguard.sync"
        return "1"

    def events(self, _):
        while self._events:
            tag, node = self._events.pop(0)
            yield tag, {"id": node, "success": True, "retcode": 0, "return": {"networks": {}, **self._sync(node)}}

    def _sync(self, node):
        key = public_key(self.keys[node])
        if self.master.registry.snapshot().rows["net", node].public_key != key:
            return {REGISTER_TAG: [self.sign(registration(node, next(serials), public_key=key))]}
        digest = self.master.fleet().digests().get(("net", node), ABSENT)
        return {REPORT_TAG: [self.sign(Report(node, "net", digest, next(serials)))]}

    def row(self, node):
        return self.master.registry.snapshot().rows["net", node]


@pytest.fixture
def fleet(tmp_path):
    return Fleet(tmp_path)


def test_of_a_node_that_did_not_switch_the_announcement_is_forgotten_by_all(fleet):
    fleet.announce("a")
    said = fleet.reconcile()
    assert fleet.row("a").next_key is None
    assert fleet.row("a").public_key == public_key("a")
    assert said["confirmed"] == ["a", "b"]
    assert fleet.reconcile()["asked"] == []


def test_a_node_that_switched_is_registered_with_its_new_key(fleet):
    fleet.announce("a")
    fleet.keys["a"] = "next"
    said = fleet.reconcile()
    assert (fleet.row("a").public_key, fleet.row("a").next_key) == (public_key("next"), None)
    assert said["confirmed"] == ["a", "b"]
    assert fleet.reconcile()["asked"] == []


def test_of_a_node_that_does_not_answer_both_keys_stay_known(fleet):
    fleet.announce("a")
    fleet.off.add("a")
    assert fleet.reconcile()["silent"] == ["a"]
    assert fleet.row("a").next_key == public_key("next")


def test_a_node_that_rotates_right_now_is_left_alone(fleet):
    fleet.announce("a")
    fleet.reconcile(rotating=("net", "a"))
    assert set(fleet.asked) == {"b"}
    assert fleet.row("a").next_key == public_key("next")


def test_nodes_in_sync_are_asked_where_that_is_wanted(fleet):
    assert fleet.reconcile()["asked"] == []
    assert fleet.reconcile(suspects={"a"})["confirmed"] == ["a"]
    assert fleet.reconcile(suspects="*")["confirmed"] == ["a", "b"]
    assert fleet.asked == ["a", "a", "b"]


def test_a_node_whose_answer_was_lost_is_asked_again_although_it_is_wanted_as_it_was_before(fleet):
    fleet.master.registry.revoke("net", "b", "alice", "")
    fleet.off.add("a")  # it does what it is asked for, and nobody hears of that
    assert fleet.reconcile()["silent"] == ["a"]
    fleet.off.clear()
    fleet.asked.clear()
    fleet.master.registry.readmit("net", "b", "alice", "")
    assert "a" in fleet.reconcile()["confirmed"]


def test_one_of_them_that_does_not_answer_is_silent_although_nothing_is_known_against_it(fleet):
    fleet.off.add("a")
    said = fleet.reconcile(suspects="*")
    assert (said["confirmed"], said["silent"]) == (["b"], ["a"])
