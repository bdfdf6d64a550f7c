"""A matrix, as a person reads it."""

import pytest

from saltext.wireguard.control.matrixtext import MOST, fold
from saltext.wireguard.control.text import render


def path(source, target, loss=0.0, rtt=0.5):
    start = {"network": "net", "from": source, "to": target}
    return {**start, "loss": loss, "rtt_ms": rtt, "ipv4": None, "ipv6": None}


PATHS = [path("a", "b"), path("b", "a", 1.0, None)]


def test_it_is_a_matrix_where_that_fits(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert render({"paths": PATHS}).splitlines()[1:] == [
        "  network  from  a     b",
        "  net      a     -     0.5",
        "  net      b     lost  -",
    ]


def test_it_is_a_list_of_the_worst_ways_where_it_does_not(monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    assert render({"paths": PATHS[::-1]}).splitlines()[1:] == [
        "  network  from  to  rtt",
        "  net      b     a   lost",
        "  net      a     b   0.5",
    ]


def test_more_ways_than_anybody_reads_are_counted(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    folded = fold([path(f"node{number}", f"node{number + 1}") for number in range(MOST + 3)])
    assert len(folded) == MOST + 1
    assert folded[-1]["network"].startswith("and 3 more")


@pytest.mark.parametrize(
    ("loss", "rtt", "words"),
    [
        (None, None, "?"),
        (0, 12.5, "12.5"),
        (0.4, 3, "3 40% lost"),
        (1, None, "lost"),
        (1, 3, "3 one IP version lost"),
    ],
)
def test_a_cell_is_the_time_and_what_was_lost(monkeypatch, loss, rtt, words):
    monkeypatch.setenv("COLUMNS", "80")
    assert fold([path("a", "b", loss, rtt)])[0]["b"] == words
