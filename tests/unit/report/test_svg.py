"""A network as a picture: what is drawn, and what of it is drawn together."""

from xml.etree import ElementTree

import pytest

from drawings import HOSTILE, full_mesh, graph_of
from factories import mesh, public_key
from saltext.wireguard.report.markup import Markup
from saltext.wireguard.report.svg import LABEL, MOST_BAD, Live, picture, pictures
from saltext.wireguard.review.graph import Box, graph

SVG = "{http://www.w3.org/2000/svg}"
PHONE = f"phone: {{public_key: {public_key('phone')}, addresses: [10.42.0.200]}}"


def parsed(graph, live=None):
    return ElementTree.fromstring(picture(graph, live))


def of_class(svg, name):
    return [each for each in svg.iter() if name in each.attrib.get("class", "").split()]


def titles(elements):
    return {each.findtext(f"{SVG}title") for each in elements}


def drawn(nodes, **kwargs):
    (only,) = graph(mesh(nodes, **kwargs), 0.0)
    return parsed(only)


def test_each_node_is_drawn_with_its_name_and_what_is_special_about_it():
    svg = drawn("gw: {site: ams, hub: true, routes: [192.168.1.0/24]}, x: {}", peers=PHONE)
    assert titles(of_class(svg, "node")) == {"gw · hub · 192.168.1.0/24", "x", "phone · external peer"}
    assert len(of_class(svg, "hub")[0].findall(f"{SVG}polygon")) == 1
    assert [each.text for each in of_class(svg, "site")] == ["no site · 2", "ams"]


def test_lines_say_who_reaches_whom():
    svg = drawn("a: {}, b: {}, c: {endpoint: false}, d: {endpoint: false}")
    assert titles(of_class(svg, "one-way")) == {"c to a", "c to b", "d to a", "d to b"}
    assert titles(of_class(svg, "neither")) == {"c and d"}
    assert len(of_class(svg, "line")) == 6


def test_states_are_classes():
    live = Live({"a": ("behind", "out of date")}, {("a", "b"): "down"}, {"a": 0, "b": 1})
    svg = parsed(full_mesh([("a", None), ("b", None)]), live)
    assert titles(of_class(svg, "behind")) == {"a · out of date"}
    assert titles(of_class(svg, "down")) == {"a and b: down"}
    assert [each.attrib["data-node"] for each in of_class(svg, "node")] == ["0", "1"]


def many():
    return full_mesh([(f"n{number}", "ab"[number % 2]) for number in range(60)])


def test_many_lines_are_one_between_two_sites():
    svg = parsed(many())
    assert of_class(svg, "line") == []
    assert titles(of_class(svg, "bundle")) == {"a and b: 900 pairs"}


def test_among_many_lines_a_few_that_are_down_are_drawn():
    svg = parsed(many(), Live(pairs={("n0", "n1"): "down", ("n10", "n2"): "stale", ("n1", "n2"): "up"}))
    assert titles(of_class(svg, "line")) == {"n0 and n1: down", "n10 and n2: stale"}
    assert titles(of_class(svg, "bundle")) == {"a and b: 900 pairs, 1 down or stale"}
    assert of_class(svg, "bundle")[0].attrib["class"] == "bundle"


def test_where_most_is_down_the_bundle_says_so():
    graph = many()
    down = {(line.one, line.other): "down" for line in graph.lines[: 5 * MOST_BAD]}
    svg = parsed(graph, Live(pairs=down))
    assert of_class(svg, "line") == []
    assert "down" in of_class(svg, "bundle")[0].attrib["class"]


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_is_more_than_text(name):
    svg = parsed(graph_of([Box(name, name, name), Box("b", "b")], [(name, "b")]), Live({name: ("fine", name)}))
    assert {each.tag.removeprefix(SVG) for each in svg.iter()} <= {"svg", "g", "title", "text", "circle", "path"}
    assert not any(key.startswith("on") for each in svg.iter() for key in each.attrib)


def test_long_names_are_cut_where_they_stand_and_whole_in_the_title():
    svg = parsed(graph_of([("x" * 50, None)]))
    assert len(svg.findtext(f".//{SVG}g/{SVG}text")) == LABEL
    assert titles(of_class(svg, "node")) == {"x" * 50}


def test_a_picture_that_stands_alone_has_its_style_and_all_networks_one_below_the_other():
    graphs = [full_mesh([("a", None), ("b", None)]), graph_of([]), full_mesh([("c", None), ("d", "x")])]
    svg = ElementTree.fromstring(pictures(graphs, Markup("<style>.x{}</style>")))
    first, second = svg.findall(f"{SVG}svg")
    assert svg.findtext(f"{SVG}style") == ".x{}"
    assert float(second.attrib["y"]) == float(first.attrib["height"])
