"""Names of machines: who gets which, and the block of a hosts file."""

from dataclasses import replace
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factories import accepted, change, config_file, mesh, public_key, row, snapshot
from saltext.wireguard.errors import ViewError
from saltext.wireguard.fleet.fleet import Fleet
from saltext.wireguard.formats import wg_quick
from saltext.wireguard.formats.hosts_file import (
    BrokenBlockError,
    block,
    foreign_names,
    managed_names,
    with_block,
)
from saltext.wireguard.model.hosts import HostName, Hosts
from saltext.wireguard.model.view import View
from saltext.wireguard.review import plan
from saltext.wireguard.review.context import Known
from saltext.wireguard.review.lint import lint

ALL = Hosts((HostName("db1", ("10.42.0.2", "fd42::2")), HostName("web1", ("10.42.0.1",))), "mesh.example")

BLOCK = """\
# BEGIN WireGuard network net (saltext-wireguard)
10.42.0.1 web1
# END WireGuard network net (saltext-wireguard)
"""


def fleet(extra="hosts: true", nodes="'*': {}", rows=("a", "b"), peers=""):
    known = snapshot(*(row(name, ip_address(f"10.42.0.{number}")) for number, name in enumerate(rows, 1)))
    return Fleet(mesh(nodes, peers=peers, extra=extra), known, accepted(*rows), 0)


def names(joined, node):
    return [each.name for each in joined.views(node)["net"].hosts.names]


# -- whose names a node has


def test_without_the_key_a_view_and_its_digest_are_as_they_were():
    plain = fleet("admit: auto").views("a")["net"]
    assert plain.hosts is None
    assert "hosts" not in plain.to_dict()
    assert plain.digest == replace(fleet().views("a")["net"], hosts=None).digest


def test_a_node_has_its_own_name_and_those_of_all_that_it_is_linked_with():
    phone = f"phone: {{public_key: {public_key('phone')}, addresses: [10.42.0.9]}}"
    assert names(fleet(peers=phone), "a") == ["a", "b", "phone"]


def test_a_node_has_no_name_of_one_that_it_has_no_link_with():
    joined = fleet(
        "{hosts: true, links: [[a, b], [b, c]]}"[1:-1].replace(", links", "\n    links"),
        rows="abc",
        nodes="a: , b: , c: ",
    )
    assert [names(joined, node) for node in "abc"] == [["a", "b"], ["a", "b", "c"], ["b", "c"]]


def test_spokes_that_meet_through_a_hub_have_no_names_of_each_other():
    joined = fleet("hosts: true\n    links: [[a, '*']]", nodes="a: {hub: true}, '*': {}", rows="abc")
    assert names(joined, "b") == ["a", "b"]


def test_a_pair_that_goes_by_way_of_a_hub_and_is_linked_has_each_others_names():
    """They are no peers of each other."""
    joined = fleet(nodes="a: {hub: true, endpoint: a.example}, '*': {endpoint: false}", rows="abc")
    assert [peer.name for peer in joined.views("b")["net"].peers] == ["a"]
    assert names(joined, "b") == ["a", "b", "c"]


def test_who_has_not_registered_has_no_name_yet():
    known = snapshot(row("a", ip_address("10.42.0.1")))
    joined = Fleet(mesh(extra="hosts: true"), known, accepted("a", "b"), 0)
    assert names(joined, "a") == ["a"]
    assert joined.views("b")["net"].hosts is None


def warned_of(*nodes):
    known = Known(
        snapshot(*(row(node, ip_address(f"10.42.0.{n}")) for n, node in enumerate(nodes, 1))), accepted(*nodes)
    )
    warnings = lint(mesh(extra="hosts: true"), 0, known, {}).warnings
    return [each.message for each in warnings if "no hosts file" in each.message]


def test_an_id_that_no_host_can_have_gets_no_name_and_is_warned_of():
    joined = fleet(rows=("a", "10.1.1.1", "localhost"))
    assert names(joined, "a") == ["a"]
    (message,) = warned_of("a", "10.1.1.1")
    assert message.startswith("no hosts file gets '10.1.1.1', as it is no host name")


def test_two_ids_that_are_one_host_name_have_none_of_it():
    """The resolver compares names without case: whoever had the id WEB1 accepted answered for web1."""
    assert names(fleet(rows=("a", "web1", "WEB1")), "a") == ["a"]
    assert [message.partition(",")[0] for message in warned_of("a", "web1", "WEB1")] == [
        "no hosts file gets 'WEB1'",
        "no hosts file gets 'web1'",
    ]


def test_an_id_that_ends_in_the_domain_takes_no_name_away_from_one_that_the_mesh_file_has():
    domain = "hosts: true\n    domain: mesh.example"
    rows = ("a", "db1", "db1.mesh.example")
    assert names(fleet(domain, rows=rows, nodes="'*': {}, db1: {}"), "a") == ["a", "db1"]
    assert names(fleet(domain, rows=rows), "a") == ["a"]


