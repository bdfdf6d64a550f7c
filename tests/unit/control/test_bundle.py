"""What is in a file for a bug report, and what is not."""

import ipaddress
import json
import re
import tarfile

import pytest

from answering import Fleet
from factories import mesh_text, public_key
from operating import operator_of
from saltext.wireguard.control.bundle import bundle
from saltext.wireguard.errors import ConfigError
from saltext.wireguard.master.secretfile import load_secret, renew_secret
from saltext.wireguard.model.answers import Answer

PRIVATE = "cHJpdmF0ZSBrZXkgb2YgYSB0ZXN0LCAzMiBieXRlcyE="
MODULES = {"version": "0.1.0", "digest": "0123456789abcdef"}
MESH = """\
# written by carol
networks:
  net:
    subnets: [10.42.0.0/24, "fd42:42::/64"]
    preshared_keys: true
    nodes:
      '*': {groups: [dba], site: ams}
      a: {endpoint: "cafe.example.com:4000"}   # the one in the cellar
"""


@pytest.fixture
def fleet(tmp_path):
    """Nodes on whose devices nobody changed anything."""
    made = Fleet(tmp_path, "abc")
    answer = made._answer
    made._answer = lambda node, function, words, keywords: (
        {"networks": {"net": Answer(digest=made.views[node].digest).to_dict()}}
        if function == "wireguard.drift"
        else answer(node, function, words, keywords)
    )
    return made


def take(fleet, tmp_path, opts=None, **options):
    """(answer, name -> text)."""
    path = tmp_path / f"bug{len(list(tmp_path.glob('bug*')))}.tar.gz"
    log = tmp_path / "master.log"
    if not log.exists():
        log.write_text("")
    operator = operator_of(fleet, opts={"log_file": str(log), **(opts or {})})
    answer = bundle(operator, str(path), options.pop("anonymous", False), 0.2, MODULES)
    assert path.stat().st_mode & 0o777 == 0o600
    with tarfile.open(path) as archive:
        read = {each.name: archive.extractfile(each).read().decode() for each in archive}
    return answer, {name.removeprefix("wireguard-bundle/"): text for name, text in read.items()}


def test_everything_that_a_report_needs_is_in_it(fleet, tmp_path):
    answer, texts = take(fleet, tmp_path)
    assert (answer["failed"], answer["anonymous"]) == ({}, False)
    assert "retcode" not in answer
    assert sorted(texts) == answer["parts"]
    assert [row["node"] for row in json.loads(texts["nodes.json"])["nodes"]] == ["a", "b", "c"]
    assert json.loads(texts["status.json"])["answer"].startswith("3 of 3 nodes in sync")
    assert json.loads(texts["plan.json"])["changes"] == []
    assert json.loads(texts["history.json"])["history"]
    assert json.loads(texts["versions.json"]).items() >= {"modules": MODULES}.items()
    assert texts["mesh/1.yml"] == fleet.mesh.read_text()
    assert "wireguard_mesh_nodes" in texts["metrics.prom"]
    assert "real ones" in texts["README.txt"]


def test_secrets_are_nowhere(fleet, tmp_path):
    fleet.mesh.write_text(mesh_text("'*': {}", extra="preshared_keys: true") + f"# {PRIVATE}\n")
    fleet.reconcile()
    old = load_secret(fleet.master.state_dir).text
    renew_secret(fleet.master.state_dir)
    secret = load_secret(fleet.master.state_dir)
    keys = [secret.key(public_key(one), public_key(other)) for one, other in ("ab", "ac", "bc")]
    log = tmp_path / "master.log"
    log.write_text(f"wireguard: {secret.text}\nwireguard: {PRIVATE} {keys[0]}\nother\nwireguard said\n")
    opts = {
        "ext_pillar": [{"wireguard": {"mesh": "x", "preshared_secret": "hunter2"}}, {"git": "https://me:token@x"}],
        "engines": [{"wireguard": {"quiet": 1.0}}, {"slack": {"token": "xoxb-1"}}],
    }
    for anonymous in (False, True):
        _, texts = take(fleet, tmp_path, opts, anonymous=anonymous)
        everything = "\n".join(texts.values())
        found = [each for each in (old, secret.text, PRIVATE, *keys, "hunter2", "token", "xoxb") if each in everything]
        assert found == []
        assert texts["log.txt"].endswith("wireguard said\n")
        assert "other" not in texts["log.txt"]
        assert json.loads(texts["configuration.json"])["engines"] == [{"wireguard": {"quiet": 1.0}}]


