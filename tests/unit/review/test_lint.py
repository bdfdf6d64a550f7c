"""What is judged: the whole mesh, and no more than what is known."""

import pytest

from factories import mesh_text
from judging import PHONE, found, registered, warnings
from saltext.wireguard.meshfile.parse import parse_mesh
from saltext.wireguard.review.lint import hosts


@pytest.mark.parametrize(
    "nodes",
    [
        "'*': {}",
        "a: {}, b: {}",
        "a: {endpoint: false}, b: {}",
        "'*': {endpoint: false}",
        "a: {endpoint: 192.0.2.1}",
        "",
    ],
)
def test_of_an_ordinary_mesh_nothing_is_said(nodes):
    assert found(mesh_text(nodes)) == found(mesh_text(nodes), names={})
    assert warnings(nodes) == []


def test_of_a_mesh_whose_nodes_are_all_registered_nothing_is_said():
    assert warnings(known=registered("a", "b", "c")) == []


def test_the_names_to_look_up_are_those_of_endpoints():
    nodes = (
        "a: {endpoint: a.example}, b: {endpoint: 'b.example:1'}, c: {endpoint: '::1'}, d: {endpoints: {x: d.example}}"
    )
    text = mesh_text(nodes, peers=PHONE.replace("}", ", endpoint: p.example}"))
    assert hosts(parse_mesh([("mesh.yml", text)])) == {"a.example", "b.example", "d.example", "p.example"}
