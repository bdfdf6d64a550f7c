"""Returned data as text for a terminal."""

import pytest

from saltext.wireguard.control.text import HUGE, WIDEST, render, render_return


def test_rows_are_a_table_with_the_columns_of_the_first():
    rows = [{"node": "a", "port": 1}, {"node": "longer", "port": None}]
    assert render({"nodes": rows}).splitlines() == ["nodes:", "  node    port", "  a       1", "  longer  -"]


def test_sentences_are_lines_and_single_words_stay_in_one():
    assert render({"warnings": ["one thing", "two\nlines"]}).splitlines() == [
        "warnings:",
        "  one thing",
        "  two",
        "  lines",
    ]
    assert render({"canary": ["a", "b"]}) == "canary: a, b"


def test_mappings_are_indented():
    assert render({"a": {"b": {"c": 1}}, "d": {}}).splitlines() == ["a:", "  b:", "    c: 1", "d: -"]


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), ("", "-"), ([], "-"), (True, "yes"), (False, "no"), (0, "0"), (HUGE - 1, str(HUGE - 1))],
)
def test_values_are_short_words(value, text):
    assert render({"x": value}) == f"x: {text}"


def test_a_huge_number_is_rounded_to_a_power():
    assert render({"free": 2**64 - 300}) == "free: ~2^64"


def test_a_table_is_not_as_wide_as_its_longest_list():
    many = [f"n{number}" for number in range(WIDEST + 3)]
    assert render({"rows": [{"nodes": many}]}).endswith("n7, and 3 more")


def test_text_from_others_cannot_move_the_cursor_or_change_colours():
    assert render({"why": "\x1b[31mred\x07"}) == "why: ?[31mred?"
    assert "\x1b" not in render("\x1b[2J")


def test_what_is_for_salt_is_left_out():
    assert render_return({"answer": "done", "outputter": "wireguard", "retcode": 1}) == "answer: done"


def test_progress_is_its_message_alone():
    assert render_return({"suffix": "progress", "event": {"message": "waiting for 2 nodes: a, b"}}) == (
        "waiting for 2 nodes: a, b"
    )


@pytest.mark.parametrize("data", [None, 3, ["a"], "text"])
def test_anything_else_is_its_own_text(data):
    assert render_return(data) == str(data)