@pytest.mark.parametrize("links", ["[[a, '*']]", "[[a, b], [b, c]]", "[['*', '*']]", "[[a, a], [b, c]]"])
def test_digests_are_those_of_the_views(links):
    joined = fleet(f"hosts: true\n    links: {links}", nodes="a: , b: , c: ", rows="abc")
    assert joined.digests() == {("net", node): joined.views(node)["net"].digest for node in "abc"}


def test_another_name_or_domain_is_another_digest():
    view = fleet().views("a")["net"]
    others = [ALL, replace(ALL, domain=None), ALL.without(["db1"])]
    assert len({view.digest, *(replace(view, hosts=each).digest for each in others)}) == 4


# -- on their way


def test_a_view_with_names_travels_through_the_pillar_and_through_the_configuration_file():
    view = replace(fleet().views("a")["net"], hosts=ALL)
    assert View.from_dict(view.to_dict(), "net") == view
    written = wg_quick.parse(config_file(view), "wg0")
    assert written.hosts == ALL
    assert wg_quick.parse(config_file(replace(view, hosts=replace(ALL, domain=None))), "wg0").hosts.domain is None


@pytest.mark.parametrize("name", ["a b", "a\nb", "localhost", "LOCALHOST", "10.0.0.1", "-a", "a..b", "", "a" * 64, "#"])
def test_a_pillar_with_what_is_no_host_name_is_refused(name):
    data = replace(fleet().views("a")["net"], hosts=None).to_dict()
    with pytest.raises(ViewError, match=r"hosts: .* is no host name"):
        View.from_dict({**data, "digest": None, "hosts": {"names": {name: ["10.42.0.1"]}}}, "net")


def test_a_pillar_with_what_is_no_address_is_refused():
    data = fleet().views("a")["net"].to_dict()
    with pytest.raises(ViewError, match="hosts: "):
        View.from_dict({**data, "hosts": {"names": {"a": ["10.42.0.1 github.com"]}}}, "net")


def test_a_plan_tells_of_names():
    before, after = fleet(rows="a").views("a")["net"], fleet(rows="ab").views("a")["net"]
    assert change("host names", None, "10.42.0.2 b") in plan.between(before, after)
    assert change("host names", "10.42.0.2 b", None) in plan.between(after, before)
    assert plan.between(after, after) == ()
    assert change("host names", None, "10.42.0.1 a, 10.42.0.2 b") in plan.between(None, after)


# -- the file


def test_a_block_comes_to_the_end_of_the_file():
    assert with_block("127.0.0.1 localhost\n", "net", ["10.42.0.1 web1"]) == f"127.0.0.1 localhost\n{BLOCK}"
    assert with_block("127.0.0.1 localhost", "net", ["10.42.0.1 web1"]) == f"127.0.0.1 localhost\n{BLOCK}"
    assert with_block("", "net", ["10.42.0.1 web1"]) == BLOCK


def test_a_block_stays_where_it_is_and_goes_without_a_trace():
    text = f"before\n{BLOCK}after\n"
    assert block(text, "net") == ["10.42.0.1 web1"]
    assert with_block(text, "net", ["x", "y"]) == text.replace("10.42.0.1 web1", "x\ny")
    assert with_block(text, "net", None) == "before\nafter\n"


def test_blocks_of_other_networks_are_others():
    text = BLOCK + BLOCK.replace("network net", "network other")
    assert with_block(text, "net", None) == BLOCK.replace("network net", "network other")
    assert block(text, "another") is None


begin, content, end = BLOCK.splitlines()
other = begin.replace("network net", "network other")


@pytest.mark.parametrize(
    ("lines", "where"),
    [
        ([begin, content], "1"),
        ([content, end], "2"),
        ([end, begin], "1, 2"),
        ([begin, content, end, begin, end], "1, 3, 4, 5"),
        ([begin, begin, end], "1, 2, 3"),
        ([begin, other, end], "1, 2, 3"),
    ],
)
def test_a_broken_block_is_an_error_that_names_the_lines(lines, where):
    text = "\n".join(lines)
    for call in (lambda: block(text, "net"), lambda: with_block(text, "net", None)):
        with pytest.raises(BrokenBlockError, match=f"network net are not one pair \\(line {where}\\): remove them"):
            call()


def test_names_outside_of_all_blocks_are_defined_by_hand():
    text = f"127.0.0.1 localhost Box # comment\n# 10.0.0.1 no\n{BLOCK}10.0.0.2 After\n"
    assert foreign_names(text) == {"localhost", "box", "after"}
    assert managed_names(text) == {"web1"}


outside = st.text(st.characters(codec="utf-8", exclude_characters="\n"), max_size=20)


@given(st.lists(outside), st.lists(outside), st.lists(st.sampled_from(["10.0.0.1 a", "10.0.0.2 b"])))
def test_whatever_is_outside_of_a_block_stays_to_the_byte(before, after, content):
    text = "".join(f"{line}\n" for line in [*before, *BLOCK.splitlines(), *after])
    changed = with_block(text, "net", content)
    assert block(changed, "net") == content
    assert with_block(changed, "net", None) == "".join(f"{line}\n" for line in [*before, *after])
