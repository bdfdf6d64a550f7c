"""Where the mesh file says so, an operator decides who comes in and under which key, and membership ends by itself."""

import time

import pytest

import life
import steps

pytestmark = pytest.mark.slow

NODES = ["node1", "node2", "node3"]
ALL = [*NODES, "node4"]
POLICY = {"admit": "manual", "rekey": "manual"}
STREAM = ("node1", "node2")  # concerned by nothing that happens to the others
BY_HAND = "On the master: `salt-run wireguard.admit {0}` or `salt-run wireguard.reject {0}`"


@pytest.fixture(scope="module")
def fleet(lab):
    """Three minions that nobody has let in yet, a place for a fourth, and the engine."""
    lab.up(len(NODES), mesh=steps.mesh(ALL, **POLICY), trigger="engine")
    lab.recorder = steps.Recorder(lab)
    return lab


def pending(fleet):
    """Node and question of all that waits."""
    return [(row["node"], row["question"]) for row in life.ask(fleet, "pending")[1]["pending"]]


def waiting_key(fleet, node):
    return next(row["public_key"] for row in life.ask(fleet, "pending")[1]["pending"] if row["node"] == node)


def comment(fleet, node):
    """What the run of the states on a node ends with; it must not succeed."""
    states = steps.state_apply(fleet, node)[node]
    assert states[-1]["result"] is False
    assert states[-1]["changes"] == {}
    return states[-1]["comment"]


def new_key(fleet, node):
    """Let a node have a new key, without asking anybody."""
    fleet.must("exec", node, "rm", "/etc/wireguard/wg0.key")


def test_nobody_is_in_before_an_operator_says_so_and_the_node_says_what_it_waits_for(fleet):
    applied = steps.state_apply(fleet)
    assert sorted(applied) == NODES
    for node, states in applied.items():
        assert states[-1]["result"] is False
        assert states[-1]["comment"] == (
            "network backbone lets an operator decide (admit: manual); nothing was set up yet. " + BY_HAND.format(node)
        )
        assert not steps.has_device(fleet, node)
    assert pending(fleet) == [(node, "admit") for node in NODES]
    warnings = fleet.salt_run_json("wireguard.nodes")["warnings"]
    assert warnings == [
        f"{node} waits in network backbone (admit): `salt-run wireguard.admit {node}`, or `reject`" for node in NODES
    ]


def test_who_is_admitted_is_in_at_once(fleet):
    for node in NODES:
        code, said = life.ask(fleet, "admit", node)
        assert (code, said["failed"], said["silent"]) == (0, {}, [])
        assert steps.has_device(fleet, node)
    life.settle(fleet, *NODES)
    assert pending(fleet) == []
    assert fleet.ping()
    *_, admitted, registered, joined = life.ask(fleet, "history", "node1")[1]["history"]
    assert [each["what"] for each in (admitted, registered, joined)] == ["admitted", "registered", "joined"]
    assert admitted["who"] == registered["who"] != "node1"


def test_a_new_node_that_is_rejected_stays_out_with_that_key_and_waits_again_with_another(fleet):
    with steps.stream(fleet, *STREAM) as packets:
        fleet.add("node4")
        steps.wait_until("node4 waits", lambda: pending(fleet) == [("node4", "admit")], life.UNTOLD_SECONDS)
        key = waiting_key(fleet, "node4")
        assert life.ask(fleet, "reject", "node4") == (0, {"rejected": {"backbone": key}})
        assert pending(fleet) == []
        assert "did not accept this node's registration" in comment(fleet, "node4")
        assert pending(fleet) == []
        reasons = [each["reason"] for each in steps.refused(fleet) if each["node"] == "node4"]
        assert [each for each in reasons if "rejected this key; `salt-run wireguard.admit node4`" in each]
        new_key(fleet, "node4")
        assert comment(fleet, "node4").endswith(BY_HAND.format("node4"))
        assert pending(fleet) == [("node4", "admit")]
        assert waiting_key(fleet, "node4") != key
        assert life.holders(fleet, waiting_key(fleet, "node4")) == []
        assert life.ask(fleet, "admit", "node4")[0] == 0
        life.settle(fleet, *ALL)
        assert fleet.ping()
    assert packets["lost"] == [], packets


def test_a_changed_key_waits_and_the_node_keeps_its_tunnels_meanwhile(fleet):
    before = steps.public_key(fleet, "node3")
    new_key(fleet, "node3")
    assert comment(fleet, "node3") == (
        "network backbone lets an operator decide (rekey: manual); this node keeps what it has. "
        + BY_HAND.format("node3")
    )
    assert pending(fleet) == [("node3", "rekey")]
    assert steps.public_key(fleet, "node3") == before
    assert fleet.ping()
    fleet.before = before


