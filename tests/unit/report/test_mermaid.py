"""A mesh as a Mermaid flowchart."""

import re
from pathlib import Path

import pytest

from factories import mesh, public_key
from saltext.wireguard.meshfile.load import load_mesh
from saltext.wireguard.report.mermaid import mermaid
from saltext.wireguard.review.graph import graph

EXAMPLES = sorted((Path(__file__).resolve().parents[3] / "examples").glob("*.yml"))


def drawn(nodes, **kwargs):
    return mermaid(graph(mesh(nodes, **kwargs), 0.0))


def test_lines_join_boxes_arrows_lead_to_whom_one_reaches_and_dots_are_for_links_without_endpoint():
    text = drawn("a: {}, b: {}, c: {endpoint: false}, d: {endpoint: false}")
    assert {"n0_0 --- n0_1", "n0_2 --> n0_0", "n0_2 -.- n0_3"} <= {line.strip() for line in text.splitlines()}


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
    text = mermaid(graph(load_mesh(str(path)), 0.0))
    assert text.startswith("flowchart LR\n")
    assert text.count("subgraph") == len(re.findall(r"^ *end$", text, re.MULTILINE))
    assert '["' in text
