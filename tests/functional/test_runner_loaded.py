"""The runner and its outputter, through Salt's loader."""

import contextlib
import re
import time

import pytest

pytest.importorskip("salt")

import salt.exceptions

import masters
from hosts import key
from masters import NETWORK, MasterSide
from saltext.wireguard.control import operator, reconcile
from saltext.wireguard.master.settling import settle
from saltext.wireguard.master.status import carriers
from saltext.wireguard.model.statements import REGISTER_TAG, REPORT_TAG


@pytest.fixture(scope="module")
def salt_keys():
    return masters.make_salt_keys(3)


@pytest.fixture
def master(tmp_path, salt_keys):
    """A master with two accepted nodes, of which only node1 has registered."""
    made = MasterSide(tmp_path, salt_keys)
    made.register("node1", key("node1"))
    return made


@pytest.fixture
def run(master):
    functions = master.runner()

    def call(name, *args, **kwargs):
        answer = functions[f"wireguard.{name}"](*args, **kwargs)
        assert masters.quotes_nothing_secret(answer)
        return answer

    call.functions = functions
    return call


def error(run, *args, **kwargs):
    """The message of the one error that salt-run prints without a traceback."""
    with pytest.raises(salt.exceptions.NotImplemented) as caught:
        run(*args, **kwargs)
    return str(caught.value)


# -- validate


def test_a_valid_mesh_file_is_summed_up(master, run):
    answer = run("validate")
    assert "retcode" not in answer
    assert answer["valid"] is True
    assert (answer["errors"], answer["warnings"]) == ([], [])
    assert answer["checked"] == ["mesh file", "registry", "accepted keys"]
    (network,) = answer["networks"]
    assert network.items() >= {"network": NETWORK, "subnets": ["10.42.0.0/24"], "node_entries": 1}.items()
    text = master.shown(answer)
    assert "valid: yes" in text
    assert "backbone" in text


def test_an_invalid_mesh_file_is_an_exit_code_with_all_its_problems(master, run):
    master.mesh.write_text("networks:\n  backbone:\n    subnet: [10.42.0.0/24]\n    port: 0\n    nodes: {'*': {}}\n")
    data = run("validate")
    assert (data["valid"], data["retcode"]) == (False, 1)
    found = {problem["where"]: problem["message"] for problem in data["errors"]}
    assert "unknown key 'subnet'" in found[f"{master.mesh}:3"]
    assert "port must be" in found[f"{master.mesh}:4"]
    text = master.shown(data)
    assert re.search(r"mesh.yml:3 +unknown key 'subnet'", text)
    assert "retcode" not in text


def test_what_is_probably_not_meant_is_a_warning_with_its_line_and_no_exit_code(master, run):
    master.mesh.write_text(
        "networks:\n  backbone:\n    subnets: [10.42.0.0/24]\n    nodes:\n      'node*': {}\n"
        "      wbe1: {endpoint: no.such.name.invalid}\n"
    )
    data = run("validate")
    assert data["valid"] is True
    assert "retcode" not in data
    assert [(row["where"], row["message"].split(":")[0]) for row in data["warnings"]] == [
        (f"{master.mesh}:6", "no accepted minion has the id wbe1"),
        (f"{master.mesh}:6", "no.such.name.invalid does not resolve on this machine"),
    ]
    assert re.search(r"mesh.yml:6 +no accepted minion", master.shown(data))


def test_a_file_that_contradicts_the_registry_is_not_valid(master, run):
    master.mesh.write_text(
        "networks:\n  backbone:\n    subnets: [10.42.0.0/24]\n    nodes:\n      'node*': {}\n"
        "      node2: {addresses: [10.42.0.1]}\n"
    )
    data = run("validate")
    assert (data["valid"], data["retcode"]) == (False, 1)
    assert [(row["where"], row["message"].split(";")[0]) for row in data["errors"]] == [
        (f"{master.mesh}:6", "10.42.0.1 was already given to node1")
    ]


def test_another_file_is_checked_before_it_goes_live(master, run):
    other = master.root / "next.yml"
    other.write_text("networks: {n: {subnets: [10.9.0.0/24], nodes: {'*': {}}}}")
    assert run("validate", mesh=str(other))["networks"][0]["network"] == "n"
    assert run("validate", mesh=str(master.root / "no.yml"))["retcode"] == 1


