"""A mesh as boxes and lines: who is there, where, and with lines to whom."""

import pytest

from factories import accepted, mesh, public_key, row, snapshot
from saltext.wireguard.review.context import Known
from saltext.wireguard.review.graph import Box, Reach, graph

HUB = "'*': {endpoint: false}, hub: {endpoint: 192.0.2.1, hub: true}"
SIGNS = {Reach.BOTH: "---", Reach.ONE_WAY: "-->", Reach.NEITHER: "-.-"}


def drawn(nodes, known=None, **kwargs):
    (only,) = graph(mesh(nodes, **kwargs), 0.0, known)
    return only


def lines(nodes, known=None, **kwargs):
    found = drawn(nodes, known, **kwargs)
    text = {box.name: box.text for box in found.boxes}
    return {f"{text[line.one]} {SIGNS[line.reach]} {text[line.other]}" for line in found.lines}


def test_a_line_joins_those_that_reach_each_other_or_says_who_reaches_whom():
    assert lines("a: {}, b: {}, c: {endpoint: false}") == {"a --- b", "c --> a", "c --> b"}


def test_two_that_are_linked_and_have_no_endpoint_reach_neither():
    assert lines("a: {endpoint: false}, b: {endpoint: false}") == {"a -.- b"}


def test_nodes_that_meet_through_a_hub_have_no_line_of_their_own():
    assert lines("a: {endpoint: false}, b: {endpoint: false}, h: {hub: true}") == {"a --> h", "b --> h"}


def test_only_links_of_the_file_are_drawn():
    assert lines("a: {}, b: {}, c: {}", extra="links: [[a, b]]") == {"a --- b"}


def test_a_glob_is_one_box_with_a_line_to_itself_where_its_nodes_are_linked():
    assert lines("'web*': {}, db: {}") == {"db --- web*", "web* --- web*"}
    assert lines(HUB, extra="links: [[hub, '*']]") == {"* --> hub"}


def test_globs_have_the_settings_that_more_general_ones_give_them():
    assert lines("'*': {endpoint: false}, 'web*': {site: x}, 'w*b?': {}, a: {endpoint: 192.0.2.1}") >= {
        "web* --> a",
        "w*b? --> a",
    }


@pytest.fixture
def known():
    rows = (row("a", endpoints=("192.0.2.1",)), row("b", endpoints=("10.0.0.1",)))
    return Known(snapshot(*rows), accepted("a", "b", "c"))


def test_where_the_registry_is_known_the_members_are_drawn(known):
    assert [box.text for box in drawn("'*': {}", known).boxes] == ["a", "b", "c"]
    assert "b --> a" in lines("a: {endpoint: 192.0.2.1}, b: {endpoint: false}", known)


def test_boxes_say_what_is_special_and_are_at_their_sites():
    phone = f"phone: {{public_key: {public_key('phone')}, addresses: [10.42.0.200]}}"
    found = drawn("gw: {site: ams, hub: true, routes: [192.168.1.0/24]}, x: {}", peers=phone)
    assert found.sites == {
        None: [Box("phone", "phone", is_peer=True), Box("x", "x")],
        "ams": [Box("gw", "gw", "ams", hub=True, routes=("192.168.1.0/24",))],
    }
    assert (found.network, found.subnets) == ("net", ("10.42.0.0/24",))
