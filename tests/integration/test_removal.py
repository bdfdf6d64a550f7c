"""Whoever removes a node, by any of three ways, gets to know who has dropped it; and who has not, drops it later."""

import re

import pytest

import life
import steps

pytestmark = pytest.mark.slow

NODES = ["node1", "node2", "node3", "node4"]
LEFT = ["node1", "node2", "node3"]
STREAM = ("node1", "node2")  # concerned by nothing that happens to the others
HOOK = "reactor:\n  - wireguard/*/node/revoked:\n      - salt://tell.sls\n"
TELL = """\
tell:
  local.file.write:
    - tgt: node1
    - args:
        - path: /run/told
        - args: "{{ data['node'] }} was {{ data['what'] }} by {{ data['who'] }}: {{ data['why'] }}"
"""


@pytest.fixture(scope="module")
def fleet(lab):
    """A mesh of four nodes by their names, with the engine, and a reaction of the user's own to an event of ours."""
    lab.up(len(NODES), mesh=steps.mesh(NODES), trigger="engine")
    (lab.dir / "hosts/master/etc/salt/master.d/hook.conf").write_text(HOOK)
    (lab.dir / "srv/tell.sls").write_text(TELL)
    lab.off("master")
    lab.on("master")
    lab.recorder = steps.Recorder(lab)
    steps.build(lab, len(NODES))
    return lab


def assert_all_have_dropped(fleet, code, said, key):
    assert code == 0, said
    assert (said["confirmed"], said["of"], said["missing"]) == (3, 3, [])
    assert re.fullmatch(r"3 of 3 nodes have dropped node4 \([\d.]+ s\)", said["answer"])
    assert life.holders(fleet, key) == []


def test_a_node_taken_out_of_the_mesh_file_is_dropped_and_the_answer_is_read_back_from_the_devices(fleet):
    key = steps.public_key(fleet, "node4")
    private = steps.wireguard_files(fleet, "node4")["wg0.key"]
    before = len(life.jobs(fleet))
    with steps.stream(fleet, *STREAM) as packets, steps.other_mesh(fleet, steps.mesh(LEFT)):
        assert_all_have_dropped(fleet, *life.ask(fleet, "dropped", "node4"), key)
        steps.wait_until("node4 took it down", lambda: life.is_torn_down(fleet, "node4", private), life.UNTOLD_SECONDS)
        assert life.jobs(fleet)[before:] == [("wireguard.delta", NODES)]  # nobody needs a pillar
        code, said = life.ask(fleet, "dropped", "node4")
        assert (code, said["node_itself"]) == (0, "has taken its interface down")
        left_out = fleet.salt_run_json("wireguard.nodes")["left_out"]
        assert left_out == [{"network": "backbone", "node": "node4", "why": "not in the mesh file"}]
    life.settle(fleet, *NODES)
    assert fleet.ping()
    assert packets["lost"] == [], packets


def test_a_member_has_not_been_dropped_and_the_answer_says_how_to_remove_it(fleet):
    before = steps.configured(fleet, "node1")
    code, said = life.ask(fleet, "dropped", "node4")
    assert code == 1
    for word in ("node4 is a member of backbone", "mesh file", "salt-key -d node4", "wireguard.revoke node4"):
        assert word in said
    assert steps.configured(fleet, "node1") == before


def test_a_node_whose_salt_key_was_deleted_is_dropped_and_no_packet_of_it_gets_in(fleet):
    key = steps.public_key(fleet, "node4")
    address = steps.nodes(fleet)["node1"]["addresses"][0]
    fleet.must("exec", "node3", "sed", "-i", "/^ListenPort/d", "/etc/wireguard/wg0.conf")  # an old one was put back
    before = len(life.jobs(fleet))
    with steps.stream(fleet, *STREAM) as packets:
        assert fleet.salt_key("-y", "-d", "node4").returncode == 0
        code, said = life.ask(fleet, "dropped", "node4")
        assert_all_have_dropped(fleet, code, said, key)
    assert life.jobs(fleet)[before:] == [("wireguard.delta", LEFT), ("wireguard.sync", ["node3"])]
    assert "ListenPort" in steps.wireguard_files(fleet, "node3")["wg0.conf"]
    assert said["node_itself"] == "out of reach: its Salt key is gone"
    assert packets["lost"] == [], packets
    assert steps.has_device(fleet, "node4")  # out of the master's reach
    assert fleet.exec("node4", "ping", "-n", "-c2", "-W1", address).returncode == 1
    fleet.off("node4")
    fleet.on("node4", boot=True)  # a minion that runs does not ask to be accepted again
    life.accept(fleet, "node4")
    life.settle(fleet, *NODES)
    assert steps.public_key(fleet, "node4") == key
    assert fleet.ping()