def test_a_file_is_checked_where_there_is_no_master(master):
    master.opts["ext_pillar"] = []
    data = master.runner()["wireguard.validate"](mesh=str(master.mesh))
    assert (data["valid"], data["checked"], data["warnings"]) == (True, ["mesh file"], [])


# -- plan; with minions in tests/integration/test_plan.py


def test_a_plan_without_a_salt_master_says_what_the_master_knows_by_itself(master, run):
    master.confirm("node1")
    other = master.root / "next.yml"
    other.write_text("networks: {backbone: {subnets: [10.42.0.0/24], mtu: 1380, nodes: {'node*': {}}}}")
    data = run("plan", mesh=str(other))
    assert data["retcode"] == 2
    assert [(row["node"], row["subject"], row["new"], row["disturbs"]) for row in data["changes"]] == [
        ("node1", "mtu", "1380", 0)
    ]
    assert "no salt-master runs here" in data["answer"]
    assert "+ mtu   1380" in master.shown(data)
    assert "retcode" not in master.shown(data)


def test_a_plan_names_who_meets_by_way_of_a_hub(master, run):
    master.confirm("node1")
    other = master.root / "next.yml"
    nodes = "{node1: {endpoint: false}, nat2: {endpoint: false}, hub1: {hub: true}}"
    other.write_text(f"networks: {{backbone: {{subnets: [10.42.0.0/24], nodes: {nodes}}}}}")
    data = run("plan", mesh=str(other))
    assert data["relayed"] == [{"network": "backbone", "hub": "hub1", "pairs": 1, "nodes": ["nat2", "node1"]}]
    assert "backbone  hub1  1      nat2, node1" in master.shown(data)


def test_a_plan_of_the_present_file_names_who_could_not_be_asked_and_who_never_registered(master, run):
    master.confirm("node1")
    data = run("plan")
    assert [(row["node"], row["why"]) for row in data["unreachable"]] == [("node1", None)]
    assert {(row["node"], row["subject"]) for row in data["changes"]} == {
        ("node1", "peer node2"),
        ("node2", "interface wg0"),
    }
    assert data["retcode"] == 2


def test_a_plan_changes_nothing_in_the_registry(master, run):
    path = master.root / "disk/var/cache/salt/master/wireguard/registry.db"
    before = path.read_bytes()
    master.write_mesh("nodes: {'node*': {}}", subnets="10.42.0.0/16")
    assert run("plan")["changes"]
    assert path.read_bytes() == before


def test_a_mesh_file_that_contradicts_the_registry_is_an_error_with_its_place(master, run):
    other = master.root / "next.yml"
    other.write_text(
        "networks: {backbone: {subnets: [10.42.0.0/24], nodes: {node1: {}, node2: {addresses: [10.42.0.1]}}}}"
    )
    data = run("plan", mesh=str(other))
    assert data["retcode"] == 1
    assert any("next.yml:1" in row["where"] and "given to node1" in row["message"] for row in data["errors"])


def test_where_no_master_is_configured_a_file_is_judged_by_itself(master):
    master.opts["ext_pillar"] = []
    data = master.runner()["wireguard.plan"](mesh=str(master.mesh))
    assert "by itself" in data["answer"]
    assert (data["changes"], "retcode" in data) == ([], False)
    with pytest.raises(salt.exceptions.NotImplemented, match="ext_pillar:"):
        master.runner()["wireguard.plan"]()


# -- nodes


def test_nodes_say_who_is_there_and_who_is_not(master, run):
    data = run("nodes")
    rows = {row["node"]: row for row in data["nodes"]}
    assert set(rows) == {"node1", "node2"}
    assert rows["node1"]["addresses"] == ["10.42.0.1"]
    assert (rows["node1"]["in_sync"], rows["node1"]["why"]) == (False, "never reported")
    assert (rows["node2"]["public_key"], rows["node2"]["why"]) == (None, "never registered")
    assert rows["node2"]["last_seen"] is None
    text = master.shown(data)
    assert "never registered" in text
    assert key("node1") in text


def test_a_node_that_reported_what_it_should_have_is_in_sync(master, run):
    master.confirm("node1")
    row = next(row for row in run("nodes")["nodes"] if row["node"] == "node1")
    assert (row["in_sync"], row["why"]) == (True, None)
    assert row["last_seen"].startswith(time.strftime("%Y-"))


def test_nodes_of_one_network_only(run):
    assert "there is no network other" in error(run, "nodes", network="other")
    assert len(run("nodes", network=NETWORK)["nodes"]) == 2


