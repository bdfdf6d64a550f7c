"""What a report remembers, and what has changed since."""

import json
from dataclasses import replace

import pytest

from drawings import report_of
from saltext.wireguard.errors import ViewError
from saltext.wireguard.report.changes import MOST, Memory, changes, memory
from saltext.wireguard.report.values import Standing


def news(before, now):
    """Between two reports, the first of which was written and read again."""
    return changes(Memory.from_dict(json.loads(json.dumps(memory(before).to_dict()))), now)


def test_where_nothing_changed_there_is_no_news():
    assert news(report_of(), report_of()) == []


def test_what_is_remembered_is_what_was_known():
    report = report_of(ages={("a", "b"): None, ("b", "a"): None}, standings={"c": Standing((), why="out of date")})
    remembered = memory(report)
    assert Memory.from_dict(remembered.to_dict()) == remembered
    assert remembered.bad == {("net", "a", "b"): "down"}
    assert remembered.nodes["net", "c"].why == "out of date"


def test_nodes_come_and_go():
    assert news(report_of("abc"), report_of("abd")) == ["c is gone", "d is new"]


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (Standing((), public_key="1"), Standing((), public_key="2"), "c has another public key"),
        (Standing(()), Standing((), public_key="2"), "c has registered"),
        (Standing(("10.0.0.1",)), Standing(("10.0.0.2",)), "c has the addresses 10.0.0.2, before 10.0.0.1"),
        (Standing(()), Standing((), why="out of date"), "c is not in sync: out of date"),
        (Standing((), why="out of date"), Standing(()), "c is in sync again"),
        (Standing(()), Standing((), problem="no answer"), "c says nothing of itself: no answer"),
        (Standing((), problem="no answer"), Standing(()), "c answers again"),
        (Standing((), seen=1.0), Standing((), seen=2.0), None),
    ],
)
def test_what_became_of_a_node_is_a_sentence(old, new, sentence):
    found = news(report_of(standings={"c": old}), report_of(standings={"c": new}))
    assert found == ([sentence] if sentence else [])


def test_pairs_that_need_a_look_are_news_and_so_are_those_that_are_well_again():
    well, broken = report_of(), report_of(ages={("a", "b"): None, ("b", "a"): None})
    assert news(well, broken) == ["a and b: down now"]
    assert news(broken, well) == ["a and b: no longer down"]


def test_the_pairs_of_a_node_that_is_gone_are_no_news():
    broken = report_of("abc", ages={("a", "c"): None, ("c", "a"): None})
    assert news(broken, report_of("ab")) == ["c is gone"]


def test_a_report_of_one_network_says_nothing_of_the_others():
    both = report_of()
    other = replace(both.parts[0], graph=replace(both.parts[0].graph, network="other"))
    assert news(replace(both, parts=(*both.parts, other)), both) == []


def test_of_very_many_changes_the_first_ones_are_told():
    letters = [chr(number) for number in range(0x4E00, 0x4E00 + MOST + 5)]
    found = news(report_of(""), report_of(letters))
    assert len(found) == MOST + 1
    assert found[-1].startswith("and more")


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        {},
        {"made": "x", "nodes": [], "bad": []},
        {"made": -1, "nodes": [], "bad": []},
        {"made": 1.0, "nodes": [["net", "a"]], "bad": []},
        {"made": 1.0, "nodes": [["net", "a", {"addresses": 5}]], "bad": []},
        {"made": 1.0, "nodes": [["net", "a", {"addresses": [], "why": []}]], "bad": []},
        {"made": 1.0, "nodes": [], "bad": [["net", "a", "b", 5]]},
    ],
)
def test_what_is_no_memory_is_an_error(data):
    with pytest.raises((ViewError, ValueError)):
        Memory.from_dict(data)
