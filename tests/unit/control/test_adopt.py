"""What an operator is shown of networks that are there already; the minions are stand-ins."""

import itertools

import pytest

from answering import Fleet
from factories import public_key
from operating import operator_of
from saltext.wireguard.control.adopt import adopt
from saltext.wireguard.errors import ConfigError
from saltext.wireguard.meshfile.parse import parse_mesh
from unit.adopt.living import Machine, link, look


@pytest.fixture
def fleet(tmp_path):
    """Three minions, of which two have a network with a phone, and one has nothing."""
    made = Fleet(tmp_path, "abc")
    one, other = Machine("a", "10.9.0.1", "192.0.2.1:51820"), Machine("b", "10.9.0.2")
    phone = Machine("alice", "10.9.0.9", is_minion=False)
    for first, second in itertools.combinations((one, other), 2):
        link(first, second)
    link(phone, one)
    made.looks = {"c": {}, **look(one, other, phone)}
    made._answer = lambda node, function, words, keywords: (
        {"interfaces": {name: each.to_dict() for name, each in made.looks[node].items()}}
        if function == "wireguard.inventory" and node in made.looks
        else None
    )
    return made


def ask(fleet, **arguments):
    operator = operator_of(fleet, opts={"pki_dir": str(fleet.mesh.parent)})
    return adopt(operator, arguments.get("write"), arguments.get("files"), 0.2)


def test_the_minions_are_asked_and_nothing_else_is_done(fleet):
    answer = ask(fleet)
    assert fleet.functions == [("wireguard.inventory", ["a", "b", "c"])]
    assert "retcode" not in answer
    assert answer["answer"] == (
        "3 machines: 1 networks with 2 nodes and 1 external peers. With the proposal, nothing would change"
    )
    assert [(row["node"], row["network"], row["peers"]) for row in answer["nodes"]] == [
        ("a", "wg0", 2),
        ("b", "wg0", 1),
    ]
    assert [(row["peer"], row["public_key"], row["known_by"]) for row in answer["peers"]] == [
        ("alice", public_key("alice"), ["a"])
    ]


def test_the_proposal_is_written_where_nothing_is_yet(fleet, tmp_path):
    path = tmp_path / "new.yml"
    answer = ask(fleet, write=str(path))
    assert path.read_text().splitlines() == answer["proposal"]
    assert parse_mesh([(str(path), path.read_text())]).networks[0].name == "wg0"
    assert f"`salt-run wireguard.plan mesh={path}`" in answer["answer"]
    with pytest.raises(ConfigError, match="exists already"):
        ask(fleet, write=str(path))
    with pytest.raises(ConfigError, match=r"does not end in \.yml"):
        ask(fleet, write=str(tmp_path / "mesh"))
    with pytest.raises(ConfigError, match="is no directory"):
        ask(fleet, write=str(tmp_path / "no" / "mesh.yml"))


def test_minions_that_say_nothing_are_named_with_what_to_do_and_in_the_proposal(fleet):
    fleet.off = {"c"}
    del fleet.looks["b"]
    answer = ask(fleet)
    assert answer["silent"] == [
        {"node": "b", "problem": "it does not have these modules: `salt b saltutil.sync_all`"},
        {"node": "c", "problem": "no answer"},
    ]
    assert "# Of these, nothing is known, and their peers may be missing: b, c" in answer["proposal"]


def test_where_there_is_nothing_to_propose_the_exit_code_says_so(fleet, tmp_path):
    fleet.looks = {"a": {}, "b": {}, "c": {}}
    answer = ask(fleet, write=str(tmp_path / "new.yml"))
    assert answer["retcode"] == 1
    assert answer["left_out"] == ["there is no network to propose"]
    assert not (tmp_path / "new.yml").exists()


def test_without_a_master_nobody_can_be_asked(fleet):
    with pytest.raises(ConfigError, match="no salt-master runs here"):
        adopt(operator_of(fleet, opts={"pki_dir": str(fleet.mesh.parent)}, running=False), None, None, 1)


def test_files_are_read_and_no_minion_is_asked(fleet, tmp_path):
    (tmp_path / "old").mkdir()
    for host, address, other in (("x", 1, "y"), ("y", 2, "x")):
        peer = f"# {other}\n[Peer]\nPublicKey = {public_key(other)}\nAllowedIPs = 10.0.0.{3 - address}/32\n"
        (tmp_path / "old" / f"{host}.conf").write_text(f"[Interface]\nAddress = 10.0.0.{address}/24\n\n{peer}")
    answer = ask(fleet, files=str(tmp_path / "old"))
    assert fleet.jobs == []
    assert [row["node"] for row in answer["nodes"]] == ["x", "y"]
    assert "each host keeps its own when it is taken over" in answer["proposal"][0]