# -- nodegroups


def test_members_are_those_of_a_nodegroup_of_the_masters_configuration(master, salt_keys):
    master.opts["nodegroups"] = {"office": "L@node1,node3 and not node3"}
    master.write_mesh("nodes: {N@office: {}}")
    functions = master.runner()
    assert [row["node"] for row in functions["wireguard.nodes"]()["nodes"]] == ["node1"]
    assert NETWORK in master.pillar("node1")["wireguard"]["networks"]
    assert master.pillar("node2") == {}
    assert functions["wireguard.validate"](mesh=str(master.mesh))["valid"] is True


def test_a_nodegroup_that_rests_on_grains_is_an_error_with_its_line(master):
    master.opts["nodegroups"] = {"office": "G@site:office"}
    master.write_mesh("nodes: {N@office: {}}")
    (problem,) = master.runner()["wireguard.validate"]()["errors"]
    assert problem["where"] == f"{master.mesh}:1"
    assert "nodegroup office: 'G@site:office' is not possible: a minion says its own grains" in problem["message"]


# -- view


def test_a_view_is_what_the_pillar_says(master, run):
    assert run("view", "node1")["networks"] == master.pillar("node1")["wireguard"]["networks"]


def test_a_view_says_that_there_are_preshared_keys_and_not_which(master, run):
    master.register("node2", key("node2"))
    master.write_mesh("preshared_keys: true, nodes: {'*': {}}")
    (told,) = master.pillar("node1")["wireguard"]["networks"][NETWORK]["peers"].values()
    (shown,) = run("view", "node1")["networks"][NETWORK]["peers"].values()
    assert shown == {**told, "preshared_key": "(hidden)"}
    assert told["preshared_key"] != "(hidden)"


def test_another_secret_where_there_are_no_preshared_keys_is_an_error_without_a_traceback(run):
    assert error(run, "rotate_secret").endswith("has `preshared_keys: true`")


def test_a_revocation_that_cannot_be_told_to_anybody_is_kept_and_says_so(master, run):
    """It said only what is wrong with the mesh file, as if nothing had been revoked."""
    master.register("node2", key("node2"))
    master.write_mesh("nodes: {'*': {}}", subnets="10.43.0.0/24")
    message = error(run, "revoke", "node1", reason="stolen")
    assert message.startswith("node1 is revoked, but NO NODE HAS DROPPED IT YET")
    assert "node2 (10.42.0.2)" in message
    assert message.endswith("run `salt-run wireguard.dropped node1`")
    assert [row["what"] for row in run("history", "node1")["history"]][-1] == "revoked"


def test_a_view_of_somebody_who_is_no_accepted_minion_is_an_error_without_a_traceback(run):
    assert "node3 is not an accepted minion" in error(run, "view", "node3")


def test_a_view_of_a_minion_in_no_network_is_an_error_that_names_the_mesh_file(master, run):
    master.write_mesh("nodes: {node1: {}}")
    message = error(run, "view", "node2")
    assert "node2 is in no network" in message
    assert str(master.mesh) in message


@pytest.mark.parametrize("function", [("nodes",), ("view", "node1"), ("hear", REGISTER_TAG, {})])
def test_an_invalid_mesh_file_is_an_error_without_a_traceback(master, run, function):
    master.mesh.write_text("networks: {backbone: {subnet: []}}\n")
    if function[0] == "hear":
        assert run(*function) is False  # nothing in it to check against the mesh file
    else:
        assert "mesh.yml:1: unknown key 'subnet'" in error(run, *function)


def test_a_master_without_configuration_is_told_what_to_write_and_where(master):
    master.opts["ext_pillar"] = []
    functions = master.runner()
    for name, args in (("validate", ()), ("nodes", ()), ("view", ("node1",)), ("hear", (REGISTER_TAG, {}))):
        with pytest.raises(salt.exceptions.NotImplemented, match="ext_pillar:"):
            functions[f"wireguard.{name}"](*args)


def test_minion_keys_in_a_cache_that_is_none_for_keys_are_refused(master):
    master.opts["keys.cache_driver"] = "redis"
    with pytest.raises(salt.exceptions.NotImplemented, match=r"'redis' \(keys\.cache_driver\), which cannot be read"):
        master.runner()["wireguard.nodes"]()


def test_a_damaged_registry_is_an_error_without_a_traceback(master, run):
    path = master.root / "disk/var/cache/salt/master/wireguard/registry.db"
    path.write_bytes(b"x" * 5000)
    message = error(run, "nodes")
    assert str(path) in message


