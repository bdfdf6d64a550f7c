"""The matrix of the page: what each node sees of each other one, and how pings came back."""

from dataclasses import replace

from drawings import report_of
from saltext.wireguard.model.probe import Echo
from saltext.wireguard.observe.paths import Path
from saltext.wireguard.report import matrix as module
from saltext.wireguard.report.matrix import matrix
from saltext.wireguard.report.values import Standing


def rows(found):
    size = len(found["names"])
    return [found["states"][start : start + size] for start in range(0, size * size, size)]


def test_a_cell_is_what_the_node_of_the_row_sees():
    (part,) = report_of(ages={("a", "b"): None}, standings={"c": Standing((), problem="no answer")}).parts
    assert rows(matrix(part)) == [".du", "u.u", "??."]


def test_nodes_of_one_site_are_neighbours():
    (part,) = report_of("abcd").parts
    boxes = tuple(replace(box, site={"a": "x", "d": "x", "c": "y"}.get(box.name)) for box in part.graph.boxes)
    found = matrix(replace(part, graph=replace(part.graph, boxes=boxes)))
    assert found["names"] == ["b", "a", "d", "c"]
    assert found["sites"] == [["", 1], ["x", 2], ["y", 1]]


def test_pings_are_there_if_there_were_any():
    (part,) = report_of("ab").parts
    assert "rtt" not in matrix(part)
    paths = (Path("net", "a", "b", {4: Echo(3, 2, 1.5)}), Path("net", "b", "a", None))
    found = matrix(replace(part, paths=paths))
    assert (found["rtt"], found["loss"]) == ([-1, 150, -1, -1], [-1, 34, -1, -1])


def test_a_matrix_that_would_be_too_large_is_left_out(monkeypatch):
    monkeypatch.setattr(module, "MOST_NODES", 2)
    (part,) = report_of("abc").parts
    assert matrix(part).keys() == {"network", "names", "sites"}