def test_public_keys_are_there_as_one_sees_by_them_who_has_which(fleet, tmp_path):
    _, texts = take(fleet, tmp_path)
    assert json.loads(texts["nodes.json"])["nodes"][0]["public_key"] == public_key("a")


def test_names_and_addresses_are_words_if_so_asked_and_the_same_ones_everywhere(fleet, tmp_path):
    fleet.mesh.write_text(MESH)
    fleet.reconcile()
    answer, texts = take(fleet, tmp_path, anonymous=True)
    assert answer["anonymous"]
    everything = "\n".join(text for name, text in texts.items() if name not in ("versions.json", "README.txt"))
    for word in ("carol", "cellar", "dba", "ams", "cafe", "example.com", "alice", "10.42.0.1", "fd42:42"):
        assert not re.search(rf"(?<!\w){re.escape(word)}(?!\w)", everything), word
    assert public_key("a") not in everything
    rows = json.loads(texts["nodes.json"])["nodes"]
    pairs = json.loads(texts["status.json"])["pairs"]
    assert {row["node"] for row in rows} == {"node1", "node2", "node3"}
    # The columns a and b are called like nodes here, so they have become words, too.
    assert {value for pair in pairs for value in pair.values() if "node" in str(value)} == {"node1", "node2", "node3"}
    assert len(texts["mesh/1.yml"].splitlines()) == len(fleet.mesh.read_text().splitlines())


def test_addresses_stay_in_their_subnets(fleet, tmp_path):
    _, texts = take(fleet, tmp_path, anonymous=True)
    (subnet,) = {row["subnet"] for row in json.loads(texts["addresses.json"])["pools"]}
    for row in json.loads(texts["nodes.json"])["nodes"]:
        assert all(ipaddress.ip_address(each) in ipaddress.ip_network(subnet) for each in row["addresses"])


def test_a_part_that_fails_says_why_and_the_others_are_there(fleet, tmp_path):
    """An invalid mesh file is what many reports are about."""
    fleet.mesh.write_text("networks:\n  net: {subnets: [10.42.0.0/24], nodes: {a: {endpiont: x}}}\n")
    answer, texts = take(fleet, tmp_path)
    assert answer["retcode"] == 1
    assert {"nodes.json", "status.json"} <= set(answer["failed"])
    assert "endpiont" in texts["nodes.json"]
    assert texts["mesh/1.yml"] == fleet.mesh.read_text()
    assert json.loads(texts["validate.json"])["valid"] is False


def test_a_mesh_file_that_is_no_yaml_is_left_out_where_names_are_to_go_and_errors_do_not_quote_it(fleet, tmp_path):
    fleet.mesh.write_text("networks: {net: {nodes: {secret-project: '}}\n")
    answer, texts = take(fleet, tmp_path, anonymous=True)
    assert "mesh" in answer["failed"]
    assert not [name for name in texts if name.startswith("mesh/")]
    assert "secret-project" not in "\n".join(texts.values())
    assert "secret-project" not in json.dumps(answer)


def test_no_file_is_replaced_and_the_name_is_what_it_is(fleet, tmp_path):
    path = tmp_path / "there.tar.gz"
    path.write_text("mine")
    for name in (str(path), str(tmp_path / "passwd")):
        with pytest.raises(ConfigError, match=r"must be a new one that ends with \.tar\.gz"):
            bundle(operator_of(fleet), name, False, 0.2, MODULES)
    assert path.read_text() == "mine"
    assert fleet.jobs == []


def test_a_folder_that_is_not_there_is_an_error(fleet, tmp_path):
    with pytest.raises(ConfigError, match="could not be written: No such file"):
        bundle(operator_of(fleet), str(tmp_path / "none" / "bug.tar.gz"), False, 0.2, MODULES)