# -- most of a network that would go


@pytest.fixture(scope="module")
def five_salt_keys():
    return masters.make_salt_keys(5)


@pytest.fixture
def shrunk(tmp_path, five_salt_keys):
    """Of five nodes, whom the last reconcile saw, a slip in the mesh file leaves one."""
    made = MasterSide(tmp_path, five_salt_keys)
    for node in ("node3", "node4", "node5"):
        made.accept(node)
    for number in range(1, 6):
        made.register(f"node{number}", key(f"node{number}"))
    settle(made.state)
    made.write_mesh("nodes: {'nide*': {}, node1: {}}")
    return made


@pytest.mark.parametrize("words", [("nodes",), ("view", "node1"), ("dropped", "node2"), ("rotate", "*")])
def test_a_mesh_file_that_removes_most_nodes_is_one_error_without_a_traceback(shrunk, words):
    functions = shrunk.runner()
    with pytest.raises(salt.exceptions.NotImplemented) as caught:
        functions[f"wireguard.{words[0]}"](*words[1:])
    message = str(caught.value)
    assert f"would lose 4 of its 5 nodes at once: the mesh file ({shrunk.mesh}:1) does not list node2, node3" in message
    assert 'salt-run wireguard.reconcile force=True reason="..."' in message


def test_a_plan_says_the_same(shrunk):
    data = shrunk.runner()["wireguard.plan"]()
    assert (data["retcode"], data["answer"]) == (1, "the mesh file cannot be applied")
    assert "would lose 4 of its 5 nodes at once" in data["errors"][0]["message"]


def test_validate_warns_of_it_before_it_goes_live(shrunk):
    data = shrunk.runner()["wireguard.validate"](mesh=str(shrunk.mesh))
    assert data["valid"] is True
    assert any("would lose 4 of its 5 nodes at once" in row["message"] for row in data["warnings"])


# -- reconcile


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"canary": "node9"}, "canary: no registered node matches 'node9'"),
        ({"canary": "node2"}, "canary: no registered node matches 'node2'"),  # a member that never registered
        ({"canary": ["node1", "x*"]}, "canary: no registered node matches 'x*'"),
        ({"batch": 0}, "batch: '0' is neither a number of nodes from 1 on nor a percentage"),
        ({"batch": "x%"}, "batch: 'x%' is neither a number of nodes from 1 on nor a percentage"),
        ({"canary": "node1", "stop_after": 0}, "stop_after: 0 is not a number of nodes from 1 on"),
        ({"stop_after": 1}, "stop_after needs canary or batch"),
        ({"force": True}, "force=True needs a reason"),
        ({"force": True, "reason": " "}, "force=True needs a reason"),
    ],
)
def test_a_reconcile_that_makes_no_sense_is_an_error_before_anybody_is_asked(master, run, monkeypatch, words, message):
    monkeypatch.setattr(operator, "SaltBus", None)  # nobody can be asked without one
    assert message in error(run, "reconcile", **words)


def test_on_hold_nobody_is_asked_but_step_by_step(master, run, monkeypatch):
    monkeypatch.setattr(operator, "SaltBus", contextlib.nullcontext)  # which cannot publish
    sentence = run("hold", reason="new\nports")["held"]
    assert "(new ports)" in sentence
    for words in ({}, {"contact": ["node2"], "wait": False}, {"everybody": True}):
        assert run("reconcile", **words) == {"held": sentence, "retcode": 1}
    assert run("rotate_due") == {"rotations": []}
    assert error(run, "rotate", "node1") == sentence
    assert run("nodes")["warnings"] == [sentence]
    with pytest.raises(AttributeError, match="publish"):
        run("release")
    assert run("nodes")["warnings"] == []


def test_the_node_on_the_masters_machine_is_known_by_salts_own_rule(master):
    own = salt.config.apply_minion_config({"root_dir": str(master.root / "minion")})["id"]
    assert own in carriers(master.state.moment())


# -- hear


@pytest.fixture
def heard(run, monkeypatch):
    """hear(), with the reconcile that follows a registration only noted down: it needs a running master."""
    run.reconciled = []
    monkeypatch.setattr(reconcile, "reconcile", lambda _, **kwargs: run.reconciled.append(kwargs))
    monkeypatch.setattr(operator, "fire", lambda opts, entries: None)
    return run