def test_a_rejected_key_is_never_used_and_a_third_one_waits_again_until_it_is_admitted(fleet):
    rejected = waiting_key(fleet, "node3")
    assert life.ask(fleet, "reject", "node3") == (0, {"rejected": {"backbone": rejected}})
    assert "did not accept this node's registration" in comment(fleet, "node3")
    assert pending(fleet) == []
    assert steps.public_key(fleet, "node3") == fleet.before
    new_key(fleet, "node3")
    comment(fleet, "node3")
    assert pending(fleet) == [("node3", "rekey")]
    third = waiting_key(fleet, "node3")
    assert life.ask(fleet, "admit", "node3")[0] == 0
    life.settle(fleet, *ALL)
    assert steps.public_key(fleet, "node3") == third
    assert life.holders(fleet, fleet.before) == life.holders(fleet, rejected) == []
    assert fleet.ping()


def test_rotation_needs_no_decision_for_the_key_was_announced(fleet):
    before = steps.public_key(fleet, "node3")
    assert life.ask(fleet, "rotate", "node3")[0] == 0
    assert pending(fleet) == []
    assert steps.public_key(fleet, "node3") != before
    assert fleet.ping()


def gone_by_itself(fleet, node, key, private):
    left = [each for each in ALL if each != node]
    steps.wait_until(f"{node} is dropped by all", lambda: set(life.holders(fleet, key)) == set(), life.UNTOLD_SECONDS)
    steps.wait_until("it took it down", lambda: life.is_torn_down(fleet, node, private), life.UNTOLD_SECONDS)
    life.settle(fleet, *left)
    assert fleet.salt_run_json("wireguard.nodes")["left_out"] == [
        {"network": "backbone", "node": node, "why": "expired"}
    ]
    assert life.ask(fleet, "history", node)[1]["history"][-1]["why"] == "expired"


def comes_back(fleet, node):
    """Its key went with its interface, and a new one is to be decided about."""
    steps.wait_until("its new key waits", lambda: pending(fleet) == [(node, "rekey")], life.UNTOLD_SECONDS)
    assert life.ask(fleet, "admit", node)[0] == 0
    life.settle(fleet, *ALL)
    assert fleet.ping()


def test_a_node_that_is_admitted_for_some_seconds_is_removed_after_them(fleet):
    key, private = steps.public_key(fleet, "node4"), steps.wireguard_files(fleet, "node4")["wg0.key"]
    with steps.stream(fleet, *STREAM) as packets:
        started = time.time()
        assert life.ask(fleet, "admit", "node4", "valid_for=25s")[0] == 0
        if steps.in_sync(fleet, *ALL):
            assert key in steps.peers(fleet, "node1") or time.time() > started + 25
        gone_by_itself(fleet, "node4", key, private)
        assert time.time() > started + 25
        code, said = life.ask(fleet, "admit", "node4")
        assert (code, said["silent"]) == (1, [])
        assert said["failed"] == {"node4": "waits in network backbone (rekey): `salt-run wireguard.admit node4`"}
        comes_back(fleet, "node4")
    assert packets["lost"] == [], packets


def test_a_node_is_removed_at_the_moment_that_the_mesh_file_says(fleet):
    key, private = steps.public_key(fleet, "node4"), steps.wireguard_files(fleet, "node4")["wg0.key"]
    moment = time.time() + 20
    text = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))
    nodes = {**{node: {} for node in NODES}, "node4": {"expires": text}}
    with steps.stream(fleet, *STREAM) as packets, steps.other_mesh(fleet, steps.mesh(nodes, **POLICY)):
        gone_by_itself(fleet, "node4", key, private)
        assert time.time() > moment - 1
    comes_back(fleet, "node4")
    assert packets["lost"] == [], packets


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (("reject", "node1"), "nothing of node1 waits; see `salt-run wireguard.pending`"),
        (("admit", "node9"), "node9 is not in any network, neither by the mesh file nor by the registry"),
        (
            ("admit", "node1", "valid_for=8"),
            "valid_for: '8' is not a duration: it has no unit; write 8s, 8m, 8h, 8d or 8w",
        ),
    ],
)
def test_of_what_cannot_be_one_line_says_why(fleet, words, answer):
    before = life.ask(fleet, "history")
    assert life.ask(fleet, *words) == (1, answer)
    assert life.ask(fleet, "history") == before


def test_the_history_has_each_decision_with_who_made_it_and_each_is_an_event_once(fleet):
    entries = life.ask(fleet, "history", "node3")[1]["history"]
    assert [entry["what"] for entry in entries] == [
        "waiting",
        "admitted",
        "registered",
        "joined",
        "waiting",
        "rejected",
        "refused",
        "waiting",
        "admitted",
        "rekeyed",
        "rotating",
        "rotated",
    ]
    whos = {entry["what"]: entry["who"] for entry in entries}
    assert whos["admitted"] == whos["rejected"] == whos["rekeyed"] == whos["rotating"]
    assert (whos["waiting"], whos["refused"], whos["rotated"]) == ("node3", "master", "node3")
    life.check_each_entry_was_announced_once(fleet)


def test_no_private_key_is_anywhere_but_on_its_node(fleet):
    assert steps.leaks(fleet, steps.private_keys(fleet)) == []