def test_a_revoked_node_is_dropped_although_the_mesh_file_lists_it_and_a_node_that_is_off_is_named(fleet):
    fleet.key = steps.public_key(fleet, "node4")
    fleet.private = steps.wireguard_files(fleet, "node4")["wg0.key"]
    fleet.addresses = steps.nodes(fleet)["node4"]["addresses"]
    fleet.off("node3")
    code, said = life.ask(fleet, "revoke", "node4", "reason=stolen", "timeout=10")
    assert code == 1
    assert (said["confirmed"], said["of"]) == (2, 3)
    (missing,) = said["missing"]
    assert (missing["node"], missing["why"]) == ("node3", "out of date")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d\d:\d\d", missing["last_seen"])
    assert said["answer"].startswith("2 of 3 nodes have dropped node4 (")
    assert said["answer"].endswith(f"; not confirmed: node3 (last seen {missing['last_seen']})")
    assert life.holders(fleet, fleet.key) == []
    steps.wait_until("node4 took it down", lambda: life.is_torn_down(fleet, "node4", fleet.private))


def test_the_node_that_was_off_drops_it_by_itself_when_it_is_back(fleet):
    before = len(life.jobs(fleet))
    fleet.on("node3", boot=True)
    steps.wait_until("node3 dropped it", lambda: life.holders(fleet, fleet.key) == [], life.UNTOLD_SECONDS)
    assert ("wireguard.sync", ["node3"]) in life.jobs(fleet)[before:]
    life.settle(fleet, *LEFT)
    assert_all_have_dropped(fleet, *life.ask(fleet, "dropped", "node4"), fleet.key)


def test_to_revoke_it_again_asks_again_and_changes_nothing(fleet):
    before = life.whats(fleet, "node4")
    assert_all_have_dropped(fleet, *life.ask(fleet, "revoke", "node4"), fleet.key)
    assert life.whats(fleet, "node4") == before
    (left_out,) = fleet.salt_run_json("wireguard.nodes")["left_out"]
    assert left_out["why"].startswith("revoked by ")


def test_a_revoked_node_cannot_come_back_by_its_own_doing(fleet):
    assert steps.failures(steps.state_apply(fleet, "node4")) == []
    assert not steps.has_device(fleet, "node4")
    assert life.holders(fleet, fleet.key) == []
    assert sorted(steps.nodes(fleet)) == LEFT


def test_a_node_that_is_let_in_again_has_its_old_addresses_and_a_new_key(fleet):
    code, said = life.ask(fleet, "readmit", "node4", "reason=found")
    assert (code, said["failed"], said["silent"]) == (0, {}, [])
    life.settle(fleet, *NODES)
    assert steps.nodes(fleet)["node4"]["addresses"] == fleet.addresses
    assert steps.public_key(fleet, "node4") != fleet.key
    assert fleet.ping()


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (("readmit", "node4"), "node4 is not revoked"),
        (("readmit", "node9"), "node9 is not in any network, neither by the mesh file nor by the registry"),
        (("revoke", "node9"), "node9 is not in any network, neither by the mesh file nor by the registry"),
        (("dropped", "node9"), "node9 is not in any network, neither by the mesh file nor by the registry"),
        (
            ("revoke", "node4", "network=nonet"),
            "node4 is not in network nonet, neither by the mesh file nor by the registry",
        ),
    ],
)
def test_of_what_cannot_be_one_line_says_why(fleet, words, answer):
    before = life.ask(fleet, "history")
    assert life.ask(fleet, *words) == (1, answer)
    assert life.ask(fleet, "history") == before


def test_a_mistyped_name_is_an_error_also_where_a_glob_would_let_it_in(fleet):
    with steps.other_mesh(fleet, steps.mesh({"*": {}})):
        for function in ("revoke", "dropped"):
            code, said = life.ask(fleet, function, "nod4")
            assert code == 1
            assert said.startswith("there is no nod4")


def test_the_history_tells_all_of_it_with_who_and_why(fleet):
    entries = life.ask(fleet, "history", "node4")[1]["history"]
    told = [(entry["what"], entry["why"]) for entry in entries]
    assert told == [
        ("registered", "it registered for the first time"),
        ("joined", "in the mesh file, accepted, registered"),
        ("removed", "not in the mesh file"),
        ("joined", "in the mesh file, accepted, registered"),
        ("rekeyed", "it registered with another key"),
        ("removed", "its Salt key is not accepted"),
        ("joined", "in the mesh file, accepted, registered"),
        ("revoked", "stolen"),
        ("removed", f"revoked by {entries[7]['who']}"),
        ("readmitted", "found"),
        ("joined", "in the mesh file, accepted, registered"),
        ("rekeyed", "it registered with another key"),
    ]
    assert entries[9]["who"] == entries[7]["who"]
    assert {entry["who"] for entry in entries if entry["what"] in ("joined", "removed")} == {"master"}


def test_each_of_it_is_an_event_once_and_a_reaction_of_the_users_own_works(fleet):
    life.check_each_entry_was_announced_once(fleet)
    who = next(
        entry["who"] for entry in life.ask(fleet, "history", "node4")[1]["history"] if entry["what"] == "revoked"
    )
    told = fleet.must("exec", "node1", "cat", "/run/told")
    assert told.strip() == f"node4 was revoked by {who}: stolen"


def test_no_private_key_is_anywhere_but_on_its_node(fleet):
    assert steps.leaks(fleet, steps.private_keys(fleet)) == []
