"""A mesh as a picture: who is drawn, where, and with lines to whom."""

import re
from pathlib import Path

import pytest

from factories import accepted, mesh, public_key, row, snapshot
from saltext.wireguard.meshfile.load import load_mesh
from saltext.wireguard.review.context import Known
from saltext.wireguard.review.graph import graph

EXAMPLES = sorted((Path(__file__).resolve().parents[3] / "examples").glob("*.yml"))
HUB = "'*': {endpoint: false}, hub: {endpoint: 192.0.2.1, hub: true}"


def lines(text):
    """The lines of a picture, with names in the place of Mermaid's ids."""
    names = dict(re.findall(r'^ *(n\d+_\d+)[\[({]+"([^"<]*)', text, re.MULTILINE))
    found = re.findall(r"^ *(n\d+_\d+) (\S+) (n\d+_\d+)$", text, re.MULTILINE)
    return {f"{names[one]} {line} {names[other]}" for one, line, other in found}


def drawn(nodes, known=None, **kwargs):
    return graph(mesh(nodes, **kwargs), 0.0, known)


def test_a_line_joins_those_that_reach_each_other_and_an_arrow_leads_to_whom_only_one_does():
    assert lines(drawn("a: {}, b: {}, c: {endpoint: false}")) == {"a --- b", "c --> a", "c --> b"}


def test_a_link_for_which_nobody_has_an_endpoint_is_dotted():
    assert lines(drawn("a: {endpoint: false}, b: {endpoint: false}")) == {"a -.- b"}


def test_nodes_that_meet_through_a_hub_have_no_line_of_their_own():
    assert lines(drawn("a: {endpoint: false}, b: {endpoint: false}, h: {hub: true}")) == {"a --> h", "b --> h"}


def test_only_links_of_the_file_are_drawn():
    assert lines(drawn("a: {}, b: {}, c: {}", extra="links: [[a, b]]")) == {"a --- b"}


def test_a_glob_is_one_box_with_a_line_to_itself_where_its_nodes_are_linked():
    assert lines(drawn("'web*': {}, db: {}")) == {"db --- web*", "web* --- web*"}
    assert lines(drawn(HUB, extra="links: [[hub, '*']]")) == {"* --> hub"}


def test_globs_have_the_settings_that_more_general_ones_give_them():
    assert lines(drawn("'*': {endpoint: false}, 'web*': {site: x}, 'w*b?': {}, a: {endpoint: 192.0.2.1}")) >= {
        "web* --> a",
        "w*b? --> a",
    }


def test_where_the_registry_is_known_the_members_are_drawn():
    known = Known(
        snapshot(row("a", endpoints=("192.0.2.1",)), row("b", endpoints=("10.0.0.1",))), accepted("a", "b", "c")
    )
    text = drawn("'*': {}", known)
    assert set(re.findall(r'"([abc*])"', text)) == {"a", "b", "c"}
    assert "b --> a" in lines(drawn("a: {endpoint: 192.0.2.1}, b: {endpoint: false}", known))


def test_sites_are_frames_and_boxes_say_what_is_special():
    phone = f"phone: {{public_key: {public_key('phone')}, addresses: [10.42.0.200]}}"
    text = drawn("gw: {site: ams, hub: true, routes: [192.168.1.0/24]}, x: {}", peers=phone)
    assert re.search(r'subgraph n0_site\d\["ams"\]\n +n0_0\{\{"gw<br>hub<br>192.168.1.0/24"\}\}\n +end', text)
    assert 'n0_1("phone")' in text
    assert 'n0_2["x"]' in text


def test_every_network_is_a_frame_with_its_subnets():
    text = drawn("a: {}")
    assert 'subgraph n0["net 10.42.0.0/24"]' in text


def test_no_glob_can_end_its_box():
    assert '["x#34;]*"]' in drawn("""'x"]*': {}""")


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_every_example_can_be_drawn(path):
    text = graph(load_mesh(str(path)), 0.0)
    assert text.startswith("flowchart LR\n")
    assert text.count("subgraph") == len(re.findall(r"^ *end$", text, re.MULTILINE))
    assert '["' in text
