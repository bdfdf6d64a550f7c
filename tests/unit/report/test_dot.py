"""A mesh for Graphviz."""

import re
import shutil
import subprocess

import pytest

from drawings import HOSTILE, graph_of
from factories import mesh, public_key
from saltext.wireguard.report.dot import dot
from saltext.wireguard.review.graph import Box, graph

PHONE = f"phone: {{public_key: {public_key('phone')}, addresses: [10.42.0.200]}}"


def drawn(nodes, **kwargs):
    return dot(graph(mesh(nodes, **kwargs), 0.0))


def test_lines_say_who_reaches_whom():
    text = drawn("a: {}, b: {}, c: {endpoint: false}, d: {endpoint: false}")
    assert "n0_0 -> n0_1 [dir=none];" in text
    assert "n0_2 -> n0_0 [dir=forward];" in text
    assert "n0_2 -> n0_3 [dir=none, style=dotted];" in text


def test_sites_are_clusters_and_shapes_say_what_is_special():
    text = drawn("gw: {site: ams, hub: true, routes: [192.168.1.0/24]}, x: {}", peers=PHONE)
    assert re.search(r'subgraph cluster_n0_site\d \{\n +label="ams";\n +n0_0 \[label="gw\\nhub\\n192', text)
    assert "shape=hexagon" in text
    assert 'n0_1 [label="phone", shape=ellipse];' in text
    assert 'label="net 10.42.0.0/24";' in text


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_can_be_more_than_a_label(name):
    text = dot([graph_of([Box(name, name, name), Box("b", "b")], [(name, "b")])])
    assert text.isprintable() or set(text) - {"\n"} == set(filter(str.isprintable, text))
    without_labels = re.sub(r'"(?:[^"\\\n]|\\.)*"', "", text)
    assert set(re.findall(r"\w+", without_labels)) <= {
        *("digraph", "mesh", "rankdir", "LR", "subgraph", "label", "shape", "box", "dir", "none"),
        *("cluster_n0", "cluster_n0_site0", "cluster_n0_site1", "n0_0", "n0_1"),
    }


@pytest.mark.skipif(shutil.which("dot") is None, reason="needs Graphviz")
@pytest.mark.parametrize("name", HOSTILE)
def test_graphviz_reads_it(name):
    text = dot([graph_of([Box(name, name, name), Box("b", "b")], [(name, "b")])])
    done = subprocess.run(["dot", "-Tplain"], input=text, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
