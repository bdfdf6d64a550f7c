"""Which minion ids a key under `nodes` means, and which keys are refused."""

import pytest

from factories import mesh_text
from saltext.wireguard.errors import MeshError
from saltext.wireguard.meshfile.load import load_mesh
from saltext.wireguard.meshfile.parse import parse_mesh
from saltext.wireguard.meshfile.patterns import check, matcher, specificity

GROUPS = {
    "plain": ("web1", "web2"),
    "regex": ("web[12]",),
    "listed": ("L@web1,db1",),
    "both": ("N@listed", "and", "web*"),
    "either": ("E@web\\d", "or", "db1"),
    "nested": ("web*", "and", "not", "(", "web1", "or", "N@both", ")"),
    "implicit": ("web*", "E@.*1"),
    "os": ("web*", "and", "G@os:Debian"),
    "loop": ("N@pool",),
    "pool": ("web*", "or", "N@loop"),
    "typo": ("N@lisetd",),
    "open": ("(", "web*"),
    "closed": ("web*", ")"),
    "end": ("web*", "or"),
    "start": ("or", "web*"),
    "broken": ("E@web(",),
    "none": (),
}
IDS = ("web1", "web2", "web10", "db1", "mail1")


def matching(key):
    matches = matcher(key, GROUPS)
    return {node for node in IDS if matches(node)}


@pytest.mark.parametrize(
    ("key", "nodes"),
    [
        ("web1", {"web1"}),
        ("web*", {"web1", "web2", "web10"}),
        ("L@web1,db1", {"web1", "db1"}),
        ("L@web1", {"web1"}),
        ("E@web\\d", {"web1", "web2"}),  # not web10, though Salt takes a beginning that matches for enough
        ("E@web1|db.*", {"web1", "db1"}),
        ("N@plain", {"web1", "web2"}),
        ("N@regex", {"web1", "web2"}),
        ("N@listed", {"web1", "db1"}),
        ("N@both", {"web1"}),
        ("N@either", {"web1", "web2", "db1"}),
        ("N@nested", {"web2", "web10"}),
        ("N@implicit", {"web1"}),
    ],
)
def test_a_key_means_the_ids_that_salt_would_mean_by_it(key, nodes):
    check(key, GROUPS)
    assert matching(key) == nodes


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        (
            "G@os:Debian",
            "'G@os:Debian' is not possible: a minion says its own grains, and so could let itself in; write",
        ),
        ("P@os:.*", "'P@os:.*' is not possible: a minion says its own grains"),
        ("I@role:vpn", "'I@role:vpn' is not possible: a pillar may rest on grains"),
        ("J@role:vpn", "'J@role:vpn' is not possible: a pillar may rest on grains"),
        ("S@10.0.0.0", "'S@10.0.0.0' is not possible: a minion says itself which addresses it has"),
        ("R@%web", "'R@%web' is not possible: a range server"),
        ("L@web1,", "'' in a list is no id"),
        ("L@web*", "'web*' in a list is no id"),
        ("E@web(", "'web(' is not a regular expression: missing ), unterminated subpattern"),
        ("N@ofice", "the master's configuration has no nodegroup 'ofice'; it has: both, broken"),
        ("N@os", "nodegroup os: 'G@os:Debian' is not possible: a minion says its own grains"),
        ("N@loop", "nodegroup loop: nodegroup pool: nodegroup loop contains itself"),
        ("N@typo", "nodegroup typo: the master's configuration has no nodegroup 'lisetd'"),
        ("N@open", "nodegroup open: a '(' is never closed"),
        ("N@closed", "nodegroup closed: ')' is not expected there"),
        ("N@end", "nodegroup end: something is missing at the end"),
        ("N@start", "nodegroup start: something is missing before 'or'"),
        ("N@broken", "nodegroup broken: 'web(' is not a regular expression"),
        ("N@none", "nodegroup none: '' in a list is no id"),
        ("web[1", "'web[1' is not a glob: its '[' is never closed"),
        ("a@b", "'a@b' is no id that a node can have"),
    ],
)
def test_what_rests_on_more_than_ids_or_means_nothing_is_refused_with_the_reason(key, reason):
    with pytest.raises(ValueError, match=r".") as caught:
        check(key, GROUPS)
    assert str(caught.value).startswith(reason)