def event(signed, sender="node2"):
    return {"id": sender, "data": {"signed": signed}}


def test_a_valid_registration_is_news_and_followed_by_a_reconcile_that_does_not_wait(master, heard):
    assert heard("hear", REGISTER_TAG, event(master.registration("node2", key("node2")))) is True
    assert heard.reconciled == [{"contact": [], "wait": False}]
    assert master.pillar("node2")["wireguard"]["networks"][NETWORK]["public_key"] == key("node2")


def test_the_same_registration_again_is_no_news(master, heard):
    signed = master.registration("node2", key("node2"))
    heard("hear", REGISTER_TAG, event(signed))
    assert heard("hear", REGISTER_TAG, event(signed)) is False
    assert len(heard.reconciled) == 1


def test_a_report_is_news_without_a_reconcile(master, heard):
    digest = master.state.moment().fleet().digests()[(NETWORK, "node1")]
    assert heard("hear", REPORT_TAG, event(master.report("node1", digest), "node1")) is True
    assert heard.reconciled == []


def forgeries(master):
    """Name -> a registration that must not be believed."""
    good = master.registration("node2", key("node2"))
    own = master.registration("node1", key("mine"))
    return {
        "in the name of another": {**own, "statement": own["statement"].replace('"node1"', '"node2"')},
        "changed": {**good, "statement": good["statement"].replace("192.0.2.1", "192.0.2.66")},
        "by a key that is not accepted": master.registration("node3", key("node3")),
        "old": master.registration("node1", key("old"), serial=1),
        "with another's public key": master.registration("node2", key("node1")),
        "a report as registration": master.report("node1", "0" * 64),
        "without signature": {"statement": good["statement"]},
        "no statement": {},
        "no mapping": "node2",
        "nothing": None,
        "huge": {**good, "statement": good["statement"] + " " * 10000},
    }


NAMES = ["in the name of another", "changed", "by a key that is not accepted", "old", "with another's public key",
         "a report as registration", "without signature", "no statement", "no mapping", "nothing", "huge"]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_forged_registration_changes_nothing_and_is_listed_as_refused(master, heard, name):
    before = master.pillar("node1")
    forged = forgeries(master)
    assert set(forged) == set(NAMES)
    assert heard("hear", REGISTER_TAG, event(forged[name])) is False
    assert heard.reconciled == []
    assert master.pillar("node1") == before
    data = heard("nodes")
    (refusal,) = data["refused"]
    assert refusal["reason"]
    assert refusal["count"] == 1
    assert refusal["reason"].split()[0] in master.shown(data)


@pytest.mark.parametrize("odd", [None, [], "x", {}, {"data": None}, {"data": []}, {"id": 3, "data": {"signed": []}}])
def test_an_event_of_any_shape_raises_nothing(heard, odd):
    assert heard("hear", REGISTER_TAG, odd) is False
    assert heard("hear", "some/other/tag", odd) is False


# -- the outputter


def test_the_outputter_renders_whatever_a_runner_returns(master):
    for data in (None, "text", 3, [], {}, {"a": {"b": [1, {"c": None}]}}, [{"a": 1}], {"rows": [{"a": 1}, {"b": 2}]}):
        assert isinstance(master.shown(data), str)


def test_what_comes_from_outside_cannot_move_the_cursor(master):
    assert "\x1b" not in master.shown({"nodes": [{"node": "\x1b[2Jevil\r\n"}]})


# -- addresses


def test_the_use_of_the_subnets_is_shown_as_tables(master, run):
    answer = run("addresses")
    (pool,) = answer["pools"]
    assert (pool["network"], pool["used"], pool["quarantined"]) == (NETWORK, 1, 0)
    assert pool["size"] == pool["used"] + pool["free"]
    assert pool["next"] == answer["free"][0]["first"]
    assert (answer["quarantined"], answer["warnings"]) == ([], [])


def test_a_network_that_does_not_exist_has_no_addresses(run):
    assert "there is no network nowhere in the mesh file" in error(run, "addresses", "nowhere")


def test_a_backup_is_restored_through_salts_loader(master, run, tmp_path):
    assert run("registry")["nodes"] == 1
    run("backup", file=str(tmp_path / "backup"))
    (master.root / "disk/var/cache/salt/master/wireguard/registry.db").unlink()
    assert "no node has registered" in run("registry")["answer"]
    assert run("restore", file=str(tmp_path / "backup"), force=True)["differ"]
    assert run("registry")["nodes"] == 1
