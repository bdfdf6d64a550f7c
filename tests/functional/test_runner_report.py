"""Drawings and the page of a mesh, through Salt's loader; no salt-master runs, so no node is asked."""

import json
import shutil
import subprocess

import pytest

pytest.importorskip("salt")

import salt.exceptions
import salt.output

import masters
from hosts import key
from masters import MasterSide
from saltext.wireguard.report.page import recall


@pytest.fixture(scope="module")
def salt_keys():
    return masters.make_salt_keys(2)


@pytest.fixture
def master(tmp_path, salt_keys):
    """A master with two nodes, of which one is in sync."""
    made = MasterSide(tmp_path, salt_keys)
    for node in ("node1", "node2"):
        made.register(node, key(node))
    made.confirm("node1")
    return made


@pytest.fixture
def functions(master):
    return master.runner()


def test_a_drawing_is_printed_as_it_is(master, functions):
    drawn = functions["wireguard.graph"](format="svg")
    assert salt.output.out_format(drawn, None, {**master.opts, "color": False}) == drawn
    assert drawn.startswith("<svg")
    assert "node1" in drawn


def test_each_format_has_the_members(functions):
    assert functions["wireguard.graph"]().startswith("flowchart LR\n")
    assert functions["wireguard.graph"](format="dot").count("[label=") == 2
    (network,) = json.loads(functions["wireguard.graph"](network="backbone", format="json"))["networks"]
    assert [node["name"] for node in network["nodes"]] == ["node1", "node2"]


@pytest.mark.skipif(shutil.which("dot") is None, reason="needs Graphviz")
def test_graphviz_draws_it(functions):
    text = functions["wireguard.graph"](format="dot")
    done = subprocess.run(["dot", "-Tsvg"], input=text, capture_output=True, text=True, check=True)
    assert done.stdout.count('class="node"') == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"format": "png"}, "there is no format png; it can be mermaid, dot, json, svg"),
        ({"network": "x"}, "there is no network x"),
        ({"form": "svg"}, "unexpected keyword argument 'form'"),
    ],
)
def test_what_cannot_be_drawn_is_an_error(functions, arguments, message):
    with pytest.raises(salt.exceptions.NotImplemented, match=message):
        functions["wireguard.graph"](**arguments)


def test_a_page_is_written_and_the_next_one_says_what_has_changed(master, functions):
    file = master.root / "mesh.html"
    answer = functions["wireguard.report"](file=str(file))
    assert answer["answer"] == f"{file} has 2 nodes, 0 pairs to look at and 0 warnings"
    known = recall(file.read_text()).nodes
    assert {node: each.why for (_, node), each in known.items()} == {"node1": None, "node2": "never reported"}
    assert masters.quotes_nothing_secret(file.read_text())
    master.confirm("node2")
    assert functions["wireguard.report"](file=str(file))["changes"] == ["node2 is in sync again"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "missing a required argument: 'file'"),
        ({"file": ["x"]}, "file must be text"),
        ({"file": "/tmp/x.html", "probe": "yes"}, "probe must be true or false"),
        ({"file": "/tmp/x.html", "timeout": 0}, "timeout must be a number of seconds"),
        ({"file": "/etc/passwd"}, "file must end with .html"),
    ],
)
def test_a_page_that_cannot_be_written_is_an_error(functions, arguments, message):
    with pytest.raises(salt.exceptions.NotImplemented, match=message):
        functions["wireguard.report"](**arguments)
