"""Asking nodes: whose answer counts, and how long it takes."""

import pytest

from factories import change
from fake_bus import FakeBus
from saltext.wireguard.control.node_query import NodeQuery
from saltext.wireguard.control.progress import Progress
from saltext.wireguard.model.answers import Answer

ANSWER = Answer(changes=(change("mtu", "1420", "1380"),), digest="d" * 64)


def ask(bus, nodes="ab", timeout=0.5):
    return NodeQuery(bus, timeout, Progress(lambda _: None)).ask("wireguard.drift", nodes, [], Answer.from_dict)


def answering(node, function, words, keywords):
    return {"networks": {"net": ANSWER.to_dict()}}


def test_every_node_is_asked_once_and_answers_for_its_networks():
    bus = FakeBus("ab", answering)
    assert ask(bus) == {node: {"net": ANSWER} for node in "ab"}
    assert [(function, nodes) for function, nodes, _ in bus.jobs] == [("wireguard.drift", ["a", "b"])]


def test_a_silent_node_is_missing():
    bus = FakeBus("ab", answering)
    bus.off = {"b"}
    assert ask(bus).keys() == {"a"}


def test_nobody_to_ask_is_no_answer():
    assert ask(FakeBus(""), nodes="") == {}


def test_a_node_without_the_function_says_so():
    assert ask(FakeBus("a", lambda *_: None), "a") == {"a": "'wireguard.drift' is not available."}


@pytest.mark.parametrize(
    ("data", "error"),
    [
        ({"return": "Traceback\nValueError: no"}, "ValueError: no"),
        ({"return": {"networks": []}}, "it gave no reason"),
        ({}, "it gave no reason"),
    ],
)
def test_an_answer_that_is_none_is_an_error(data, error):
    bus = FakeBus("a", lambda *_: {"networks": {}})
    bus.fire("salt/job/1/ret/a", {"id": "a", **data})
    bus.off = {"a"}
    assert ask(bus, "a") == {"a": error}


@pytest.mark.parametrize(
    ("tag", "author"),
    [("salt/job/1/ret/b", "a"), ("salt/job/9/ret/a", "a"), ("salt/job/1/ret/a", "b"), ("salt/job/1/ret/a", None)],
)
def test_a_return_of_another_job_or_in_the_name_of_another_node_counts_for_nobody(tag, author):
    bus = FakeBus("a", answering)
    bus.off = {"a"}
    bus.fire(tag, {"id": author, "return": answering(*[None] * 4)})
    assert ask(bus, "a") == {}


def test_an_odd_part_of_an_answer_concerns_its_network_alone():
    bus = FakeBus("a", lambda *_: {"networks": {"net": ANSWER.to_dict(), "odd": 7}})
    answers = ask(bus, "a")["a"]
    assert (answers["net"], answers["odd"].error) == (ANSWER, "its answer is malformed")