def test_a_refused_key_is_named_with_its_line_and_a_nodegroup_only_where_they_are_known():
    text = "networks:\n  net:\n    subnets: [10.42.0.0/24]\n    nodes:\n      G@os:Debian: {}\n      N@ofice: {}\n"
    with pytest.raises(MeshError) as caught:
        parse_mesh([("mesh.yml", text)], GROUPS)
    assert [problem.where for problem in caught.value.problems] == ["mesh.yml:5", "mesh.yml:6"]
    with pytest.raises(MeshError) as caught:
        parse_mesh([("mesh.yml", text)])
    assert [problem.where for problem in caught.value.problems] == ["mesh.yml:5"]


def net(nodes, groups=GROUPS):
    (network,) = parse_mesh([("mesh.yml", mesh_text(nodes))], groups).networks
    return network


def test_the_most_specific_entry_wins_whatever_the_order():
    keys = ["web1", "'L@web1,db1'", "'L@web1,db1,db2'", "'web*'", "'*'", "'E@web.'", "N@plain"]
    entries = [f"{key}: {{port: {number}}}" for number, key in enumerate(keys, 1)]
    for text in (", ".join(entries), ", ".join(reversed(entries))):
        assert [entry.port for entry in net(text).entries("web1")] == list(range(1, len(keys) + 1))


def test_of_equals_the_later_one_wins():
    for pair in (("E@web.", "E@.*1"), ("N@plain", "N@both"), ("L@web1,db1", "L@web1,db2")):
        first, second = (f"'{key}': {{port: {number}}}" for number, key in enumerate(pair, 1))
        assert net(f"{first}, {second}").settings("web1").port == 2
        assert net(f"{second}, {first}").settings("web1").port == 1


def test_each_setting_comes_from_the_most_specific_entry_that_has_it():
    settings = net("N@plain: {groups: [a], port: 1}, 'E@web.': {port: 2, hub: true}, web1: {}").settings("web1")
    assert (settings.groups, settings.port, settings.hub) == ({"a"}, 2, True)


def test_an_id_that_no_node_can_have_takes_no_time():
    """A regular expression may take for ever on what somebody has made up for that."""
    assert net("'E@(a+)+b': {}").settings("a" * 300 + "!") is None


def test_ids_of_a_list_are_named_by_the_file():
    network = net("'L@web1,db1': {}")
    assert (network.names("db1"), network.names("db2"), network.namesake("WEB1")) == (True, False, "web1")


def test_outside_of_a_master_a_nodegroup_matches_nobody():
    assert net("N@plain: {}", None).settings("web1") is None


@pytest.mark.parametrize("key", ["'L@web1,db1'", "'E@web.'", "N@plain"])
def test_what_belongs_to_one_node_cannot_be_given_to_several(key):
    with pytest.raises(MeshError, match="addresses belongs to one node"):
        net(f"{key}: {{addresses: [10.42.0.9]}}")


def test_an_exit_is_checked_for_every_kind_of_entry():
    for key in ("'L@web1,db1'", "'E@web.'", "N@plain", "'web*'"):
        with pytest.raises(MeshError, match="via: the network has no node 'gw'"):
            net(f"{key}: {{via: gw}}")


def test_the_digest_of_a_mesh_changes_with_the_nodegroups_that_it_uses_and_with_no_others(tmp_path):
    path = tmp_path / "mesh.yml"
    path.write_text(mesh_text("N@plain: {}"))
    used = {load_mesh(str(path), groups).digest for groups in (GROUPS, {"plain": ("web1",)})}
    path.write_text(mesh_text("web1: {}"))
    unused = {load_mesh(str(path), groups).digest for groups in (GROUPS, {}, None)}
    assert (len(used), len(unused)) == (2, 1)


def test_keys_are_sorted_by_how_specific_they_are():
    keys = ["N@a", "E@a", "*", "a*", "a?", "L@a,b", "L@a", "a"]
    assert sorted(keys, key=specificity) == ["a", "L@a", "L@a,b", "a*", "a?", "*", "E@a", "N@a"]
