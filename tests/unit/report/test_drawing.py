"""The formats of a drawing."""

import json

import pytest

from drawings import HOSTILE, graph_of
from factories import mesh
from saltext.wireguard.errors import ConfigError
from saltext.wireguard.report.drawing import draw
from saltext.wireguard.review.graph import Box, graph

NODES = "'web*': {site: ams}, hub: {hub: true, routes: [192.168.1.0/24]}, c: {endpoint: false}"


def test_json_has_nodes_and_links():
    (network,) = json.loads(draw(graph(mesh(NODES), 0.0), "json"))["networks"]
    assert (network["network"], network["subnets"]) == ("net", ["10.42.0.0/24"])
    assert {
        "name": "web*",
        "site": "ams",
        "hub": False,
        "exit": False,
        "external_peer": False,
        "routes": [],
    } in network["nodes"]
    assert {"a": "c", "b": "hub", "reach": "one way"} in network["links"]
    assert {"a": "web*", "b": "web*", "reach": "both"} in network["links"]


@pytest.mark.parametrize(
    ("form", "start"), [("mermaid", "flowchart LR\n"), ("dot", "digraph mesh {"), ("svg", "<svg>")]
)
def test_each_format_begins_as_its_readers_expect(form, start):
    text = draw(graph(mesh(NODES), 0.0), form)
    assert text.startswith(start.rstrip(">"))


def test_a_picture_that_stands_alone_needs_no_variables_and_is_dark_where_everything_is():
    text = draw(graph(mesh(NODES), 0.0), "svg")
    assert "var(" not in text
    assert "@media(prefers-color-scheme:dark)" in text


def test_svg_and_json_are_ascii():
    graphs = [graph_of([Box("a", "a", "k\u00f6ln"), Box("b", "b", "k\u00f6ln")])]
    for form in ("svg", "json"):
        assert draw(graphs, form).isascii()
    assert "k&#246;ln" in draw(graphs, "svg")


@pytest.mark.parametrize("form", ["mermaid", "dot", "svg", "json"])
def test_a_mesh_without_nodes_can_be_drawn(form):
    assert draw([graph_of([])], form)


@pytest.mark.parametrize("form", ["mermaid", "dot", "svg", "json"])
@pytest.mark.parametrize("name", HOSTILE)
def test_a_drawing_is_text_that_can_be_written(name, form):
    assert draw([graph_of([Box(name, name, name)])], form).encode()


def test_another_format_is_an_error():
    with pytest.raises(ConfigError, match="there is no format png; it can be mermaid, dot, json, svg"):
        draw([], "png")
