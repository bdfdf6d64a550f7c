"""The pairs of a status, as a person reads them."""

import pytest

from saltext.wireguard.control.statustext import MOST, fold
from saltext.wireguard.control.text import render

END = {
    "state": "up",
    "lacks_peer": False,
    "handshake_age": 5,
    "endpoint": "192.0.2.1:51820",
    "roamed": False,
    "received": 1,
    "sent": 1,
}
PAIR = {
    "network": "net",
    "a": "a",
    "b": "b",
    "state": "up",
    "disagree": False,
    "handshake_age": 5,
    "kept_alive": False,
    "a_sees": END,
    "b_sees": END,
}


def test_a_pair_is_a_line_of_a_table():
    assert render({"pairs": [PAIR]}).splitlines()[1:] == [
        "  network  a  b  state  last handshake  a sees                 b sees",
        "  net      a  b  up     5 s ago         up at 192.0.2.1:51820  up at 192.0.2.1:51820",
    ]


@pytest.mark.parametrize(
    ("end", "words"),
    [
        ({"roamed": True}, "up at 192.0.2.1:51820 (roamed)"),
        ({"endpoint": None, "state": "idle"}, "idle"),
        ({"lacks_peer": True, "state": "down"}, "lacks this peer"),
        ({"state": "unknown"}, "does not say"),
    ],
)
def test_what_an_end_sees_is_in_words(end, words):
    assert fold([{**PAIR, "a_sees": {**END, **end}}])[0]["a sees"] == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(None, None), (0, "0 s ago"), (179, "179 s ago"), (180, "3 min ago"), (10800, "3 h ago"), (259200, "3 days ago")],
)
def test_an_age_is_in_the_unit_that_people_would_use(seconds, words):
    assert fold([{**PAIR, "handshake_age": seconds}])[0]["last handshake"] == words


def test_ends_that_disagree_show():
    assert fold([{**PAIR, "disagree": True}])[0]["state"] == "up (ends disagree)"


def test_more_pairs_than_anybody_reads_are_counted():
    folded = fold([PAIR] * (MOST + 7))
    assert len(folded) == MOST + 1
    assert folded[-1]["network"].startswith("and 7 more")
