"""How messages name what may be many, long or hostile."""

import shlex

import pytest

from saltext.wireguard.wording import one_line, quoted, shell, some, without_keys

KEY = "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk="


def test_of_many_names_the_first_are_listed_in_order():
    assert some({"b", "a"}) == "a, b"
    assert some("hgfedcba") == "a, b, c, d, e and 3 more"


def test_a_quoted_text_shows_what_does_not_print_and_is_cut():
    assert quoted("two\nlines") == r"'two\nlines'"
    assert quoted("x" * 61) == "'" + "x" * 60 + "'..."


@pytest.mark.parametrize("text", [KEY, KEY[:-1], KEY[1:], f" {KEY}", KEY[:41], f"true {KEY}", "x" * 50 + KEY])
def test_what_looks_like_a_key_is_not_quoted(text):
    """A key that was written into the wrong line of the mesh file went into logs, events and pillars."""
    assert KEY[2:40] not in quoted(text)
    assert KEY[2:40] not in quoted([text])
    assert "(hidden" in quoted(text) + "(hidden" * text.startswith("x")


def test_what_is_no_text_is_quoted_as_it_is_written():
    assert quoted({"a": [1]}) == "{'a': [1]}"
    assert quoted(["a long text"] * 40).endswith("...")
    assert len(quoted([["a long text"] * 40] * 40)) < 70


def test_what_is_nested_deeply_is_quoted_all_the_same():
    nested = []
    for _ in range(100_000):
        nested = [nested]
    assert quoted(nested).startswith("[[[")


def test_a_key_that_is_known_to_be_public_may_be_quoted():
    assert without_keys(f"no peer {KEY}", [KEY]) == f"no peer {KEY}"
    assert without_keys("a" * 43) == "a" * 43


@pytest.mark.parametrize(
    ("said", "line"),
    [
        ("no route to host", "no route to host"),
        ("two\nlines\tand a bell\x07", "two lines and a bell"),
        ("\x1b[2J\x1b]0;owned\x07\u202e\x9b31m", "[2J ]0;owned 31m"),
        ("x" * 5_000_000, "x" * 17 + "..."),
        (None, ""),
        ([[[]]], ""),
        ({"a": 1}, ""),
        (b"bytes", ""),
    ],
)
def test_what_others_said_is_one_printable_line_of_bounded_length(said, line):
    """Five million characters went from a rotation's answer into history and log, and escape sequences along."""
    assert one_line(said, 20) == line


@pytest.mark.parametrize("odd", ["x; reboot", "$(reboot)", "`reboot`", "a b", "it's", "-x\nreboot", ""])
def test_a_command_to_copy_is_these_words_and_no_other(odd):
    """Ids were put into commands as they were, to be copied into a root shell."""
    text = shell("salt-run wireguard.admit", odd)
    words = shlex.split(text[1:-1])
    assert words[:2] == ["salt-run", "wireguard.admit"]
    assert words[2:] == [odd if odd.isprintable() else repr(odd)]
    assert "\n" not in text


def test_a_plain_command_is_written_plainly():
    assert shell("salt-run wireguard.admit", "web1.example.com") == "`salt-run wireguard.admit web1.example.com`"
