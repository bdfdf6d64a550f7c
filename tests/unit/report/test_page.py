"""The page: complete in itself, and nothing in it that nodes say is more than text."""

import base64
import hashlib
import json
import re
from dataclasses import replace

import pytest

from drawings import HOSTILE, Seen, report_of
from saltext.wireguard.errors import ViewError
from saltext.wireguard.registry.history import Entry
from saltext.wireguard.report.changes import memory
from saltext.wireguard.report.page import page, recall
from saltext.wireguard.report.values import Standing
from saltext.wireguard.review.graph import Box


def entry(node="a", network="net", who="me", why=""):
    return Entry(1, 5.0, network, node, "joined", who, why, {})


def hostile_report(text):
    """In which everything that comes from others is this text."""
    report = report_of(
        "ab",
        ages={("a", "b"): None, ("b", "a"): None},
        standings={"b": Standing((text,), text, text, text, text)},
        warnings=(text,),
        history=(entry(text, who=text, why=text, network=text), entry()),
    )
    (part,) = report.parts
    boxes = (part.graph.boxes[0], Box("b", text, text, routes=(text,)))
    return replace(report, parts=(replace(part, graph=replace(part.graph, boxes=boxes, network="net")),))


@pytest.fixture(scope="module")
def usual():
    return Seen(page(hostile_report("x"), memory(report_of("abc"))))


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_words_change_nothing_but_words(text, usual):
    seen = Seen(page(hostile_report(text), memory(report_of("abc"))))
    assert [name for name, _ in seen.elements] == [name for name, _ in usual.elements]
    for (_, attributes), (_, others) in zip(seen.elements, usual.elements, strict=True):
        assert attributes.keys() == others.keys()
        assert not any(name.startswith("on") for name in attributes)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_words_are_recalled_as_they_were(text):
    report = hostile_report(text)
    assert recall(page(report, None)) == memory(report)


def test_a_browser_runs_the_one_script_of_ours_and_loads_nothing():
    text = page(report_of(), None)
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
    rules = dict(rule.strip().split(" ", 1) for rule in policy.replace("&#x27;", "'").split(";"))
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
    for kind in ("script", "style"):
        (source,) = re.findall(rf"<{kind}>(.*?)</{kind}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
        assert rules[f"{kind}-src"] == f"'sha256-{digest}'"
    assert not re.findall(r"""(?:src|href)=["'](?!#|data:,)""", text)
    assert not re.findall(r"url\(|@import|https?://(?!www\.w3\.org/2000/svg)", text)
    assert " style=" not in text


def test_the_nodes_are_a_table_with_what_is_known_of_each():
    standing = Standing(("10.42.0.3", "fd42::3"), "192.0.2.3", "key", "out of date", None, 1_700_000_000.0, 1380)
    text = page(report_of(standings={"c": standing}), None)
    (row,) = re.findall(r'<tr[^>]*class="look"[^>]*>.*?</tr>', text)
    assert [*re.findall(r">([^<>]+)<", row)][:-1] == [
        *("c", "out of date", "10.42.0.3, fd42::3", "2", "0", "192.0.2.3", "1380"),
        row.split("</td>")[-4].rpartition(">")[2],
    ]
    assert "2023-11-1" in row


def test_the_worst_pairs_come_first_with_what_both_ends_see():
    text = page(report_of(ages={("a", "c"): None, ("c", "a"): 700, ("b", "c"): 700}), None)
    section = text.partition('id="pairs"')[2].partition("</section>")[0]
    assert [*re.findall(r"<td>(\w and \w)</td>", section)] == ["a and c", "b and c"]
    assert "11 min ago" in section
    assert "idle at 192.0.2.1:51820" in section


def test_where_there_are_several_networks_each_row_names_its_own():
    report = report_of(ages={("a", "c"): None, ("c", "a"): 700, ("b", "c"): 700})
    (part,) = report.parts
    office = replace(part, graph=replace(part.graph, network="office"))
    one, both = page(report, None), page(replace(report, parts=(part, office)), None)
    assert ">Network</button>" not in one.partition('id="pools"')[0]
    assert both.count("<td>office</td>") == 3
    assert '<tr data-node="1:0" tabindex="0">' in both


def test_the_head_sums_up():
    text = page(report_of(standings={"c": Standing((), why="out of date")}, warnings=("look",)), None)
    cards = re.findall(r'<a class="card[^"]*"[^>]*><b>([^<]*)</b>([^<]*)</a>', text)
    assert cards == [
        ("2 of 3", "nodes in sync"),
        ("3", "of 3 pairs have a session"),
        ("0", "pairs are idle: nothing needs a session"),
        ("0", "pairs down or stale"),
        ("1", "warnings"),
    ]
    assert "<li>look</li>" in text


def test_what_has_changed_since_the_last_report_is_there():
    text = page(report_of("abc"), memory(report_of("ab")))
    assert "<b>1</b>changes since the last report" in text
    assert "<li>c is new</li>" in text
    assert "This is the first report" in page(report_of(), None)


def test_the_history_has_the_newest_first_and_leads_to_its_node():
    text = page(report_of(history=(entry("a", why="one"), entry("zzz", why="two"))), None)
    table = text.partition('id="history-table"')[2].partition("</table>")[0]
    assert table.index("two") < table.index("one")
    assert re.findall(r'<tr data-of="([^"]*)"', table) == ["0:0"]


def test_the_data_of_the_script_fits_the_pictures_and_the_tables():
    text = page(report_of("abc"), None)
    values = json.loads(re.search(r'id="data">(.*?)</script>', text)[1])
    assert values["networks"][0]["names"] == ["a", "b", "c"]
    assert re.findall(r'<g class="node[^"]*" data-node="(\d)"', text) == ["0", "1", "2"]
    assert re.findall(r'<tr data-node="0:(\d)"', text) == ["0", "1", "2"]


def test_a_network_that_is_too_large_for_a_matrix_says_so(monkeypatch):
    monkeypatch.setattr("saltext.wireguard.report.page.MOST_NODES", 2)
    monkeypatch.setattr("saltext.wireguard.report.matrix.MOST_NODES", 2)
    text = page(report_of("abc"), None)
    assert "3 nodes are too many for a matrix." in text
    assert 'class="matrix"' not in text


@pytest.mark.parametrize("nodes", ["", "a"])
def test_a_mesh_of_next_to_nothing_has_a_page(nodes):
    assert page(report_of(nodes), None).endswith("</html>\n")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "root:x:0:0",
        "<!doctype html><html></html>",
        page(report_of(), None).replace("saltext-wireguard", "somebody"),
        page(report_of(), None).partition('<script type="application/json"')[0],
        page(report_of(), None).replace('"memory":', '"money":'),
        page(report_of(), None).replace('"memory":', "memory:"),
    ],
)
def test_what_is_no_report_is_told_from_one(text):
    with pytest.raises(ViewError):
        recall(text)
